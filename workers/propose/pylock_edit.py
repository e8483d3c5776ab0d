"""pylock.toml of whoever writes no command into it (`pip lock`, `pdm export`): its text is edited, file by file, from
what the index says of the release; uv says whether what comes of it can be installed.
"""

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from watcher.inert import inert
from watcher.lockfiles import pylock
from watcher.lockfiles.compiled import header
from watcher.release import File
from watcher.wheels import Wheels, is_source
from workers.propose.bench import Unsolved
from workers.propose.by_hand import installable
from workers.propose.move import Move
from workers.propose.toml_strings import Text, strings
from workers.propose.workshop import Workshop

_FORMAT = pylock.Pylock()
_SIZE = re.compile(r"(?<![\w-])size(\s*=\s*)\d+")
_TIME = re.compile(r"(?<![\w-])upload-time(\s*=\s*)[0-9T:.Zz +-]+(?=[\s,}])")
_HINT = "lock it again with the tool that made it, or compile it with `uv pip compile`"


class PylockEdit:
    """Every pylock.toml without a command in its head."""

    def keeps(self, text: str, path: str) -> bool:
        return posixpath.basename(path).startswith("pylock.") and header(text, path) is None

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """Nothing: it does not say what it was made from."""
        return ()

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        text = files[path]
        for move in moves:
            text = moved(text, path, move, shop.uv.target)
        valid(text, path)
        if moves:
            before, after = (_FORMAT.pins(one, path, {}) for one in (files[path], text))
            elsewhere = [source.package for source in _FORMAT.sources(text, path, {})]
            installable(before, after, moves, (), elsewhere, path, shop.uv)
        return {path: text}


def valid(text: str, path: str) -> None:
    """Raises `Unsolved` if the text is no lock as the specification has it."""
    try:
        Pylock.from_dict(tomllib.loads(text)).validate()
    except (PylockValidationError, PylockUnsupportedVersionError, ValueError) as error:
        raise Unsolved(f"{path} would be no lock any more: {inert(str(error), 300)}") from None


def moved(text: str, path: str, move: Move, target: Wheels) -> str:
    """The lock with the package's version and files those of the release, each in the place of one like it."""
    data = tomllib.loads(text)
    wanted = deepcopy(data)
    edits: list[tuple[int, int, str]] = []
    places = strings(text)
    for number, row in enumerate(wanted.get("packages", ())):
        if canonicalize_name(row["name"]) != move.package or "version" not in row:
            continue
        way = ("packages", number)
        edits += [(one.start, one.end, move.version) for one in places if one.way == (*way, "version")]
        row["version"] = move.version
        for inner, file in _files(row):
            new = _like(file, inner[0] == "sdist" or len(row["wheels"]) > 1, move, target)
            mine = [one for one in places if one.way[: len(way) + len(inner)] == (*way, *inner)]
            edits += _edits(text, mine, new, places)
            _write(file, new)
    for start, end, value in sorted(edits, reverse=True):
        text = text[:start] + value + text[end:]
    if tomllib.loads(text) != wanted:
        raise Unsolved(f"{path} is written in a form that toplayer does not know", _HINT)
    return text


def _files(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if "sdist" in row:
        yield ("sdist",), row["sdist"]
    for number, wheel in enumerate(row.get("wheels", ())):
        yield ("wheels", number), wheel


def _like(file: Mapping[str, Any], exactly: bool, move: Move, target: Wheels) -> File:
    """The file of the release that is to be in the place of this one: of the same kind; or, if it is the only wheel,
    the one that fits the image best.
    """
    name = _name(file)
    old = _tags(name)
    for one in move.release.files:
        if one.hashes.get("sha256") and (is_source(one) if old is None else _tags(one.filename) == old):
            return one
    fitting = [] if exactly or old is None else [one for one in move.release.files if _fits(one, target)]
    if not fitting:
        raise Unsolved(f"the release has no file like {inert(name, 200)}", _HINT, missing=not move.release.files)
    return min(fitting, key=target.rank)


def _fits(file: File, target: Wheels) -> bool:
    try:
        return not is_source(file) and bool(file.hashes.get("sha256")) and target.rank(file) >= 0
    except ValueError:
        return False


def _name(file: Mapping[str, Any]) -> str:
    return str(file.get("name") or posixpath.basename(str(file.get("url") or file.get("path") or "")))


def _tags(filename: str) -> object:
    """What tells a wheel from the others of its release; None for what is no wheel."""
    try:
        return parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return None


def _edits(text: str, mine: Sequence[Text], new: File, all_of_them: Sequence[Text]) -> Iterator[tuple[int, int, str]]:
    """What to write where; `mine` are the strings of the old file."""
    values = {"name": new.filename, "url": new.url, "sha256": new.hashes["sha256"]}
    yield from ((one.start, one.end, values[str(one.way[-1])]) for one in mine if one.way[-1] in values)
    start = min(one.start for one in mine)
    following = [one.start for one in all_of_them if one.start > max(one.end for one in mine)]
    end = min(following, default=len(text))
    for pattern, value in ((_SIZE, str(new.size or 0)), (_TIME, _time(new))):
        if match := pattern.search(text, start, end):
            yield match.end(1), match.end(), value


def _write(file: dict[str, Any], new: File) -> None:
    values = {"name": new.filename, "url": new.url, "size": new.size or 0, "upload-time": new.uploaded_at}
    file |= {key: value for key, value in values.items() if key in file}
    file["hashes"] = {**file.get("hashes", {}), "sha256": new.hashes["sha256"]}


def _time(file: File) -> str:
    return f"{file.uploaded_at:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z" if file.uploaded_at else ""
