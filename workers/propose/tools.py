"""The lock tools, and what holds for each of them: the lock that comes of it is the one that was asked for, or none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from watcher.errors import LockfileUnreadable
from watcher.lockfiles import read
from watcher.lockfiles.compiled import compiled
from watcher.lockfiles.diff import LockDiff, changes
from watcher.lockfiles.lines import lines
from watcher.pin import Pin
from watcher.versions import SCHEMES
from workers.propose.by_hand import ByHand
from workers.propose.errors import LockRefused, NotYetThere
from workers.propose.tool import LockTool, Move
from workers.propose.uv import Unsolved, Uv
from workers.propose.uv_compile import UvCompile
from workers.propose.uv_lock import UvLock

TOOLS: tuple[LockTool, ...] = (UvLock(), UvCompile(), ByHand())
"""The first that keeps a lockfile is its tool. Another one is a file, and a word here."""
YOUNG = timedelta(hours=1)
"""How long an index may need to have all of a release, everywhere."""
_MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a move: the files that are others now, by their paths, and what the lock differs in."""

    files: Mapping[str, str]
    diff: LockDiff


def moved(path: str, move: Move, fetch: Callable[[str], bytes | None], uv: Uv, now: datetime) -> Moved:
    """The lockfile at `path` with the package at the version that is asked for, and nothing moved without need.

    `fetch` gives the bytes of a file in the repository, or None. Raises `LockRefused`, `NotYetThere` if the release is
    so young (at `now`, UTC) that the index may not have it all, `LockfileUnreadable`, and what `fetch` and `uv` raise.
    """
    fetch = cache(fetch)
    before = read(path, fetch)
    try:
        text = _text(path, fetch(path) or b"")
        tool = _tool(text, path)
        files = _gathered(tool, text, path, fetch)
        _check(move, before)
        after = tool.run(files, path, move, uv)
        diff = changes(before, _pins(files, path, after))
        _landed(move, _pins(files, path, after))
        _no_more_than_needed(move, diff, lambda: changes(before, _pins(files, path, tool.run(files, path, None, uv))))
    except Unsolved as error:
        released = move.release.released_at
        if error.missing and released is not None and now - released < YOUNG:
            raise NotYetThere(move.package, move.version, error.why) from error
        raise LockRefused(path, move.package, move.version, error.why, error.hint) from error
    return Moved({path: after}, diff)


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
    versions = sorted({pin.version for pin in after if pin.package == move.package} - {move.version})
    if versions:
        raise Unsolved(f"the lock comes to {', '.join(versions)} instead", missing=True)
    if not any(pin.package == move.package for pin in after):
        raise Unsolved("a lock is only found without it, for older versions of what needs it", missing=True)


def _no_more_than_needed(move: Move, diff: LockDiff, idle: Callable[[], LockDiff]) -> None:
    """Others may come, go and go forward with it. What the tool would do unasked (`idle`) is not the move's doing."""
    others = [change for change in diff.changed if change.after.package != move.package]
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


def _tool(text: str, path: str) -> LockTool:
    for tool in TOOLS:
        if tool.keeps(text, path):
            return tool
    made = compiled(lines(text, path), path)
    maker = f"`{made.argv[0]}`" if made else "a tool that it does not name"
    raise Unsolved(f"it was made by {maker}, which toplayer does not run", "compile it with `uv pip compile` once")


def _gathered(tool: LockTool, text: str, path: str, fetch: Callable[[str], bytes | None]) -> dict[str, str]:
    files = {path: text}
    waiting = [*tool.beside(text, path)]
    while waiting and len(files) < _MOST_FILES:
        other = waiting.pop(0)
        data = None if other in files else fetch(other)
        if data is not None:
            files[other] = _text(other, data)
            waiting += tool.beside(files[other], other)
    return files


def _pins(files: Mapping[str, str], path: str, text: str) -> tuple[Pin, ...]:
    texts = {**files, path: text}
    return read(path, lambda name: texts[name].encode() if name in texts else None)


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise LockfileUnreadable(path, "", "UTF-8", f"something else at byte {error.start}") from None
