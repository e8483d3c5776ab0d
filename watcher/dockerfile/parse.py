"""A Dockerfile → its instructions, each with the places of its words."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from watcher.dockerfile.lines import Heredoc, Line, Reader
from watcher.dockerfile.source import DockerfileUnreadable, Span, Word

LARGEST = 1_000_000
"""Bytes. Real ones have some thousand."""

_BLANK = re.compile(r"[\t\v\f\r ]+")
_SYNTAX = re.compile(r"^\ufeff?[ \t]*#\s*syntax\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_EXEC = ("CMD", "ENTRYPOINT", "RUN", "SHELL")
_LISTS = ("ADD", "COPY", "VOLUME")
_PAIRS = ("ENV", "LABEL")
_WITH_HEREDOC = ("ADD", "COPY", "RUN")
KEYWORDS = (
    *_EXEC,
    *_LISTS,
    *_PAIRS,
    *("ARG", "EXPOSE", "FROM", "HEALTHCHECK", "MAINTAINER", "ONBUILD"),
    *("STOPSIGNAL", "USER", "WORKDIR"),
)


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name=value`; without a value it is `true`, as far as anybody asks."""

    name: str
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `keyword` is in capitals, `first` and `last` are lines from 1, `span` covers heredocs, too.

    `words` are its arguments as they are written: split at blanks, or, with `in_json`, the texts of a JSON array. For
    instructions that take one text (`RUN`, `WORKDIR`, `USER`, …) it is that text. `trigger` is what `ONBUILD` keeps for
    later. `text` is the whole in one line, without comments and continuations.
    """

    keyword: str
    flags: tuple[Flag, ...]
    words: tuple[Word, ...]
    in_json: bool
    heredocs: tuple[Heredoc, ...]
    comments: tuple[str, ...]
    first: int
    last: int
    span: Span
    text: str
    trigger: "Instruction | None" = None
    _line: Line = field(repr=False, compare=False, kw_only=True)
    _begin: int = field(repr=False, compare=False, kw_only=True)

    def span_of(self, start: int, end: int) -> Span:
        """Where in the file the characters `start` to `end` of its arguments stand, the first of them being 0."""
        return self._line.span_of(self._begin + start, self._begin + end)

    def flag(self, name: str) -> str | None:
        """The value of a flag, or None without it. Of one that is given twice, the last."""
        return next((flag.value for flag in reversed(self.flags) if flag.name == name), None)

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a flag that may be given several times."""
        return tuple(flag.value for flag in self.flags if flag.name == name)

    def has(self, name: str) -> bool:
        """Whether a flag that is on or off is on."""
        return (self.flag(name) or "false").lower() == "true"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A Dockerfile's text and what stands in it. `path` is its name, for people."""

    path: str
    text: str
    directives: dict[str, str] = field(hash=False)
    instructions: tuple[Instruction, ...]

    @property
    def escape(self) -> str:
        """The escape character."""
        return self.directives.get("escape", "\\")

    @property
    def frontend(self) -> Word | None:
        """The image that reads the file in the builder's place (`# syntax=`), if it names one."""
        found = _SYNTAX.search(self.text) if "syntax" in self.directives else None
        return Word(found[1], Span(*found.span(1))) if found else None


def decoded(raw: bytes, path: str) -> str:
    """The file's text. Bytes that are no UTF-8 stay what they are (surrogate escapes)."""
    if len(raw) > LARGEST:
        raise DockerfileUnreadable(path, 0, f"at most {LARGEST:,} bytes", f"{len(raw):,}")
    return raw.decode("utf-8", "surrogateescape")


def parse(text: str, path: str = "Dockerfile") -> Parsed:
    """The instructions of a Dockerfile. A `DockerfileUnreadable` says where it is none.

    What is refused is what BuildKit's parser refuses, and instructions that no Dockerfile has.
    """
    reader = Reader(text, path, _may_have_heredoc)
    instructions = []
    for line in reader.lines():
        try:
            instructions.append(_instruction(line, reader.escape))
        except _Unlike as fault:
            raise DockerfileUnreadable(path, line.first, fault.expected, fault.got) from None
    if not instructions:
        raise DockerfileUnreadable(path, 0, "instructions", "none")
    return Parsed(path, text, reader.directives, tuple(instructions))


class _Unlike(Exception):
    def __init__(self, expected: str, got: str) -> None:
        self.expected, self.got = expected, got
        super().__init__(expected, got)


@dataclass(frozen=True, slots=True)
class _Head:
    """What comes before the arguments. Places are within the line's text."""

    keyword: str
    flags: tuple[tuple[str, int, int], ...]
    rest: int


def _head(text: str, start: int, escape: str) -> _Head:
    start += len(text[start:]) - len(text[start:].lstrip())
    found = _BLANK.search(text, start)
    if found is None:
        return _Head(text[start:].rstrip(), (), len(text))
    flags, at = [], found.end()
    for word, begin, end in _flag_words(text, at, escape):
        at = end
        if word == "--":
            break
        flags.append((word, begin, end))
    return _Head(text[start : found.start()], tuple(flags), at)


