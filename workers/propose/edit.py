"""Moving a pin in a requirements file by hand: the version, its hashes, and not a character more."""

import re
from collections.abc import Sequence

from packaging.utils import InvalidName, canonicalize_name

from watcher.lockfiles.lines import lines
from watcher.versions import SCHEMES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_GAP = r"(?:[ \t]|\\\r?\n)*"
_EXACTLY = re.compile(rf"(?P<before>===?{_GAP})(?P<version>[A-Za-z0-9.!+_-]+)(?![A-Za-z0-9.!+_*-])")
_END, _COMMENT = re.compile(r";|\s--"), re.compile(r"\s#")
_HASH = re.compile(r"--hash(?P<between>[= ]+)[A-Za-z0-9_]+:[A-Za-z0-9]+")


def edited(text: str, path: str, package: str, version: str, hashes: Sequence[str], only: str = "") -> str:
    """`text` with every pin of `package` at `version`, and with `hashes` (`sha256:…`) where the pin has hashes.

    With `only`, pins at another version than that stay as they are.
    Comments, order, spacing, continuation lines, line ends and a byte order mark stay as they are. The file at `path`
    has to be one that `watcher.lockfiles` can read: a `LockfileUnreadable` otherwise.
    """
    physical = text.split("\n")
    for line in reversed(lines(text, path)):
        if _package(line.text) == package and _is_at(line.text, only):
            place = slice(line.first - 1, line.last)
            physical[place] = _moved("\n".join(physical[place]), version, hashes).split("\n")
    return "\n".join(physical)


def _package(requirement: str) -> str:
    name = _NAME.match(requirement)
    try:
        return canonicalize_name(name[0], validate=True) if name else ""
    except InvalidName:
        return ""


def _is_at(requirement: str, version: str) -> bool:
    pin = _EXACTLY.search(requirement)
    return not version or (pin is not None and SCHEMES["pypi"].normal(pin["version"]) == version)


def _moved(requirement: str, version: str, hashes: Sequence[str]) -> str:
    body, comment = _parted(requirement, _COMMENT)
    specifier, rest = _parted(body, _END)
    return _rehashed(_EXACTLY.sub(lambda pin: pin["before"] + version, specifier) + rest, hashes) + comment


def _parted(text: str, at: re.Pattern[str]) -> tuple[str, str]:
    found = at.search(text)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")


def _rehashed(body: str, hashes: Sequence[str]) -> str:
    """The first hash tells how one is written, and what stands between it and the second how they are parted."""
    old = list(_HASH.finditer(body))
    if not old:
        return body
    first, last = old[0], old[-1]
    space = re.search(r"[\s\\]*$", body[: first.start()])
    parting = body[first.end() : old[1].start()] if len(old) > 1 else space[0] if space else " "
    new = parting.join(f"--hash{first['between']}{one}" for one in hashes)
    return body[: first.start()] + new + body[last.end() :]
