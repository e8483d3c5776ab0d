"""What a Dockerfile costs in a month: every commit of the past is predicted again, with today's files and sizes; and a
host is set up anew now and then, and pulls everything."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watcher.dockerfile.advice.apt import leaves_lists, takes_recommends
from watcher.dockerfile.advice.arguments import volatile
from watcher.dockerfile.advice.lists import Lists
from watcher.dockerfile.graph import Graph, Inputs, Step, graph
from watcher.dockerfile.install import Install, installs
from watcher.dockerfile.installers import WITHOUT_PROJECT
from watcher.dockerfile.layers import layers_of
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.predict import Fate, Prediction, predict
from watcher.dockerfile.project import Project
from watcher.image import Platform
from watcher.layers.part import Terms

GUESSED = {"pip": 20_000_000, "uv": 20_000_000, "poetry": 20_000_000, "apt": 30_000_000, "composer": 5_000_000}
"""Bytes of what is installed, compressed, where no image tells."""
_OTHER, _PROJECT = 1_000_000, 10_000
_PACKED = 0.35
"""What a file of a source tree weighs when it is compressed, as a share."""
PER_BYTE = 0.25e-6
"""Seconds that installing takes per byte of the layer that it makes (`make bench-dockerfile` prints them)."""
DOWNLOAD = 0.1e-6
"""Seconds that downloading takes per byte, at 10 MB/s, where no cache is mounted."""
PER_STEP = 0.5
_COMPILED = 2 / 3
"""What byte-code adds: a layer with it is three times as large raw, half as large again when packed."""
_ASKED_FOR = 0.8
"""What is left of apt's packages, as a share, without those that they recommend."""
_LISTS = 15_000_000
"""Bytes of the lists that `apt-get update` leaves, compressed: those of a Debian release."""

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


@dataclass(frozen=True, slots=True)
class Known:
    """What past builds tell: `sizes` of layers in bytes, by the texts of their instructions and by the tools that
    installed them, and `paces` of tools in seconds a byte."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    paces: Mapping[str, float] = field(default_factory=dict)


def made(
    parsed: Parsed, project: Project, changed: frozenset[str] = frozenset(), given: frozenset[str] = frozenset()
) -> Graph:
    """The steps of a build after these files have changed, and with other values of the arguments that are `given`."""
    files = {path: f"{path in changed}" for path in project.files}
    arguments = dict.fromkeys(given, "another")
    platform = Platform("linux", "amd64")
    return graph(parsed, Inputs(files=files, platform=platform, merges=project.containerd, arguments=arguments))


def known(parsed: Parsed, project: Project) -> Known:
    """What the last image and past builds tell of a Dockerfile."""
    steps = made(parsed, project)
    sizes: dict[str, int] = {}
    for number, layer in layers_of(steps, project.layers).items():
        step = steps.steps[number]
        sizes[step.said] = layer.size
        for install in installs(step.instruction):
            whole = int((layer.size - min(lists_in(step), layer.size // 2)) / _kept(install))
            sizes[install.tool] = max(whole, sizes.get(install.tool, 0))
    paces: dict[str, float] = {}
    for step in steps.steps:
        took, size = project.seconds.get(step.said), weigh(step, steps, project, Known(sizes))
        for install in installs(step.instruction) if took is not None else ():
            paces[install.tool] = max(took or 0.0, paces.get(install.tool, 0.0) * size) / max(size, 1)
    return Known(sizes, paces)


def weigh(step: Step, steps: Graph, project: Project, known: Known, lists: Lists | None = None) -> int:
    """Bytes of the layer that a step makes, compressed."""
    if step.said in known.sizes:
        return known.sizes[step.said]
    if step.instruction.keyword == "WORKDIR":
        return 100
    total = sum(project.files.get(path, 0) for path in step.takes | step.carries) * _PACKED + lists_in(step)
    for one in installs(step.instruction):
        total += installed(one, step, steps, known) * (lists.share(one) if lists else 1.0)
    for number in step.drawn if step.instruction.keyword in ("COPY", "ADD") else ():
        # The system's packages lie where nobody copies from: what is taken is a directory of ours.
        for one in (one for one in installs(steps.steps[number].instruction) if one.tool not in ("apt", "apk")):
            total += installed(one, steps.steps[number], steps, known)
    return int(total) if total else (_OTHER if step.instruction.keyword == "RUN" else 100)


def installed(one: Install, step: Step, steps: Graph, known: Known) -> float:
    """Bytes of what a command installs, compressed, as far as past builds tell."""
    if one.tree or _is_all_there(one, step, steps):
        return _PROJECT
    return known.sizes.get(one.tool, GUESSED.get(one.tool, _OTHER)) * _kept(one)


def _is_all_there(one: Install, step: Step, steps: Graph) -> bool:
    """Whether a step below has installed all that the project needs, and only the project itself is left."""
    without, below = WITHOUT_PROJECT.get(one.tool, ""), step.parent
    while without and not one.has(without) and below is not None:
        if any(other.tool == one.tool and other.has(without) for other in installs(steps.steps[below].instruction)):
            return True
        below = steps.steps[below].parent
    return False


def _kept(one: Install) -> float:
    """The share of what it installs that lies in the layer, without what it is told to leave out."""
    if one.tool == "apt":
        return 1.0 if takes_recommends(one) else _ASKED_FOR
    return _COMPILED if "--no-compile" in one.command else 1.0


def lists_in(step: Step) -> int:
    """Bytes of apt's lists in the layer of a step."""
    return _LISTS if step.instruction.keyword == "RUN" and leaves_lists(step.instruction) else 0