def _flag_words(text: str, at: int, escape: str) -> Iterator[tuple[str, int, int]]:
    """The words from `at` on that begin with two dashes, without quotes, and where they stand."""
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith("--", at):
            return
        begin, word, quote = at, "", ""
        while at < len(text) and (quote or not text[at].isspace()):
            char = text[at]
            if char == quote or (not quote and char in "'\""):
                quote = "" if quote else char
            elif char == escape:
                at += 1
                word += text[at : at + 1]
            else:
                word += char
            at += 1
        yield word, begin, min(at, len(text))


def _instruction(line: Line, escape: str, start: int = 0) -> Instruction:
    head = _head(line.text, start, escape)
    keyword = head.keyword.upper()
    if keyword not in KEYWORDS:
        raise _Unlike("an instruction", head.keyword or "none")
    trigger = _instruction(line, escape, head.rest) if keyword == "ONBUILD" and line.text[head.rest :].strip() else None
    if keyword == "ONBUILD" and trigger is None:
        raise _Unlike("an instruction after ONBUILD", "nothing")
    found, in_json = ([], False) if trigger else _arguments(keyword, line.text, head.rest, escape)
    return Instruction(
        keyword=keyword,
        flags=tuple(_flag(word, line.span_of(begin, end)) for word, begin, end in head.flags),
        words=tuple(Word(text, line.span_of(begin, end)) for text, begin, end in found),
        in_json=in_json,
        heredocs=line.heredocs,
        comments=line.comments,
        first=line.first,
        last=line.last,
        span=line.span,
        text=line.text[start:].strip(),
        trigger=trigger,
        _line=line,
        _begin=found[0][1] if found else head.rest,
    )


def _flag(word: str, span: Span) -> Flag:
    name, equals, value = word.removeprefix("--").partition("=")
    return Flag(name, value if equals else "true", span)


_Placed = list[tuple[str, int, int]]


def _arguments(keyword: str, text: str, rest: int, escape: str) -> tuple[_Placed, bool]:
    begin, end = rest + len(text[rest:]) - len(text[rest:].lstrip()), len(text.rstrip())
    if begin >= end:
        if keyword in ("FROM", "WORKDIR", "USER", "ENV", "LABEL", "EXPOSE", "STOPSIGNAL", "MAINTAINER", "HEALTHCHECK"):
            raise _Unlike(f"something after {keyword}", "nothing")
        return [], False
    if keyword in (*_EXEC, *_LISTS):
        listed = _json(text[begin:end])
        if listed is not None:
            return [(item, begin, end) for item in listed], True
    if keyword in _PAIRS:
        return _pairs(keyword, text, begin, end, escape), False
    if keyword == "ARG":
        return list(_quoted_words(text, begin, end, escape)), False
    if keyword in ("FROM", "EXPOSE", *_LISTS):
        return list(_split(text, begin, end)), False
    return [(text[begin:end], begin, end)], False


def _json(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    if not all(isinstance(item, str) for item in found):
        raise _Unlike("texts only in a JSON array", text)
    return found


def _split(text: str, begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    at = begin
    for gap in [*_BLANK.finditer(text, begin, end), None]:
        stop = gap.start() if gap else end
        if stop > at:
            yield text[at:stop], at, stop
        at = gap.end() if gap else end


def _pairs(keyword: str, text: str, begin: int, end: int, escape: str) -> _Placed:
    found = list(_quoted_words(text, begin, end, escape))
    if found and "=" not in found[0][0]:
        # The old way, `ENV name value`: the value goes on to the end of the line.
        gap = _BLANK.search(text, begin, end)
        if gap is None:
            raise _Unlike(f"{keyword} name=value", text[begin:end])
        return [(text[begin : gap.start()], begin, gap.start()), (text[gap.end() : end], gap.end(), end)]
    without = next((word for word, _, _ in found if "=" not in word), None)
    if without is not None:
        raise _Unlike(f"{keyword} name=value", without)
    if any(word.startswith("=") for word, _, _ in found):
        raise _Unlike(f"a name before `=` after {keyword}", text[begin:end])
    return found


def _quoted_words(text: str, begin: int, end: int, escape: str) -> Iterator[tuple[str, int, int]]:
    """Words split at white space outside of quotes. Quotes and escapes stay."""
    at = begin
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        first, quote = at, ""
        while at < end and (quote or not text[at].isspace()):
            char = text[at]
            if char == escape and quote != "'":
                at += 1
            elif char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            at += 1
        at = min(at, end)
        yield text[first:at], first, at


def _may_have_heredoc(text: str, escape: str) -> bool:
    head = _head(text, 0, escape)
    if head.keyword.upper() == "ONBUILD":
        head = _head(text, head.rest, escape)
    keyword = head.keyword.upper()
    if keyword not in _WITH_HEREDOC:
        return False
    try:
        return _json(text[head.rest :].strip()) is None
    except _Unlike:
        return False
