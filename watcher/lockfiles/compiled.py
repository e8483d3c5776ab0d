"""The header of a compiled requirements file: the command that made it, and the files that went into it."""

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from watcher.lockfiles.lines import Line, lines
from watcher.lockfiles.wanted import inside

_COMMAND = re.compile(r"\s*((?:uv pip compile|pip-compile|python -m piptools compile)(?:\s.*)?)")
_INPUT = re.compile(r"(?:.*\.(?:in|txt)|(?:.*/)?(?:pyproject\.toml|setup\.py|setup\.cfg))")
_READABLE = (".in", ".txt", ".toml")
_LONGEST = 4_000
_OUTPUT = ("-o", "--output-file")
_LIMITS = ("-c", "--constraint", "--constraints")
# Other options whose value can look like an input.
_NO_INPUT = ("--override", "--overrides", "--exclude", "--excludes", "-b", "--build-constraint", "--build-constraints")


@dataclass(frozen=True, slots=True)
class Compiled:
    """The command `argv`, run in `directory` of the repository, made the file.

    `inputs` say what the project asks for and `limits` (`-c`) what it allows; all are paths in the repository
    of files that can be read without running them.
    """

    argv: tuple[str, ...]
    directory: str
    inputs: tuple[str, ...]
    limits: tuple[str, ...]


def compiled(rows: Sequence[Line], path: str) -> Compiled | None:
    """How the file at `path` was made by uv or pip-tools, as its first lines tell, or None."""
    head = rows[0].comments if rows and not rows[0].text else ()
    command = next(filter(None, (_COMMAND.fullmatch(words) for words in head if len(words) <= _LONGEST)), None)
    try:
        argv = tuple(shlex.split(command[1])) if command else ()
    except ValueError:
        argv = ()
    if not argv:
        return None
    given = _given(argv)
    directory = _directory(path, next((value for option, value in given if option in _OUTPUT), ""))
    inputs = [value for option, value in given if not option and _INPUT.fullmatch(value)]
    if not inputs and argv[0] != "uv":
        inputs = ["requirements.in"]  # pip-compile's default
    limits = [value for option, value in given if option in _LIMITS]
    return Compiled(argv, directory, _paths(directory, inputs), _paths(directory, limits))


def header(text: str, path: str) -> Compiled | None:
    """The same, of a file in which only the comments at its top can be read as those of a requirements file."""
    top = takewhile(lambda line: line.startswith("#"), text.removeprefix("\ufeff").splitlines(keepends=True))
    return compiled(lines("".join(top), path), path)


def _given(argv: tuple[str, ...]) -> list[tuple[str, str]]:
    """The arguments as (option, value); what is no option's value for certain has an empty option."""
    given, waiting = [], ""
    for argument in argv:
        option, equals, value = argument.partition("=")
        if waiting:
            given.append((waiting, argument))
            waiting = ""
        elif argument.startswith("-") and equals:
            given.append((option, value))
        elif argument in (*_OUTPUT, *_LIMITS, *_NO_INPUT):
            waiting = argument
        elif not argument.startswith("-"):
            given.append(("", argument))
    return given


def _directory(path: str, output: str) -> str:
    """Where the command ran: from there, its output is the file at `path`."""
    output = posixpath.normpath(output) if output else ""
    if output and f"/{path}".endswith(f"/{output}"):
        return path[: -len(output)].rstrip("/")
    return posixpath.dirname(path)


def _paths(directory: str, names: list[str]) -> tuple[str, ...]:
    found = (inside(directory, name) for name in names if name.endswith(_READABLE))
    return tuple(dict.fromkeys(filter(None, found)))
