"""TL003: what changes most, for its size, comes last (Smith's rule), as far as nothing depends on the order.

What may move: copies, and installs together with the copies of their lists. Everything else is a fence, and nothing
passes a fence.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from watcher.dockerfile.advice.cost import PER_BYTE, PER_STEP, Cost, made, weigh
from watcher.dockerfile.advice.draft import Draft, Piece
from watcher.dockerfile.advice.rewrites import Rewrite
from watcher.dockerfile.graph import Graph
from watcher.dockerfile.install import installs
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.project import Project


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
    def heat(self) -> float:
        """What Smith's rule sorts by."""
        return self.changes / max(self.wait, 1e-6)

    def needs(self, other: "Unit") -> bool:
        """Whether this one has to stay behind the other, which stands below it now."""
        overlap = any(_overlap(a, b) for a in (*self.writes, *self.reads) for b in other.writes)
        return (
            overlap or bool(self.tools & other.tools) or any(_overlap(a, b) for a in self.writes for b in other.reads)
        )


def ordered(draft: Draft, parsed: Parsed, project: Project, known: Mapping[str, int]) -> Rewrite | None:
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


def _units(draft: Draft, steps: Graph, project: Project, known: Mapping[str, int]) -> list[Unit | Piece]:
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
        below = found[-1] if found else None
        lists = tuple(
            posixpath.normpath(posixpath.join(piece.directory, path)) for one in packages for path in one.reads
        )
        chain = piece.chain()
        plain = chain is not None and len(packages) == len(chain)
        if not plain or not packages or not isinstance(below, Unit) or below.pieces[0].keyword == "RUN":
            found.append(piece)
            continue
        size = weigh(step, steps, project, known)
        wait = below.wait + Cost(size, PER_STEP + PER_BYTE * size).delay
        tools = frozenset(one.tool for one in packages) | below.tools
        found[-1] = Unit((*below.pieces, piece), below.changes, wait, below.writes, lists, tools)
    return found


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
