"""What a Dockerfile costs in a month: every commit of the past is predicted again, with today's files and sizes."""

from collections.abc import Mapping
from dataclasses import dataclass

from watcher.dockerfile.graph import Graph, Inputs, Step, graph
from watcher.dockerfile.install import installs
from watcher.dockerfile.layers import layers_of
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.predict import Fate, predict
from watcher.dockerfile.project import Project
from watcher.image import Platform

GUESSED = {"pip": 20_000_000, "uv": 20_000_000, "poetry": 20_000_000, "apt": 30_000_000, "composer": 5_000_000}
"""Bytes of what is installed, compressed, where no image tells."""
_OTHER = 1_000_000
_PACKED = 0.35
"""What a file of a source tree weighs when it is compressed, as a share."""
PER_BYTE = 0.25e-6
"""Seconds that installing takes per byte of the layer that it makes (`make bench-dockerfile` prints them)."""
PER_STEP = 0.5
_COMPILED = 2 / 3
"""What byte-code adds: a layer with it is three times as large raw, half as large again when packed."""


LINK = 250_000
"""Bytes a second of a host's link (2 Mbit/s): what makes bytes and seconds of building one figure."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a month: bytes that a host downloads, and seconds that a builder works."""

    bytes: float = 0.0
    seconds: float = 0.0

    @property
    def delay(self) -> float:
        """Seconds until hosts run what was changed, all changes together."""
        return self.bytes / LINK + self.seconds

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.bytes - other.bytes, self.seconds - other.seconds)


def made(parsed: Parsed, project: Project, changed: frozenset[str] = frozenset()) -> Graph:
    """The steps of a build after these files have changed."""
    files = {path: f"{path in changed}" for path in project.files}
    return graph(parsed, Inputs(files=files, platform=Platform("linux", "amd64")))


def sizes(parsed: Parsed, project: Project) -> Mapping[str, int]:
    """What each tool's packages and each text of an instruction weighed in the last image, by both names."""
    steps = made(parsed, project)
    found: dict[str, int] = {}
    for number, size in layers_of(steps, project.layers).items():
        step = steps.steps[number]
        found[step.said] = size
        for install in installs(step.instruction):
            found[install.tool] = max(size, found.get(install.tool, 0))
    return found


def weigh(step: Step, steps: Graph, project: Project, known: Mapping[str, int]) -> int:
    """Bytes of the layer that a step makes, compressed."""
    if step.said in known:
        return known[step.said]
    if step.instruction.keyword == "WORKDIR":
        return 100
    packages = installs(step.instruction)
    total = sum(project.files.get(path, 0) for path in step.takes | step.carries) * _PACKED
    for one in packages:
        if one.tool == "pip" and one.tree:
            total += 10_000
            continue
        bare = "--no-compile" in one.command
        total += known.get(one.tool, GUESSED.get(one.tool, _OTHER)) * (_COMPILED if bare else 1)
    for number in step.drawn if step.instruction.keyword in ("COPY", "ADD") else ():
        for one in installs(steps.steps[number].instruction):
            total += known.get(one.tool, GUESSED.get(one.tool, _OTHER))
    return int(total) if total else (_OTHER if step.instruction.keyword == "RUN" else 100)


def cost(parsed: Parsed, project: Project, known: Mapping[str, int]) -> Cost:
    """A month of the project's own commits, with this Dockerfile."""
    before = made(parsed, project)
    weights = [weigh(step, before, project, known) for step in before.steps]
    files = [step.takes | step.carries for step in before.steps]
    # Commits that enter at the same steps cost the same: a long history has few kinds.
    kinds: dict[tuple[bool, ...], Cost] = {}
    total = seconds = 0.0
    for commit in project.history:
        kind = tuple(not commit.isdisjoint(one) for one in files)
        if kind not in kinds:
            kinds[kind] = _one(parsed, project, before, weights, commit) if any(kind) else Cost()
        total += kinds[kind].bytes
        seconds += kinds[kind].seconds
    month = 30.0 / max(project.days, 1.0)
    return Cost(total * month, seconds * month)


def _one(parsed: Parsed, project: Project, before: Graph, weights: list[int], commit: frozenset[str]) -> Cost:
    """Of one commit."""
    after = made(parsed, project, commit & frozenset(project.files))
    inside, above, pulled, seconds = set(before.image), False, 0.0, 0.0
    for number, one in enumerate(predict(after, before.keys, commit).steps):
        fresh = one.fate is not Fate.KEPT
        if fresh and one.step.instruction.keyword == "RUN":
            seconds += PER_STEP + PER_BYTE * weights[number]
        above = above or (fresh and number in inside)
        pulled += weights[number] if above and number in inside else 0
    return Cost(pulled, seconds)
