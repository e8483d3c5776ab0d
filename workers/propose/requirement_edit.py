"""Raising a project's requirement in its manifest: the one constraint, and not a character more."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from packaging.utils import canonicalize_name

from watcher.requirement import raised
from workers.propose.bench import Unsolved
from workers.propose.move import Move

_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\s*\[[^\]\"'\n]*\])?\s*\(?\s*"
_SPEC = r"(?P<spec>[<>=!~][^;\"'()@#\\\n]*?)"
_QUOTED = re.compile(rf"(?P<quote>[\"'])\s*{_NAME}{_SPEC}\s*\)?\s*(?=;|(?P=quote))")
_LINE = re.compile(rf"(?m)^[ \t]*{_NAME}{_SPEC}(?=[ \t]*\)?[ \t]*(?:;|#|\\|\s--|\r?$))")
_HEADER = re.compile(r"(?m)^[ \t]*\[[ \t]*([^\[\]\n]+?)[ \t]*\][^\n]*$")
_ROW = re.compile(
    r"(?m)^[ \t]*[\"']?(?P<name>[A-Za-z0-9._-]+)[\"']?[ \t]*=[ \t]*(?:\{[^}\n]*?\bversion[ \t]*=[ \t]*)?"
    r"(?P<quote>[\"'])(?P<spec>[^\"'\n]+)(?P=quote)"
)
_VERSION = re.compile(r"(?m)^[ \t]*version[ \t]*=[ \t]*(?P<quote>[\"'])(?P<spec>[^\"'\n]+)(?P=quote)")
_POETRY = r"tool\npoetry\n(?:group\n[^\n]+\n|dev-)?dependencies(?:\n(.+))?"
_NO_PACKAGES = ("source", "requires", "scripts", "pipenv")


def raised_in(files: Mapping[str, str], manifests: Iterable[str], moves: Sequence[Move]) -> dict[str, str]:
    """The manifests in which a requirement had to be raised for `moves`. `Unsolved` if one may not be."""
    made: dict[str, str] = {}
    for path in manifests:
        text = files.get(path)
        for move in moves if text is not None else ():
            text = _raised(text or "", path, move)
        if text is not None and text != files[path]:
            made[path] = text
    return made


def _raised(text: str, path: str, move: Move) -> str:
    for start, end, spelling in sorted(_places(text, path, move.package), reverse=True):
        old = text[start:end]
        try:
            new = raised(spelling, old, move.version, move.requirement)
        except ValueError:
            continue
        if new is None:
            hint = f"raise it in {path}, or let the policy do that (`requirement`)"
            raise Unsolved(f"{path} asks for {move.package} {old}", hint)
        text = text[:start] + new + text[end:]
    return text


def _places(text: str, path: str, package: str) -> Iterator[tuple[int, int, str]]:
    """Where the package's constraints begin and end, and in whose spelling they are."""
    is_toml, is_pipfile = path.endswith(".toml"), posixpath.basename(path) == "Pipfile"
    for match in () if is_pipfile else (_QUOTED if is_toml else _LINE).finditer(text):
        if canonicalize_name(match["name"]) == package:
            yield *match.span("spec"), "pypi"
    headers = [*_HEADER.finditer(text)] if is_toml or is_pipfile else []
    for header, following in zip_longest(headers, headers[1:]):
        table = [part.strip(" \t\"'") for part in header[1].split(".")]
        about = _about(table, is_pipfile)
        end = following.start() if following else len(text)
        for match in () if about is None else (_VERSION if about else _ROW).finditer(text, header.end(), end):
            if canonicalize_name(about or match["name"]) == package:
                yield *match.span("spec"), "poetry"


def _about(table: Sequence[str], is_pipfile: bool) -> str | None:
    """The one package that a table is about; empty, if it asks for many; None, if it asks for none.

    In a Pipfile any table may ask for packages, in a pyproject.toml those of Poetry.
    """
    if is_pipfile:
        found = re.fullmatch(r"[^\n]+?(?:\n(.+))?", "\n".join(table)) if table[0] not in _NO_PACKAGES else None
    else:
        found = re.fullmatch(_POETRY, "\n".join(table))
    return None if found is None else found[1] or ""
