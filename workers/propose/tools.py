"""The lock tools, and what holds for each of them: the lock that comes of it is the one that was asked for, or none."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from watcher.errors import LockfileUnreadable
from watcher.lockfiles import elsewhere, read
from watcher.lockfiles.compiled import header
from watcher.lockfiles.diff import LockDiff, changes, strays, together
from watcher.lockfiles.lines import lines
from watcher.pin import Pin
from watcher.versions import SCHEMES
from workers.propose.bench import Unsolved
from workers.propose.by_hand import ByHand
from workers.propose.composer_lock import ComposerLock
from workers.propose.dockerfile import Dockerfiles
from workers.propose.ends import bare, dressed
from workers.propose.errors import LockRefused, NotYetThere
from workers.propose.move import Move
from workers.propose.pdm_lock import PdmLock
from workers.propose.pip_compile import PipCompile
from workers.propose.pipfile_lock import PipfileLock
from workers.propose.poetry_lock import PoetryLock
from workers.propose.pylock_edit import PylockEdit
from workers.propose.tool import LockTool
from workers.propose.uv_compile import UvCompile
from workers.propose.uv_lock import UvLock
from workers.propose.workshop import Workshop

TOOLS: tuple[LockTool, ...] = (
    *(UvLock(), ComposerLock(), PoetryLock(), PdmLock(), PipfileLock()),
    *(UvCompile(), PipCompile(), PylockEdit(), ByHand(), Dockerfiles()),
)
"""The first that keeps a lockfile is its tool. Another one is a file, and a word here."""
YOUNG = timedelta(hours=1)
"""How long an index may need to have all of a release, everywhere."""
_MOST_FILES = 200

Fetch = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a move: the files that are others now, by their paths, and what the lock differs in."""

    files: Mapping[str, str]
    diff: LockDiff


def moved(path: str, moves: Sequence[Move], fetch: Fetch, shop: Workshop, now: datetime) -> Moved:
    """The lockfile at `path` with the packages at the versions that are asked for, and nothing moved without need.

    `fetch` gives the bytes of a file in the repository, or None. Raises `LockRefused`, `NotYetThere` if a release is
    so young (at `now`, UTC) that the index may not have it all, `LockfileUnreadable`, and what `fetch` and the tools
    raise.
    """
    fetch = cache(fetch)
    before = read(path, fetch)
    try:
        given = {path: _text(path, fetch(path) or b"")}
        tool = _tool(bare(given[path]), path)
        files = _gathered(tool, given, path, fetch)
        for move in moves:
            _check(move, before)
        moves = [move.among(before) for move in moves]
        made = tool.run(files, path, moves, shop)
        after = _pins({**files, **made}, path)
        diff = changes(before, after)
        for move in moves:
            _landed(move, after)
        for name, text in made.items():
            _says_the_same(name, files.get(name, ""), text)
        _stays_elsewhere(path, fetch, {**files, **made})
        idle = cache(lambda: changes(before, _pins({**files, **tool.run(files, path, (), shop)}, path)))
        _no_more_than_needed({move.package for move in moves}, diff, idle)
    except Unsolved as error:
        raise _told(path, moves, error, now) from error
    new = {name: dressed(text, given.get(name, "")) for name, text in made.items() if text != files.get(name)}
    return Moved({name: text for name, text in new.items() if text != given.get(name)}, diff)


def moved_together(paths: Sequence[str], moves: Sequence[Move], fetch: Fetch, shop: Workshop, now: datetime) -> Moved:
    """The same in several lockfiles: in each that has some of the packages older.

    One that cannot move keeps all of them where they are.
    """
    files: dict[str, str] = {}
    diffs: list[LockDiff] = []

    def look(name: str) -> bytes | None:
        return files[name].encode() if name in files else fetch(name)

    for path in paths:
        if mine := _behind(path, moves, look):
            made = moved(path, mine, look, shop, now)
            files |= made.files
            diffs.append(made.diff)
    # Where nothing is behind, the first one tells what is wrong with the moves.
    return Moved(files, together(diffs)) if diffs else moved(paths[0], moves, fetch, shop, now)


def _behind(path: str, moves: Sequence[Move], fetch: Fetch) -> list[Move]:
    """The moves that are about anything in the lockfile at `path`."""
    pins = read(path, fetch)
    return [move for move in moves if any(_is_behind(pin, move) for pin in pins)]


def _is_behind(pin: Pin, move: Move) -> bool:
    if pin.package != move.package or pin.source != "index":
        return False
    return pin.version == move.from_version or SCHEMES[pin.ecosystem].is_newer(move.version, pin.version)


