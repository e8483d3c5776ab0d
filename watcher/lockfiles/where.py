"""Where a lock says that a distribution is, if it is on no index: the readers that all formats share."""

import posixpath
import re
from typing import Any

from watcher.lockfiles.place import Place
from watcher.source import GIT, PATH, URL, local, of_address, of_uv

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COMMIT_LAST = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?:[0-9a-f]{24})?$")
_WEB = re.compile(r"https?://[\x21-\x7e]{1,2000}")


def in_git(place: Place, url: object, commit: object, directory: object = None) -> dict[str, Any]:
    """What a `Source` in git has to say: an address, a commit, and the directory in it."""
    at = place.a(str, url, "the address of a git repository").removeprefix("git+")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise place.wrong("the id of a commit", commit)
    return {"kind": GIT, "at": at, "commit": commit, "directory": _inner(place, directory)}


def on_web(place: Place, url: object, directory: object = None) -> dict[str, Any]:
    """What a `Source` at an address has to say."""
    at = place.a(str, url, "the address of an archive")
    if not _WEB.fullmatch(at):
        raise place.wrong("the address of an archive (https://…)", at)
    return {"kind": URL, "at": at, "directory": _inner(place, directory)}


def in_repository(place: Place, path: object, editable: object = False, directory: object = None) -> dict[str, Any]:
    """What a `Source` in the repository itself has to say; the path is as seen from the lock."""
    name = place.a(str, path, "a path")
    at = local(posixpath.dirname(place.path), name)
    if not at:
        raise place.wrong("a path of the repository", name)
    return {"kind": PATH, "at": at, "editable": editable is True, "directory": _inner(place, directory)}


def anywhere(place: Place, text: str, *, editable: bool = False) -> dict[str, Any]:
    """Any of them, as pip writes it: an address, or a path."""
    if text.startswith("file:") or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
        return in_repository(place, text, editable)
    found = of_address(text)
    if found is None:
        raise place.wrong("git+https://…@<commit>, or the address of an archive", text)
    return {**found, "directory": _inner(place, found["directory"])}


def by_uv(place: Place, text: object) -> dict[str, Any]:
    """One in git, as uv.lock writes it."""
    found = of_uv(place.a(str, text, "the address of a git repository"))
    if found is None:
        raise place.wrong("an address that ends in #<commit>", text)
    return {**found, "directory": _inner(place, found["directory"])}


def commit_mark(text: object) -> tuple[str, ...]:
    """The commit that a text ends in, as a pin has it among its hashes: it says what is installed."""
    found = _COMMIT_LAST.search(text) if isinstance(text, str) else None
    return (f"ref:{found[0]}",) if found else ()


def _inner(place: Place, directory: object) -> str:
    if directory is None or directory == "":
        return ""
    name = place.a(str, directory, "a directory")
    inner = local("", name)
    if not inner:
        raise place.wrong("a directory of the source", name)
    return inner
