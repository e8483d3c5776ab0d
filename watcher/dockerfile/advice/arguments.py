"""TL006: an argument that changes with each build is declared where it is used."""

import re

from watcher.dockerfile.advice.draft import Draft, Piece
from watcher.dockerfile.advice.rewrite import Rewrite
from watcher.dockerfile.advice.understood import only_installs
from watcher.dockerfile.parse import Parsed
from watcher.dockerfile.project import Project
from watcher.dockerfile.stages import pairs

_PARTS = frozenset(("COMMIT", "SHA", "SHA1", "GITSHA", "REVISION", "REV", "DATE", "TIMESTAMP", "NOW"))
_WHOLE = re.compile(r"(?:(?:APP|BUILD|GIT|CI|IMAGE|RELEASE)_?)?(?:VERSION|REF|TAG|BRANCH|ID|NUMBER|TIME|NUM|HASH)")
_NOTHING = frozenset(("", "unknown", "dev", "local", "none", "latest", "head", "0", "n/a", "undefined"))
_OF_TOOLS = re.compile(
    r"(?:PIP|UV|NPM|YARN|COMPOSER|APT|DEBIAN|POETRY|SETUPTOOLS|PYTHON|NODE)_.*|.*_PROXY", re.IGNORECASE
)
_STAYS = ("FROM", "ONBUILD", "SHELL")


def argument_last(draft: Draft, _: Project) -> Rewrite | None:
    """The stage with such an argument below the installs that would be made anew with it."""
    for number, piece in enumerate(draft.pieces):
        if piece.keyword != "ARG" or len(piece.instruction.words) != 1 or piece.silences("TL006"):
            continue
        ((name, default),) = pairs(piece.instruction)
        if not _changes(name, default):
            continue
        first = number + 1
        while first < len(draft.pieces) and _does_not_care(draft.pieces[first], name):
            first += 1
        passed = draft.pieces[number + 1 : first]
        if any(one.keyword == "RUN" for one in passed):
            rows: list[Piece | str] = [*draft.pieces[:number], *passed, piece, *draft.pieces[first:]]
            said = f"`{name}` changes with each build, and every RUN below it is made anew with it"
            return Rewrite(piece.instruction.first, said, draft.text(rows))
    return None


def volatile(parsed: Parsed) -> frozenset[str]:
    """The arguments of a Dockerfile that change with each build."""
    first = next(number for number, one in enumerate(parsed.instructions) if one.keyword == "FROM")
    in_front, found = (
        {name: default for one in part if one.keyword == "ARG" for name, default in pairs(one)}
        for part in (parsed.instructions[:first], parsed.instructions[first:])
    )
    # One in front says what the image stands on.
    return frozenset(name for name, default in found.items() if name not in in_front and _changes(name, default))


def _changes(name: str, default: str | None) -> bool:
    """Whether it looks like one that changes with each build: by its name, and because its default says nothing."""
    upper = name.upper()
    telling = bool(_PARTS & set(upper.split("_")) or _WHOLE.fullmatch(upper))
    return telling and (default or "").strip("\"'").lower() in _NOTHING and not _OF_TOOLS.fullmatch(name)


def _does_not_care(piece: Piece, name: str) -> bool:
    """Whether an instruction is the same without the argument. A RUN has it in its environment, asked or not."""
    if piece.keyword in _STAYS or re.search(rf"\$\{{?{re.escape(name)}\b", piece.text):
        return False
    if piece.keyword in ("ARG", "ENV") and any(other == name for other, _ in pairs(piece.instruction)):
        return False
    return piece.keyword != "RUN" or only_installs(piece)
