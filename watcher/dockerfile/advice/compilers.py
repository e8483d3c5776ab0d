"""TL007: compilers stay in a stage of their own, and what they make comes into the image as a virtual environment."""

import posixpath
import re

from watcher.dockerfile.advice.draft import Draft, Edit, Piece
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import bystander, is_of_system
from watcher.dockerfile.commands import commands
from watcher.dockerfile.install import Install, installs
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import Span

_COMPILERS = re.compile(r"gcc|g\+\+|build-essential|build-base|make|cmake|[\w.+-]+-dev|rustc|cargo")
_ONLY_TO_BUILD = frozenset(("gcc", "g++", "build-essential", "make", "cmake", "python3-dev", "rustc", "cargo"))
_OF_NO_LIBRARY = frozenset(("build-base", "libc6-dev", "libc-dev", "musl-dev"))
_TAKES = ("apt-get", "apt", "apk")
_VENV = "/opt/venv"
_ELSEWHERE = ("--user", "--break-system-packages", "--isolated")
_NAMED = re.compile(r"pip3?")


def compilers(piece: Piece) -> list[str]:
    """The compilers and headers that a RUN brings, and leaves."""
    return sorted(name for name in left(piece) if _COMPILERS.fullmatch(name))


def is_only_to_build(name: str) -> bool:
    """Whether a compiler's package has nothing that what is built with it needs at run time. Of what has headers, the
    library that they are for comes along, and that may be needed."""
    return name in _ONLY_TO_BUILD or name in _OF_NO_LIBRARY


def left(piece: Piece) -> frozenset[str]:
    """The system's packages that a RUN brings by their names, less those that it takes away again."""
    found = {name.partition("=")[0] for one in installs(piece.instruction) if is_system(one) for name in one.names}
    for words in commands(piece.instruction):
        verb, *names = [word for word in words[1:] if not word.startswith("-")] or [""]
        if words[0].rpartition("/")[2] in _TAKES and verb in ("remove", "purge", "del"):
            # By a name that apk gave to all of them, by a pattern or a variable: it may be any.
            found = found - {*names} if found.issuperset(names) or not found else set()
    return frozenset(found)


def is_system(one: Install) -> bool:
    """Whether it brings the system's packages."""
    return one.tool in ("apt", "apk")


def venv_stage(draft: Draft, _: Project) -> Rewrite | None:
    """The last stage of an official Python image without its compilers."""
    whole = draft.parsed.text
    # Whatever names the interpreter's own directories would not find what lies in the environment.
    if draft.tail.strip() or draft.stage.standing_on is not None or _VENV in whole or "/usr/local/" in whole:
        return None
    if draft.stage.base.partition("@")[0].rpartition("/")[2].partition(":")[0] != "python":
        return None
    tools = [number for number, piece in enumerate(draft.pieces) if _only_builds(piece)]
    packages = [
        n for n, piece in enumerate(draft.pieces) if any(one.tool == "pip" for one in installs(piece.instruction))
    ]
    if len(tools) != 1 or len(packages) != 1 or tools[0] > packages[0] or not draft.takes_stages:
        return None
    (tool,), (number,) = tools, packages
    pieces, run = draft.pieces, draft.pieces[number]
    between = [piece for place, piece in enumerate(pieces[:number]) if place != tool]
    if not all(bystander(one) or one.keyword == "WORKDIR" for one in between):
        return None
    edit = _into_venv(run)
    if edit is None or pieces[tool].silences("TL007") or run.silences("TL007"):
        return None
    name = draft.free("venv")
    made = run.quiet + run.edited([edit])[len(run.above) :].rstrip("\n")
    rows = [draft.again(name), *(piece.bare for piece in pieces[:number]), made, "", ""]
    image: list[Piece | str] = [
        f"ENV PATH={_VENV}/bin:$PATH",
        *between,
        f"{run.above}COPY --from={name} {_VENV} {_VENV}",
    ]
    said = "compilers stay in the image, and nothing of it needs them once the packages are built"
    text = draft.text([*image, *pieces[number + 1 :]], before="\n".join(rows))
    return Rewrite(pieces[tool].instruction.first, said, text)


def _into_venv(run: Piece) -> Edit | None:
    """The change that makes a lone `pip install` of a list work in the environment."""
    if len(run.chain or ()) != 1 or run.chain is None or not run.by_root:
        return None
    command, one = run.chain[0], run.installs[0]
    if one is None or not one.sure or one.tree or one.has(*_ELSEWHERE) or command.settings:
        return None
    if not _NAMED.fullmatch(command.words[0].written):
        return None
    span = command.words[0].span
    made = f"python3 -m venv {_VENV} && {posixpath.join(_VENV, 'bin/pip')}"
    return Span(span.start, span.end), made


def _only_builds(piece: Piece) -> bool:
    """Whether it installs compilers, and nothing that what they make could need afterwards."""
    names = {name for one in piece.installs if one for name in one.names}
    return bool(names) and is_of_system(piece) and names <= _ONLY_TO_BUILD
