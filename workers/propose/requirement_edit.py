"""Raising a project's requirement in its manifest: the one constraint, and not a character more."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name

from watcher.requirement import raised
from workers.propose.bench import Unsolved
from workers.propose.move import Move

_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\s*\[[^\]\"'\n]*\])?\s*\(?\s*"
_SPEC = r"(?P<spec>[<>=!~][^;\"'()@#\\\n]*?)"
_QUOTED = re.compile(rf"(?P<quote>[\"'])\s*{_NAME}{_SPEC}\s*\)?\s*(?=;|(?P=quote))")
_LINE = re.compile(rf"(?m)^[ \t]*{_NAME}{_SPEC}(?=[ \t]*\)?[ \t]*(?:;|#|\\|\s--|\r?$))")
# Poetry's own tables. What is exact there has no operator.
_ROW = re.compile(
    r"(?m)^[ \t]*[\"']?(?P<name>[A-Za-z0-9._-]+)[\"']?[ \t]*=[ \t]*(?:\{[^}\n]*?\bversion[ \t]*=[ \t]*)?"
    r"(?P<quote>[\"'])(?P<spec>(?:==)?\d[^\"',|*\n]*)(?P=quote)"
)
_POETRY = re.compile(r"(?ms)^\[tool\.poetry\.(?:group\.[^\]\n]*\.|dev-)?dependencies\][^\n]*\n.*?(?=^\[|\Z)")


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
    for start, end in sorted(_spans(text, path, move.package), reverse=True):
        old = text[start:end]
        exact = not old.startswith(tuple("<>=!~"))
        try:
            new = raised("pypi", f"=={old}" if exact else old, move.version, move.requirement)
        except ValueError:
            continue
        if new is None:
            hint = f"raise it in {path}, or let the policy do that (`requirement`)"
            raise Unsolved(f"{path} asks for {move.package} {old}", hint)
        text = text[:start] + (new.removeprefix("==") if exact else new) + text[end:]
    return text


def _spans(text: str, path: str, package: str) -> Iterator[tuple[int, int]]:
    found = [*_QUOTED.finditer(text)] if path.endswith(".toml") else [*_LINE.finditer(text)]
    for table in _POETRY.finditer(text) if path.endswith(".toml") else ():
        found += _ROW.finditer(text, table.start(), table.end())
    for match in found:
        if canonicalize_name(match["name"]) == package:
            yield match.span("spec")
