"""What BuildKit says while it builds (`--progress=plain`): which steps it had, which it worked on, and what failed.

Every line begins with the number of its vertex: `#7 [build 2/5] RUN make`, then `#7 CACHED`, or what the command
wrote with the seconds in front, and `#7 DONE 1.2s`, `#7 CANCELED` or `#7 ERROR: …`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LINE = re.compile(r"#(\d+) ([^\n]*)", re.DOTALL)
_OUTPUT = re.compile(r"\d+\.\d+ ?(.*)", re.DOTALL)
_LABEL = re.compile(r"\[(?:[a-z0-9]+/\S+ )?(?:(?P<stage>\S+) )? *(?P<number>\d+)/\d+\] (?P<rest>.*)")
_ENDED = re.compile(r"(?:DONE(?: (?P<seconds>[\d.]+)s)?|CACHED|CANCELED|ERROR:?(?P<error>.*))", re.DOTALL)
_KEPT = 100
_TOLD = 20


@dataclass(slots=True)
class Worked:
    """One vertex. `label` is `[stage 2]`, or empty for what is no instruction; `said` are its last lines."""

    name: str
    label: str = ""
    cached: bool = False
    seconds: float = 0.0
    error: str | None = None
    ended: bool = False
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Progress:
    """A build, as it went."""

    vertices: tuple[Worked, ...]
    is_buildkit: bool = True

    @property
    def steps(self) -> Mapping[str, Worked]:
        """The instructions that BuildKit had to look at, by their labels."""
        return {vertex.label: vertex for vertex in self.vertices if vertex.label}

    @property
    def going_on(self) -> str:
        """The step that it was at when it was broken off, or what it did around them; empty if it had not begun."""
        begun = [vertex for vertex in self.vertices if not vertex.ended]
        steps = [vertex for vertex in begun if vertex.label] or begun
        return steps[-1].name if steps else ""

    @property
    def lost_cache(self) -> str:
        """Why the cache of all stages could not be kept; empty if it could, or if there was none to keep."""
        return next((one.error for one in self.vertices if one.error and one.name.startswith("exporting cache")), "")

    @property
    def failure(self) -> str:
        """The failing step and the last lines that it wrote; empty if none failed."""
        # A cache that cannot be had is an error, too, and fails nothing.
        errors = sorted((one for one in self.vertices if one.error is not None), key=lambda one: not one.label)
        failed = errors[0] if errors else None
        if failed is None:
            return ""
        return "\n".join([failed.name, *failed.said[-_TOLD:], failed.error or ""]).strip()


def read(text: str) -> Progress:
    """The progress in what `docker build --progress=plain` wrote, whole or broken off."""
    vertices: dict[str, Worked] = {}
    # Line ends and nothing else: a command may write whatever else separates lines, and go on as if it were BuildKit.
    for row in text.split("\n"):
        found = _LINE.fullmatch(row.rstrip())
        if found is None:
            continue
        number, rest = found.groups()
        vertex = vertices.get(number)
        if vertex is None:
            vertices[number] = _vertex(rest)
        else:
            _more(vertex, rest)
    return Progress(tuple(vertices.values()), bool(vertices))


def _vertex(name: str) -> Worked:
    found = _LABEL.fullmatch(name)
    if found is None:
        return Worked(name)
    stage = f"{found['stage']} " if found["stage"] else ""
    return Worked(name, f"[{stage}{found['number']}]")


def _more(vertex: Worked, rest: str) -> None:
    if output := _OUTPUT.fullmatch(rest):
        vertex.said.append(output[1])
        del vertex.said[:-_KEPT]
        return
    ended = _ENDED.fullmatch(rest)
    if ended is None:
        return
    # What is cancelled was going on until somebody broke the build off.
    vertex.ended = rest != "CANCELED"
    vertex.cached = vertex.cached or rest == "CACHED"
    vertex.seconds += float(ended["seconds"] or 0)
    if ended["error"] is not None:
        vertex.error = ended["error"].strip()
