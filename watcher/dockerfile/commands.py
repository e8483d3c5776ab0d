"""What a RUN says to its shell, word by word.

Two readings. `chain` is for who wants to change it: nothing but plain commands joined by `&&` is read, and every word
with its place in the file; of anything else (pipes, loops, substitutions, redirections, heredocs, the form in JSON)
nothing. `commands` is for who only wants to know what is in it, and reads what it can of everything.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watcher.dockerfile.parse import Instruction
from watcher.dockerfile.shell import words
from watcher.dockerfile.source import Span

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = ("&&", "||", ";;", "|&", "<<", ">>", "&", "|", ";", "<", ">", "(", ")", "\n")
_WORDS_OF_SHELL = frozenset(
    (
        *("!", "{", "}", "[[", "if", "then", "elif", "else", "fi", "for", "in", "while", "until", "do", "done"),
        *("case", "esac", "function", "time", "exec", "eval", "export", "set", "unset", "trap", ".", "source"),
        *("alias", "exit", "return", "env", "sudo", "command", "xargs", "sh", "bash", "ash", "dash", "read"),
    )
)
"""Words that change what comes after them, or that run it. A chain with one of them in front is not read."""
_IN_FRONT = frozenset(("!", "{", "if", "then", "elif", "else", "while", "until", "do", "time", "exec", "sudo", "env"))
_SHELLS = frozenset(("sh", "bash", "ash", "dash"))


@dataclass(frozen=True, slots=True)
class Said:
    """A word of a command: as it is written, without its quotes, and where it stands in the file. `plain`: it means
    what it says, and has no variables and no wildcards."""

    written: str
    text: str
    plain: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Command:
    """One plain command: what is set for it alone (`NAME=value` in front), and its words, the program first."""

    settings: tuple[Said, ...]
    words: tuple[Said, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The words without their quotes."""
        return tuple(word.text for word in self.words)

    @property
    def written(self) -> str:
        """All of it in one line, as it is written."""
        return " ".join(word.written for word in (*self.settings, *self.words))

    @property
    def plain(self) -> bool:
        """Whether every word means what it says."""
        return all(word.plain for word in (*self.settings, *self.words))


def chain(instruction: Instruction) -> tuple[Command, ...] | None:
    """The commands of a RUN that is nothing but plain commands joined by `&&`; None for any other."""
    if instruction.keyword != "RUN" or instruction.in_json or instruction.heredocs or not instruction.words:
        return None
    found: list[list[_Token]] = [[]]
    tokens = _tokens(instruction.words[0].text)
    if tokens is None:
        return None
    for token in tokens:
        if token.operator and token.written != "&&":
            return None
        if token.operator:
            found.append([])
        else:
            found[-1].append(token)
    parts = [_command(instruction, part) for part in found]
    return tuple(part for part in parts if part) if all(parts) else None


def _command(instruction: Instruction, tokens: Sequence["_Token"]) -> Command | None:
    said = []
    for token in tokens:
        inside = words(token.written)
        if inside is None or len(inside) > 1 or token.substitutes:
            return None
        text = inside[0] if inside else ""
        said.append(Said(token.written, text, token.plain, instruction.span_of(token.start, token.end)))
    settings = next((n for n, one in enumerate(said) if not _ASSIGNMENT.match(one.written)), len(said))
    program = said[settings] if settings < len(said) else None
    if program is None or not program.plain or program.written in _WORDS_OF_SHELL or program.text in _WORDS_OF_SHELL:
        return None
    return Command(tuple(said[:settings]), tuple(said[settings:]))


def commands(instruction: Instruction) -> tuple[tuple[str, ...], ...]:
    """The commands of a RUN, whatever joins them, as far as they can be read: the words of each without their quotes,
    the program first."""
    if instruction.keyword != "RUN":
        return ()
    if instruction.in_json:
        listed = tuple(word.text for word in instruction.words)
        is_shell = len(listed) > 2 and listed[0].rpartition("/")[2] in _SHELLS and listed[1].startswith("-")
        return tuple(_loosely(listed[2])) if is_shell else (listed,)
    texts = [word.text for word in instruction.words] + [heredoc.text for heredoc in instruction.heredocs]
    return tuple(one for text in texts for one in _loosely(text))


def _loosely(text: str) -> Iterator[tuple[str, ...]]:
    tokens = _tokens(text)
    if tokens is None:
        return
    found: list[str] = []
    for token in [*tokens, _Token("\n", 0, 0, operator=True)]:
        if not token.operator:
            found.append(" ".join(words(token.written) or [token.written]))
            continue
        front = 0
        while front < len(found) and (
            found[front] in _IN_FRONT or _ASSIGNMENT.match(found[front]) or (front and found[front].startswith("-"))
        ):
            front += 1
        found = found[front:]
        if found:
            yield tuple(found)
        found = []


@dataclass(frozen=True, slots=True)
class _Token:
    """A word or an operator. `substitutes`: a command is run to make the word."""

    written: str
    start: int
    end: int
    operator: bool = False
    plain: bool = True
    substitutes: bool = False


def _tokens(text: str) -> list[_Token] | None:
    """None if a quote does not end. A comment goes on to the end of its line."""
    found: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in " \t\r\v\f" or text.startswith("\\\n", at):
            at += 1 if char != "\\" else 2
        elif char == "#":
            found.append(_Token("#", at, at + 1, operator=True))
            at = len(text) if (end := text.find("\n", at)) < 0 else end
        elif operator := next((one for one in _OPERATORS if text.startswith(one, at)), ""):
            found.append(_Token(operator, at, at + len(operator), operator=True))
            at += len(operator)
        else:
            token = _word(text, at)
            if token is None:
                return None
            found.append(token)
            at = token.end
    return found


def _word(text: str, start: int) -> _Token | None:
    at, quote, plain, substitutes = start, "", True, False
    while at < len(text) and (quote or not (text[at].isspace() or text[at] in "&|;<>()")):
        char = text[at]
        if char == "\\" and quote != "'":
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif quote != "'" and (char == "`" or text.startswith("$(", at)):
            plain, substitutes = False, True
            # What stands in the parentheses is a part of the word.
            end = _closed(text, at)
            if end is None:
                return None
            at = end
        elif (quote != "'" and char == "$") or (not quote and char in "*?[{~"):
            plain = False
        at += 1
    if quote:
        return None
    at = min(at, len(text))
    return _Token(text[start:at], start, at, plain=plain, substitutes=substitutes)


def _closed(text: str, start: int) -> int | None:
    """Where a substitution that begins there ends."""
    if text[start] == "`":
        end = text.find("`", start + 1)
        return end if end >= 0 else None
    depth = 0
    for at in range(start + 1, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return None
