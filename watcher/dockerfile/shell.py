"""Words of a Dockerfile: variables replaced, quotes and escapes taken away, as BuildKit does it (`shell/lex.go`).

This is no shell: what `RUN` says goes to a real one, unread. Here it is only ever read to *recognise* it: see
`commands.py`.
"""

import re
from collections.abc import Mapping

_SPACES = " \t\r"
_SPECIAL = "@*#?-$!0"


class BadSubstitution(ValueError):
    """A `${…}` that Dockerfiles do not have, or a quote that does not end."""


def expand(word: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The word with its variables replaced (one that is not set by nothing), and without quotes and escapes."""
    return _Lexer(word, variables, escape).read("")[0]


def words(text: str, *, raw: bool = False, escapes: bool | None = None) -> list[str] | None:
    """The words of a text, split at white space outside of quotes; None if a quote does not end.

    Variables stay as they are; `raw` keeps the quotes, and `escapes` (without it: as `raw`) the escape characters.
    """
    try:
        return _Lexer(text, None, "\\", raw, raw if escapes is None else escapes).read("")[1]
    except BadSubstitution:
        return None


class _Lexer:
    """`variables` None: none is known, and what is not known stays as it is written."""

    def __init__(
        self,
        text: str,
        variables: Mapping[str, str] | None,
        escape: str,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
    ) -> None:
        self._text, self._at, self._variables, self._escape = text, 0, variables, escape
        self._raw_quotes, self._raw_escapes = raw_quotes, raw_escapes

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def read(self, stop: str) -> tuple[str, list[str]]:
        """Up to the character `stop` (empty: to the end): the whole, and its words."""
        said, found = "", _Words()
        special = {"$": self._dollar, "<": self._less, "'": self._single, '"': self._double}
        while char := self._peek():
            if char == stop:
                self._next()
                return said, found.all()
            if char in special:
                part = special[char]()
                said += part
                found.split(part) if char == "$" else found.join(part)
                continue
            self._next()
            if char != self._escape:
                said += char
                found.split(char)
                continue
            kept = char if self._raw_escapes else ""
            after = self._next()
            said += kept + after
            found.join(kept + after)
        if stop:
            raise BadSubstitution(f"expected `{stop}`, got the end")
        return said, found.all()

    def _single(self) -> str:
        self._next()
        end = self._text.find("'", self._at)
        if end < 0:
            raise BadSubstitution("a single quote does not end")
        inside, self._at = self._text[self._at : end], end + 1
        return f"'{inside}'" if self._raw_quotes else inside

    def _double(self) -> str:
        self._next()
        said = ""
        while char := self._peek():
            if char == '"':
                self._next()
                return f'"{said}"' if self._raw_quotes else said
            if char == "$":
                said += self._dollar()
                continue
            self._next()
            if char == self._escape:
                said += char if self._raw_escapes else ""
                after = self._peek()
                if not after:
                    continue
                char = self._next() if after in ('"', "$", self._escape) else char
            said += char
        raise BadSubstitution("a double quote does not end")

    def _less(self) -> str:
        self._next()
        if self._peek() != "<":
            return "<"
        self._next()
        said = "<<"
        while self._peek() and self._peek() in _SPACES:
            said += self._next()
        return said

    def _dollar(self) -> str:
        self._next()
        if self._peek() != "{":
            name = self._name()
            return self._value(name, f"${name}") if name else "$"
        self._next()
        if self._peek() in ("", "{", "}", ":"):
            raise BadSubstitution("expected a name in ${…}")
        name = self._name()
        return self._modified(name)

    def _modified(self, name: str) -> str:
        sign = self._next()
        if sign == "}":
            return self._value(name, f"${{{name}}}")
        if sign == "/":
            return self._replaced(name)
        colon = sign == ":"
        if colon:
            sign = self._next()
        if not sign or sign not in "+-?#%" or (colon and sign in "#%"):
            raise BadSubstitution(f"${{{name}{':' if colon else ''}{sign}…}} is not known")
        word = self._inside(sign in "#%")
        if self._variables is None:
            return f"${{{name}{':' if colon else ''}{sign}{word}}}"
        value = self._variables.get(name)
        there = bool(value) if colon else value is not None
        if sign == "-":
            return (value or "") if there else word
        if sign == "+":
            return word if there else ""
        if sign == "?":
            if not there:
                raise BadSubstitution(f"{name}: {word or 'is not set'}")
            return value or ""
        return _without(value or "", word, sign)

    def _inside(self, raw_escapes: bool) -> str:
        before, self._raw_escapes = self._raw_escapes, raw_escapes
        try:
            return self.read("}")[0]
        finally:
            self._raw_escapes = before

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self._next()
        before, self._raw_escapes = self._raw_escapes, True
        try:
            pattern, by = self.read("/")[0], self.read("}")[0]
        finally:
            self._raw_escapes = before
        if self._variables is None:
            return f"${{{name}/{'/' if every else ''}{pattern}/{by}}}"
        value = self._variables.get(name, "")
        return re.sub(_pattern(pattern, greedy=True), lambda _: by, value, count=0 if every else 1)

    def _value(self, name: str, written: str) -> str:
        return written if self._variables is None else self._variables.get(name, "")

    def _name(self) -> str:
        first = self._peek()
        if first.isdigit():
            found = re.compile(r"\d+").match(self._text, self._at)
        elif first and first in _SPECIAL:
            return self._next()
        else:
            found = re.compile(r"\w+").match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]


class _Words:
    """Words as they come: pieces that are split at white space, and pieces that are not."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._word = ""

    def split(self, piece: str) -> None:
        for char in piece:
            if not char.isspace():
                self._word += char
            elif self._word:
                self._found.append(self._word)
                self._word = ""

    def join(self, piece: str) -> None:
        self._word += piece

    def all(self) -> list[str]:
        return [*self._found, self._word] if self._word else self._found


def _without(value: str, pattern: str, sign: str) -> str:
    """`${value#pattern}` and the three like it: the shortest or (sign twice) the longest match taken off one end."""
    greedy = pattern.startswith(sign)
    regex = _pattern(pattern[1:] if greedy else pattern, greedy=True)
    places = range(len(value) + 1)
    if sign == "#":
        ends = [end for end in places if re.fullmatch(regex, value[:end])]
        return value[(max(ends) if greedy else min(ends)) :] if ends else value
    starts = [start for start in places if re.fullmatch(regex, value[start:])]
    return value[: min(starts) if greedy else max(starts)] if starts else value


def _pattern(pattern: str, *, greedy: bool) -> str:
    """A shell pattern (`*` and `?`, no brackets) as a regular expression."""
    found, at = "", 0
    while at < len(pattern):
        char, at = pattern[at], at + 1
        if char in "*?":
            found += "." if char == "?" else ".*" if greedy else ".*?"
            continue
        if char == "\\":
            char, at = pattern[at : at + 1], at + 1
            if not char or char not in "*?\\}/":
                raise BadSubstitution(f"expected no escape of {char!r} in a pattern")
        found += re.escape(char)
    return found
