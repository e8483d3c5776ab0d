"""Which files of a directory a build is given: `.dockerignore`, by the rules of moby/patternmatcher."""

import posixpath
import re
from collections.abc import Callable, Iterable

Keep = Callable[[str], bool]


def keeper(text: str) -> Keep:
    """Tells of a path (of a file, relative to the context) whether the build gets it."""
    rules = [_rule(line) for line in _patterns(text)]

    def keep(path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        out = False
        for regex, takes_in in rules:
            # A pattern that fits a directory fits what is in it.
            if takes_in == out and any(regex.fullmatch(place) for place in above):
                out = not takes_in
        return not out

    return keep


def matching(pattern: str, paths: Iterable[str]) -> frozenset[str]:
    """The paths that an `--exclude` leaves out."""
    leaves = keeper(pattern)
    return frozenset(path for path in paths if not leaves(path))


def _patterns(text: str) -> Iterable[str]:
    for row in text.removeprefix("\ufeff").splitlines():
        line = row.strip()
        if line and not row.startswith("#"):
            yield line


def _rule(line: str) -> tuple[re.Pattern[str], bool]:
    takes_in = line.startswith("!")
    pattern = posixpath.normpath(line[1:].strip() if takes_in else line).lstrip("/")
    try:
        return re.compile(_regex(pattern), re.DOTALL), takes_in
    except re.error:
        return re.compile(re.escape(pattern)), takes_in


def _regex(pattern: str) -> str:
    """A pattern as a regular expression: as Go's `filepath.Match`, and `**` for any number of directories."""
    found, at = "", 0
    while at < len(pattern):
        char, at = pattern[at], at + 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
            found += ".*" if at >= len(pattern) else "(?:.*/)?"
        elif char == "*":
            found += "[^/]*"
        elif char == "?":
            found += "[^/]"
        elif char == "[":
            end = pattern.find("]", at + 1)
            found += _bracket(pattern[at:end]) if end > 0 else re.escape(char)
            at = end + 1 if end > 0 else at
        elif char == "\\" and at < len(pattern):
            found += re.escape(pattern[at])
            at += 1
        else:
            found += re.escape(char)
    return found


def _bracket(inside: str) -> str:
    negated = inside[:1] == "^"
    inside = inside[1:] if negated else inside
    return f"[{'^' if negated else ''}{inside.replace('[', chr(92) + '[').replace('&&', '&' + chr(92) + '&')}]"


def pattern(text: str) -> re.Pattern[str]:
    """A path with wildcards (`*`, `?`, `[…]`), as `COPY` takes it, as a regular expression."""
    return re.compile(_regex(text.replace("**", "*")), re.DOTALL)
