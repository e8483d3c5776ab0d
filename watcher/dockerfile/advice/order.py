"""TL003: what changes most, for its size, comes last (Smith's rule), as far as nothing depends on the order.

What may move: copies, and installs together with the copies of their lists. Everything else is a fence, and nothing
passes a fence.
"""

from dataclasses import dataclass

from watcher.dockerfile.advice.cost import Cost, Known, made, takes, weigh
from watcher.dockerfile.advice.draft import Draft, Piece
from watcher.dockerfile.advice.paths import INSTALLED, SYSTEM, overlap, within
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import after, is_cd, is_of_system
from watcher.dockerfile.graph import Graph, Step
from watcher.dockerfile.install import Install
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.project import Project
from watcher.dockerfile.stages import pairs


@dataclass(frozen=True, slots=True)
class Unit:
    """Neighbours that belong together: their changes a month, the seconds that a host waits for one, the places that
    they write and read, and whose files they are (the flags that say so)."""

    pieces: tuple[Piece, ...]
    changes: float
    wait: float
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    owner: str = ""

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
        if any(overlap(a, b) for a in (*self.writes, *self.reads) for b in other.writes):
            return True
        if any(overlap(a, b) for a in self.writes for b in other.reads):
            return True
        # The first of them makes the directories above both, and they are its own.
        return self.owner != other.owner and any(_share(a, b) for a in self.writes for b in other.writes)


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
        if step is None or piece.silences("TL003"):
            found.append(piece)
        elif piece.copies and not any("$" in word.text for word in piece.instruction.words):
            files = _files(step, steps)
            wait = Cost(weigh(step, steps, project, known)).delay
            owner = piece.flags("chown", "chmod")
            found.append(Unit((piece,), project.changes(files), wait, (piece.to,), (), owner))
        elif piece.chain is not None:
            size = weigh(step, steps, project, known)
            _run(found, piece, Cost(size, takes(step, size, project, known)).delay, _environments(draft, piece))
        else:
            found.append(piece)
    return found


def _files(step: Step, steps: Graph) -> set[str]:
    """The files of the context that a copy changes with."""
    files = set(step.takes | step.carries)
    for number in step.drawn:
        at: int | None = number
        while at is not None:
            files |= steps.steps[at].takes
            at = steps.steps[at].parent
    return files


def _run(found: list[Unit | Piece], piece: Piece, wait: float, environments: tuple[str, ...]) -> None:
    """Adds a RUN: by itself if it brings but the system's packages, else to the copy of its lists. `environments` are
    directories that its installers may work in."""
    if is_of_system(piece):
        found.append(Unit((piece,), 0.0, wait, SYSTEM, ()))
        return
    lists, others = _lists(piece), (*INSTALLED, *environments)
    home = _home(found, (*lists, *others), lists) if lists else None
    if home is None:
        found.append(piece)
        return
    below = found[home]
    assert isinstance(below, Unit)
    writes = (*below.writes, *others, *(_left(piece)))
    found[home] = Unit((*below.pieces, piece), below.changes, below.wait + wait, writes, (*lists, *others), below.owner)


def _lists(piece: Piece) -> tuple[str, ...]:
    """What the installs of a RUN read; nothing if it does anything else, or if nobody can tell."""
    reads: list[str] = []
    for number, (command, one) in enumerate(zip(piece.chain or (), piece.installs, strict=True)):
        cwd = after(piece.directory, (piece.chain or ())[:number])
        if one is not None and one.sure and not command.settings:
            reads += [within(cwd, path) for path in (*(() if one.tree else _beside(one)), *one.reads, *one.trees)]
        elif not is_cd(command):
            return ()
    return tuple(reads)


def _beside(one: Install) -> tuple[str, ...]:
    """Installers of other kinds read settings where they work."""
    return () if one.tool == "pip" else (".",)


def _left(piece: Piece) -> tuple[str, ...]:
    """Where the installs of a RUN leave files of ours: others than pip do where they work."""
    places = [
        after(piece.directory, (piece.chain or ())[:number])
        for number, one in enumerate(piece.installs)
        if one is not None and (one.tool != "pip" or one.trees)
    ]
    return tuple(places)


def _environments(draft: Draft, piece: Piece) -> tuple[str, ...]:
    """Directories with programs of their own, by what the file says of PATH and its like, and the program's own."""
    found = {word.texts[0].rpartition("/bin/")[0] for word in piece.chain or () if "/bin/" in word.texts[0]}
    for one in draft.parsed.instructions:
        for name, value in pairs(one) if one.keyword in ("ENV", "ARG") else ():
            if name in ("PATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
                found |= {part.strip("\"'").removesuffix("/bin") for part in (value or "").split(":")}
    at_home = not piece.by_root or any(one is not None and one.has("--user") for one in piece.installs)
    return tuple(sorted(path for path in found if path.startswith("/"))) + (("/home",) if at_home else ())


def _home(found: list[Unit | Piece], reads: tuple[str, ...], lists: tuple[str, ...]) -> int | None:
    """The copy of the lists that an install reads, if nothing stands between that the install could need."""
    for number in range(len(found) - 1, -1, -1):
        unit = found[number]
        if not isinstance(unit, Unit) or unit.runs:
            return None
        if any(overlap(place, path) for place in unit.writes for path in reads):
            here = any(overlap(place, path) for place in unit.writes for path in lists)
            return number if here else None
    return None


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


def _share(one: str, other: str) -> bool:
    """Whether two places are in one directory, the root aside."""
    return one.strip("/").partition("/")[0] == other.strip("/").partition("/")[0]