def _told(path: str, moves: Sequence[Move], error: Unsolved, now: datetime) -> LockRefused | NotYetThere:
    names, versions = (", ".join(words) for words in ([m.package for m in moves], [m.version for m in moves]))
    times = [move.release.released_at for move in moves]
    if error.missing and any(time is not None and now - time < YOUNG for time in times):
        return NotYetThere(names, versions, error.why)
    return LockRefused(path, names, versions, error.why, error.hint)


def _check(move: Move, before: Sequence[Pin]) -> None:
    """What goes into an argument list is a name that the lock has and a version in the one spelling of its scheme."""
    mine = [pin for pin in before if pin.package == move.package]
    if not mine:
        raise Unsolved("the lock has no such package")
    if any(pin.source != "index" for pin in mine):
        raise Unsolved("it does not come from an index")
    try:
        normal = SCHEMES[mine[0].ecosystem].normal(move.version)
    except ValueError as error:
        raise Unsolved(str(error)) from None
    if normal != move.version:
        raise Unsolved(f"expected the version {normal}, got {move.version!r}")


def _landed(move: Move, after: Sequence[Pin]) -> None:
    """What moves is at the version that was asked for, and what stays is where it was."""
    found = {pin.version for pin in after if pin.package == move.package}
    strange = sorted(found - {move.version, *(pin.version for pin in move.stays)})
    if strange:
        raise Unsolved(f"the lock comes to {', '.join(strange)} instead", missing=True)
    if move.version not in found:
        raise Unsolved("a lock is only found without it, for older versions of what needs it", missing=True)


def _no_more_than_needed(asked: set[str], diff: LockDiff, idle: Callable[[], LockDiff]) -> None:
    """Others may come, go and go forward with it. What the tool would do unasked (`idle`) is not the move's doing."""
    others = [change for change in diff.changed if change.after.package not in asked]
    for change in others:
        old, new = change.before, change.after
        key = SCHEMES[old.ecosystem].key
        if key(new.version) < key(old.version):
            raise Unsolved(f"{old.package} would have to go back from {old.version} to {new.version}")
    if not (others or diff.added or diff.removed):
        return
    unasked = idle()
    names = {change.after.package for change in unasked.changed} | {p.package for p in unasked.added + unasked.removed}
    if names:
        why = f"its tool changes {', '.join(sorted(names))} in it even without being asked"
        raise Unsolved(why, "bring the lock up to date by hand once, and commit it")


def _says_the_same(path: str, old: str, new: str) -> None:
    """What a requirements file tells an installer (which index to ask, what to build) is no version of a package."""
    if path.endswith(".txt"):
        before, after = (sorted(line.text for line in lines(text, path) if line.text[:1] == "-") for text in (old, new))
        if before != after:
            raise Unsolved(f"its tool would change the options in {path}", "compile it by hand once, and look at them")


def _stays_elsewhere(path: str, fetch: Fetch, made: Mapping[str, str]) -> None:
    """What comes from no index stays where it is. What says so in a way that nobody can read is left to the tool."""
    with contextlib.suppress(LockfileUnreadable):
        before = elsewhere([path], fetch)
        after = elsewhere([path], lambda name: made[name].encode() if name in made else fetch(name))
        if moved := strays(before, after):
            names = ", ".join(str(source) for source in moved)
            raise Unsolved(f"{names} would move with it", "move that by hand, and look at what it brings")


def _tool(text: str, path: str) -> LockTool:
    for tool in TOOLS:
        if tool.keeps(text, path):
            return tool
    made = header(text, path)
    maker = f"`{made.argv[0]}`" if made else "a tool that it does not name"
    raise Unsolved(f"it was made by {maker}, which toplayer does not run", "compile it with `uv pip compile` once")


def _gathered(tool: LockTool, given: dict[str, str], path: str, fetch: Fetch) -> dict[str, str]:
    """The lockfile and what its tool reads beside it, bare. As the repository has them, they come to be in `given`."""
    files = {path: bare(given[path])}
    waiting = [*tool.beside(files[path], path)]
    while waiting and len(files) < _MOST_FILES:
        other = waiting.pop(0)
        data = None if other in files else fetch(other)
        if data is not None:
            given[other] = _text(other, data)
            files[other] = bare(given[other])
            waiting += tool.beside(files[other], other)
    return files


def _pins(files: Mapping[str, str], path: str) -> tuple[Pin, ...]:
    return read(path, lambda name: files[name].encode() if name in files else None)


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise LockfileUnreadable(path, "", "UTF-8", f"something else at byte {error.start}") from None