def takes(step: Step, size: int, project: Project, known: Known) -> float:
    """Seconds that a RUN takes which makes a layer of that size: as it was measured, else at the pace of its tool."""
    if step.said in project.seconds:
        return project.seconds[step.said]
    tools = {one.tool for one in installs(step.instruction)}
    pace = max((known.paces[tool] for tool in tools & known.paces.keys()), default=0.0)
    cached = any("type=cache" in value for value in step.instruction.all("mount"))
    if pace:
        return (max(pace - DOWNLOAD, pace / 2) if cached else pace) * size
    return PER_STEP + (PER_BYTE + (DOWNLOAD if tools and not cached else 0.0)) * size


def cost(parsed: Parsed, project: Project, known: Known) -> Cost:
    """A month of the project's own commits, with this Dockerfile."""
    lists = Lists.of(parsed, project)
    parsed, project = lists.model(parsed), lists.seen(project)
    before = made(parsed, project)
    weights = [weigh(step, before, project, known, lists) for step in before.steps]
    seconds = [takes(step, size, project, known) for step, size in zip(before.steps, weights, strict=True)]
    files = [step.takes | step.carries for step in before.steps]
    given = volatile(parsed)
    # Commits that enter at the same steps cost the same: a long history has few kinds.
    kinds: dict[tuple[bool, ...], Cost] = {}
    total, working = 0.0, 0.0
    for commit in project.history:
        kind = tuple(not commit.isdisjoint(one) for one in files)
        if kind not in kinds:
            kinds[kind] = Cost()
            # An argument that is another one each time makes a build of any commit anew.
            if any(kind) or given:
                after = made(parsed, project, commit & frozenset(project.files), given)
                foreseen = predict(after, before.keys, commit)
                kinds[kind] = _one(foreseen, frozenset(before.image), weights, seconds, project.containerd)
        total += kinds[kind].bytes
        working += kinds[kind].seconds
    month = 30.0 / max(project.days, 1.0)
    # Of a project whose past says nothing, nothing is known.
    anew = 30.0 * Terms().fresh * sum(weights[number] for number in before.image) if project.history else 0.0
    return Cost(total * month + anew, working * month)


def _one(
    foreseen: Prediction, inside: frozenset[int], weights: list[int], seconds: list[float], containerd: bool
) -> Cost:
    """Of one commit."""
    above, pulled, working = False, 0.0, 0.0
    for number, one in enumerate(foreseen.steps):
        fresh = one.fate is not Fate.KEPT
        working += seconds[number] if fresh and one.step.instruction.keyword == "RUN" else 0.0
        above = above or (fresh and number in inside)
        pulled += weights[number] if number in inside and (fresh if containerd else above) else 0
    return Cost(pulled, working)
