"""TL003: what changes most, for its size, comes last (Smith's rule), as far as nothing depends on the order.

What may move: copies, and installs together with the copies of their lists. Everything else is a fence, and nothing
passes a fence.
"""

import posixpath
import re
from dataclasses import dataclass

from watcher.dockerfile.advice.cost import Cost, Known, made, takes, weigh
from watcher.dockerfile.advice.draft import Draft, Piece
from watcher.dockerfile.advice.rewrites import Rewrite
from watcher.dockerfile.graph import Graph
from watcher.dockerfile.install import installs
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.project import Project

_SYSTEM = ("/etc", "/lib", "/usr", "/var")
_OF_SYSTEM = re.compile(r"(apt|apt-get|apk) (?!.*\s\.{0,2}/)|rm -rf /var/(lib/apt|cache)/\S*$")
"""Packages that are files of the context (`apt-get install ./x.deb`) are none of the system's."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Neighbours that belong together: their changes a month, the seconds that a host waits for one, and the places
    that they write and read."""

    pieces: tuple[Piece, ...]
    changes: float
    wait: float
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    tools: frozenset[str]

    @property
    def runs(self) -> bool:
        """Whether commands are run in it. What they need of each other cannot be seen, so their order stays."""
        return any(piece.keyword == "RUN" for piece in self.pieces)

    @property
    def heat(self) -> float:
        """What Smith's rule sorts by."""
        return self.changes / max(self.wait, 1e-6)

    def needs(self, other: "Unit") -> bool:
        """Whether this one has to stay behind the other, which stands below it now."""
        if self.runs and other.runs:
            return True
        overlap = any(_overlap(a, b) for a in (*self.writes, *self.reads) for b in other.writes)
        return (
            overlap or bool(self.tools & other.tools) or any(_overlap(a, b) for a in self.writes for b in other.reads)
        )


def ordered(draft: Draft, parsed: Parsed, project: Project, known: Known) -> Rewrite | None:
    """The stage with its movable neighbours in the order that hosts wait least for."""
    steps = made(parsed, project)
    runs: list[list[Unit] | Piece] = []
    for unit in _units(draft, steps, project, known):
        if isinstance(unit, Unit) and runs and isinstance(runs[-1], list):
            runs[-1].append(unit)
        else:
            runs.append([unit] if isinstance(unit, Unit) else unit)
    pieces: list[Piece | str] = []
    for run in runs:
        pieces += [piece for unit in _sorted(run) for piece in unit.pieces] if isinstance(run, list) else [run]
    if [piece.text for piece in pieces if isinstance(piece, Piece)] == [piece.text for piece in draft.pieces]:
        return None
    first = next(old for old, new in zip(draft.pieces, pieces, strict=True) if old is not new)
    said = f"`{first.instruction.text}` changes more often for its size than what stands above it"
    return Rewrite(first.instruction.first, said, draft.text(pieces))


def _units(draft: Draft, steps: Graph, project: Project, known: Known) -> list[Unit | Piece]:
    by_line = {step.instruction.first: step for step in steps.steps}
    found: list[Unit | Piece] = []
    for piece in draft.pieces:
        step = by_line.get(piece.instruction.first)
        packages = installs(piece.instruction)
        if step is None or piece.silences("TL003") or piece.keyword not in ("COPY", "ADD", "RUN"):
            found.append(piece)
            continue
        files = set(step.takes | step.carries)
        for number in step.drawn:
            at: int | None = number
            while at is not None:
                files |= steps.steps[at].takes
                at = steps.steps[at].parent
        if piece.keyword != "RUN":
            to = posixpath.normpath(posixpath.join(piece.directory, piece.instruction.words[-1].text))
            wait = Cost(weigh(step, steps, project, known)).delay
            found.append(Unit((piece,), project.changes(files), wait, (to,), (), frozenset()))
            continue
        if _is_of_the_system(piece):
            size = weigh(step, steps, project, known)
            wait = Cost(size, takes(step, size, project, known)).delay
            found.append(Unit((piece,), 0.0, wait, _SYSTEM, (), frozenset(one.tool for one in packages)))
            continue
        lists = tuple(
            posixpath.normpath(posixpath.join(piece.directory, path)) for one in packages for path in one.reads
        )
        chain, home = piece.chain(), _home(found, lists)
        if chain is None or not packages or len(packages) != len(chain) or home is None:
            found.append(piece)
            continue
        below, size = found[home], weigh(step, steps, project, known)
        assert isinstance(below, Unit)
        wait = below.wait + Cost(size, takes(step, size, project, known)).delay
        tools = frozenset(one.tool for one in packages) | below.tools
        found[home] = Unit((*below.pieces, piece), below.changes, wait, below.writes, lists, tools)
    return found


def _home(found: list[Unit | Piece], lists: tuple[str, ...]) -> int | None:
    """The copy of the lists that an install reads, if nothing stands between that the install could need."""
    for number in range(len(found) - 1, -1, -1):
        unit = found[number]
        if not isinstance(unit, Unit) or unit.runs:
            return None
        if any(_overlap(place, path) for place in unit.writes for path in lists):
            return number
    return None


def _is_of_the_system(piece: Piece) -> bool:
    """Whether it only installs the system's packages: no change of a file of ours is a reason to do that again."""
    packages = installs(piece.instruction)
    if not packages or any(one.tool not in ("apt", "apk") for one in packages):
        return False
    return all(_OF_SYSTEM.match(command) for command in piece.chain() or ["?"])


def _sorted(units: list[Unit]) -> list[Unit]:
    """From the bottom up by heat; each behind what it needs."""
    left, found = list(enumerate(units)), []
    while left:
        free = [
            (number, unit)
            for number, unit in left
            if not any(before < number and unit.needs(other) for before, other in left)
        ]
        best = min(free, key=lambda row: (row[1].heat, row[0]))
        found.append(best[1])
        left.remove(best)
    return found


def _overlap(one: str, other: str) -> bool:
    first, second = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return first.startswith(second) or second.startswith(first)
