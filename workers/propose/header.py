"""The command in the header of a compiled file, word by word: what of it counts, and what toplayer does not do."""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile

from watcher.inert import inert
from watcher.lockfiles import read
from watcher.lockfiles.wanted import inside
from workers.propose.bench import Unsolved

_ADDRESS = re.compile(r"(?:[A-Za-z0-9_-]+=)?https?://[^@\s]+")
_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")
_BUILT = ("setup.py", "setup.cfg")


class Kind(Enum):
    """What an option of a header may be to us. One of no kind is refused: it could name commands, other interpreters,
    places outside of the repository, or turn off a protection.

    PAST is what was of that day, or is not for the file to say: how much to move, what to print, whom to trust.
    """

    FLAG = auto()
    VALUE = auto()
    FILE = auto()
    INDEX = auto()
    PYTHON = auto()
    OUTPUT = auto()
    PAST = auto()
    PAST_VALUE = auto()


_FLAGS = (Kind.FLAG, Kind.PAST)


def options(kinds: Mapping[Kind, str]) -> dict[str, Kind]:
    """What each option is, from a text with the options of each kind."""
    return {option: kind for kind, text in kinds.items() for option in text.split()}


@dataclass(frozen=True, slots=True)
class Word:
    """One argument of a command: an input has no option, a flag has no value."""

    kind: Kind
    option: str
    value: str = ""

    def spelled(self) -> list[str]:
        """As arguments again."""
        if self.kind == Kind.PYTHON:
            return ["--python-version", self.value]
        return [word for word in (self.option, self.value) if word]


def words(arguments: Sequence[str], directory: str, known: Mapping[str, Kind]) -> Iterator[Word]:
    """What a command, run in that directory, says that still counts. `Unsolved` for what toplayer does not do."""
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "=", argument)
        kind = known.get(option) if option else Kind.FILE
        if kind is None or (kind in _FLAGS and equals):
            raise Unsolved(f"its header asks for `{inert(option, 80)}`, which toplayer does not do")
        if kind in _FLAGS:
            word = Word(kind, option)
        else:
            word = _checked(Word(kind, option, value if equals or not rest else rest.pop(0)), directory)
        if kind not in (Kind.PAST, Kind.PAST_VALUE):
            yield word


def _checked(word: Word, directory: str) -> Word:
    # An address may hold a password: it is not shown.
    shown = word.option if word.kind == Kind.INDEX else f"{word.option} {word.value}".strip()
    said = f"its header says `{inert(shown, 80)}`"
    if not word.value or word.value.startswith("-"):
        raise Unsolved(f"{said}, with a value missing")
    if word.kind in (Kind.FILE, Kind.OUTPUT) and not inside(directory, word.value):
        raise Unsolved(f"{said}, which is not a file in the repository")
    if word.kind == Kind.FILE and posixpath.basename(word.value) in _BUILT:
        raise Unsolved(f"{said}, which has to be built to be read, and toplayer builds nothing")
    if word.kind == Kind.INDEX and not _ADDRESS.fullmatch(word.value):
        raise Unsolved(f"{said} with something else than an http address without a password")
    if word.kind == Kind.PYTHON and not _VERSION.fullmatch(word.value):
        raise Unsolved(f"{said}, which is not a version", "compile it with --python-version")
    return word


def like(old: str, new: str) -> str:
    """`new` under the head of `old`: its comments, and what it tells an installer (`--index-url`, `--no-binary`)."""
    mine, theirs = old.split("\n"), new.split("\n")
    return "\n".join([*_head(mine), *theirs[len(_head(theirs)) :]])


def unsettled(path: str, files: Mapping[str, str], again: str) -> None:
    """Raises `Unsolved` if the lock among these files is not what its tool comes to (`again`) when nothing is asked.

    Hashes do not count: not every tool sees all of them.
    """
    first, second = (_pins(path, given) for given in (files, {**files, path: again}))
    if first != second:
        names = ", ".join(sorted({name for name, _, _ in first ^ second}))
        raise Unsolved(f"its tool does not keep what it came to: the second time it would change {names}")


def _pins(path: str, files: Mapping[str, str]) -> set[tuple[str, str, str]]:
    pins = read(path, lambda name: files[name].encode() if name in files else None)
    return {(pin.package, pin.version, pin.marker) for pin in pins}


def _head(rows: Sequence[str]) -> list[str]:
    return list(takewhile(lambda row: not row.strip() or row.startswith(("#", "-")), rows))
