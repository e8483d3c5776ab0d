"""Text → logical lines: continuations joined, comments left out, heredocs with the line that opens them.

The rules are those of BuildKit's parser, with its oddities: a continuation keeps the blanks that follow it, an empty
line does not end one, and an escape character that stands behind another one continues nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from watcher.dockerfile.shell import words
from watcher.dockerfile.source import DockerfileUnreadable, Span

_BOM = "\ufeff"
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_KNOWN = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)")
_CONTINUED = {token: re.compile(rf"(?:^|(?<=[^{re.escape(token)}])){re.escape(token)}[ \t]*\Z") for token in "\\`"}


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A document within the file: the name that ends it, and its lines.

    `expand`: variables in it are replaced. `chomp`: leading tabs of its lines do not count. `span` is that of the
    content.
    """

    name: str
    content: str
    expand: bool
    chomp: bool
    span: Span

    @property
    def text(self) -> str:
        """The content as an instruction sees it."""
        return re.sub(r"(?m)^\t+", "", self.content) if self.chomp else self.content


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction's text in one piece. `first` and `last` count the file's lines from 1; `span` covers them all.

    `comments` are those right above it, without their `#`.
    """

    text: str
    first: int
    last: int
    span: Span
    comments: tuple[str, ...]
    heredocs: tuple[Heredoc, ...]
    _pieces: tuple[tuple[int, int], ...] = field(repr=False)

    def span_of(self, start: int, end: int) -> Span:
        """Where in the file the characters `start` to `end` of `text` stand, with whatever is between them."""
        last = self._place(end - 1) + 1 if end > start else self._place(start)
        return Span(self._place(start), last)

    def _place(self, offset: int) -> int:
        begin, source = self._pieces[max(bisect_right(self._pieces, (offset, 1 << 62)) - 1, 0)]
        return source + offset - begin


class Reader:
    """Reads a text once. Afterwards `directives` are its parser directives, by their names."""

    def __init__(self, text: str, path: str, may_have_heredoc: Callable[[str, str], bool]) -> None:
        self._path, self._may_have_heredoc = path, may_have_heredoc
        self._rows = list(_rows(text))
        self._next = 0
        self._directing = True
        self.directives: dict[str, str] = {}

    @property
    def escape(self) -> str:
        """The escape character: a backslash, unless the file says otherwise."""
        return self.directives.get("escape", "\\")

    def lines(self) -> Iterator[Line]:
        """The logical lines. A `DockerfileUnreadable` names the first that cannot be read."""
        comments: list[str] = []
        while self._next < len(self._rows):
            first = self._next
            start, raw = self._take()
            stripped = raw.rstrip("\r\n").lstrip()
            start += len(raw) - len(raw.lstrip()) if stripped else 0
            if stripped.startswith("#"):
                if not self._direct(stripped, first + 1):
                    comments = [*comments, stripped[1:].strip()] if stripped[1:].strip() else []
                continue
            self._directing = False
            text, going_on = self._trimmed(stripped)
            if not text and not going_on:
                continue
            pieces, text = self._continued(text, start, going_on)
            heredocs = tuple(self._heredocs(text, first + 1))
            end = self._rows[self._next - 1]
            span = Span(start, end[0] + len(end[1].rstrip("\r\n")))
            yield Line(text, first + 1, self._next, span, tuple(comments), heredocs, tuple(pieces))
            comments = []

    def _take(self) -> tuple[int, str]:
        self._next += 1
        return self._rows[self._next - 1]

    def _direct(self, comment: str, line: int) -> bool:
        """Whether the comment is a parser directive. They stand above everything else, other comments included."""
        found = _DIRECTIVE.fullmatch(comment) if self._directing else None
        name = found[1].lower() if found else ""
        if found is None or name not in _KNOWN:
            self._directing = False
            return False
        if name in self.directives:
            raise DockerfileUnreadable(self._path, line, f"the directive `{name}` once", "it twice")
        if name == "escape" and found[2] not in ("\\", "`"):
            raise DockerfileUnreadable(self._path, line, "a backslash or a backtick as `escape`", repr(found[2]))
        self.directives[name] = found[2]
        return True

    def _trimmed(self, row: str) -> tuple[str, bool]:
        """The row without what continues it on the next one, and whether it has that."""
        found = _CONTINUED[self.escape].search(row)
        return (row[: found.start()], True) if found else (row, False)

    def _continued(self, text: str, start: int, going_on: bool) -> tuple[list[tuple[int, int]], str]:
        pieces, parts, length = [(0, start)], [text], len(text)
        while going_on and self._next < len(self._rows):
            begin, raw = self._take()
            row = raw.rstrip("\r\n")
            if row.lstrip().startswith("#") or not row.strip():
                continue
            part, going_on = self._trimmed(row)
            pieces.append((length, begin))
            parts.append(part)
            length += len(part)
        return pieces, "".join(parts)

    def _heredocs(self, text: str, line: int) -> Iterator[Heredoc]:
        if "<<" not in text or not self._may_have_heredoc(text, self.escape):
            return
        for opening in openings(text):
            begin = self._rows[self._next][0] if self._next < len(self._rows) else 0
            rows: list[str] = []
            while True:
                if self._next >= len(self._rows):
                    raise DockerfileUnreadable(
                        self._path, line, f"a line `{opening.name}` below", "the end of the file"
                    )
                _, raw = self._take()
                row = raw.rstrip("\r\n")
                if (row.lstrip("\t") if opening.chomp else row) == opening.name:
                    break
                rows.append(raw)
            content = "".join(rows)
            yield Heredoc(opening.name, content, opening.expand, opening.chomp, Span(begin, begin + len(content)))


@dataclass(frozen=True, slots=True)
class Opening:
    """`<<NAME` on a line."""

    name: str
    expand: bool
    chomp: bool


def openings(text: str) -> list[Opening]:
    """The heredocs that a line opens, in order."""
    found = (opening(word) for word in words(text, raw=True) or ())
    return [one for one in found if one]


def opening(word: str) -> Opening | None:
    """The heredoc that a word opens, if it does."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    plain, quoted = words(match[3]), words(match[3], raw=True, escapes=False)
    if plain is None or quoted is None or len(plain) != 1:
        return None
    return Opening(plain[0], _quotes(plain[0]) == _quotes(quoted[0]), bool(match[2]))


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """The file's lines, ends included, and where each begins."""
    start = len(_BOM) if text.startswith(_BOM) else 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, text[start:end]
        start = end
