"""requirements.txt, or pylock.toml, as `uv pip compile` made it: its own command again, with the one package moved."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile

from watcher.inert import inert
from watcher.lockfiles.compiled import Compiled, compiled, header
from watcher.lockfiles.lines import lines
from watcher.lockfiles.wanted import included, inside
from workers.propose.bench import Unsolved
from workers.propose.manifest import unbuilt
from workers.propose.move import Move
from workers.propose.requirement_edit import raised_in
from workers.propose.uv import Uv, upgrades
from workers.propose.uv_settings import configuration
from workers.propose.workshop import Workshop


class Kind(Enum):
    """What a header may ask of us. Everything else is refused: it could name commands, other interpreters, places
    outside of the repository, or turn off a protection. PAST is what was of that day: how much to move and to say.
    """

    FLAG = (
        "--all-extras --emit-build-options --emit-index-annotation --generate-hashes --no-annotate --no-build "
        "--no-deps --no-sources --no-strip-extras --no-strip-markers --strip-extras --universal"
    )
    VALUE = (
        "--annotation-style --exclude-newer --exclude-newer-package --extra --fork-strategy --group --index-strategy "
        "--no-binary --no-emit-package --no-sources-package --only-binary --prerelease --prerelease-package "
        "--python-platform --python-version --resolution --torch-backend"
    )
    FILE = "-c --constraint --constraints --excludes --override --overrides"
    INDEX = "-i --default-index --extra-index-url --index --index-url"
    PYTHON = "-p --python"
    OUTPUT = "-o --output-file"
    PAST = "-U --upgrade -n --no-cache --no-progress --offline -q --quiet --refresh --system-certs -v --verbose"
    PAST_VALUE = "--color -P --refresh-package --upgrade-package"


_KINDS = {option: kind for kind in Kind for option in kind.value.split()}
_ADDRESS = re.compile(r"(?:[A-Za-z0-9_-]+=)?https?://[^@\s]+")
_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")


def _made(text: str, path: str) -> Compiled | None:
    """How the file was made, as its header tells."""
    if posixpath.basename(path).startswith("pylock."):
        return header(text, path)
    return compiled(lines(text, path), path) if path.endswith((".txt", ".in")) else None


class UvCompile:
    """The header's command, where the header says that uv made the file."""

    def keeps(self, text: str, path: str) -> bool:
        made = _made(text, path)
        return made is not None and made.argv[0] == "uv"

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """Everything that the command names, and uv's configuration; of a requirements file, what it includes."""
        made = _made(text, path)
        if made is not None and made.argv[0] == "uv":
            named = (inside(made.directory, word.value) for word in words(made) if word.kind == Kind.FILE)
            return (*named, *configuration(made.directory))
        return included(text, path) if path.endswith((".txt", ".in")) else ()

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        made = _made(files[path], path)
        assert made is not None
        edits = raised_in(files, set(files) - {path}, moves)
        with shop.uv.bench(unbuilt({**files, **edits})) as bench:
            bench.uv(argv(made, path, moves, _target(files[path], path, shop.uv)), made.directory)
            return {**edits, path: like(files[path], bench.read(path))}


def _target(text: str, path: str, uv: Uv) -> tuple[str, str]:
    """What counts where the header leaves it open: the image's Python, or the one that the lock itself is for."""
    python, platform = uv.for_target
    said = re.search(r'(?m)^requires-python = ">=(3[\d.]*)"$', text) if path.endswith(".toml") else None
    return f"--python-version={said[1]}" if said else python, platform


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


def words(made: Compiled) -> Iterator[Word]:
    """What the command says that still counts. `Unsolved` for what toplayer does not do."""
    rest = list(made.argv[3:])
    while rest:
        argument = rest.pop(0)
        option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "=", argument)
        kind = _KINDS.get(option) if option else Kind.FILE
        if kind is None or (kind in (Kind.FLAG, Kind.PAST) and equals):
            raise Unsolved(f"its header asks for `{inert(option, 80)}`, which toplayer does not do")
        if kind in (Kind.FLAG, Kind.PAST):
            word = Word(kind, option)
        else:
            word = _checked(Word(kind, option, value if equals or not rest else rest.pop(0)), made.directory)
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
    if word.kind == Kind.FILE and posixpath.basename(word.value) in ("setup.py", "setup.cfg"):
        raise Unsolved(f"{said}, which has to be built to be read, and toplayer builds nothing")
    if word.kind == Kind.INDEX and not _ADDRESS.fullmatch(word.value):
        raise Unsolved(f"{said} with something else than an http address without a password")
    if word.kind == Kind.PYTHON and not _VERSION.fullmatch(word.value):
        raise Unsolved(f"{said}, which is not a version", "compile it with --python-version")
    return word


def argv(made: Compiled, path: str, moves: Sequence[Move], target: Iterable[str]) -> list[str]:
    """The words behind `uv`: the header's, the moves, and of `target` (`--option=value`) what is still open."""
    given = [word for word in words(made) if word.kind != Kind.OUTPUT]
    said = [text for word in given for text in word.spelled()]
    output = ["--output-file", posixpath.relpath(path, made.directory or ".")]
    free = [] if "--universal" in said else [word for word in target if word.partition("=")[0] not in said]
    return ["pip", "compile", *said, *output, *upgrades(moves), *free, "--quiet"]


def like(old: str, new: str) -> str:
    """`new` under the header of `old`."""
    mine, theirs = old.split("\n"), new.split("\n")
    head, new_head = (sum(1 for _ in takewhile(lambda line: line.startswith("#"), rows)) for rows in (mine, theirs))
    return "\n".join([*mine[:head], *theirs[new_head:]])
