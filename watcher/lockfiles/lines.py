"""The lines of a requirements file, as pip joins and reads them.

The format: https://pip.pypa.io/en/stable/reference/requirements-file-format/.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from watcher.lockfiles.place import Place

# pip also ends a line at each of these, and an editor does not show it: whoever reads the file sees another one.
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_COMMENT = re.compile(r"(?:^|\s)#(.*)$")


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: `text` without its comment, from the physical line `first` to `last` (both count from 1).

    `comments` are those at its end and on the lines right below it, without their `#`. A block of comments that stands
    alone is a line without text.
    """

    first: int
    last: int
    text: str
    comments: tuple[str, ...] = ()


def lines(text: str, path: str) -> tuple[Line, ...]:
    """The logical lines of `text`. A `LockfileUnreadable` names the line with a hidden character or a lost end."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    hidden = _HIDDEN.search(text)
    if hidden:
        number = text.count("\n", 0, hidden.start()) + 1
        raise Place(path, f"line {number}").wrong("a text without control characters", hidden[0])
    return tuple(_joined(text, path))


def _joined(text: str, path: str) -> Iterator[Line]:
    words: list[str] = []
    comments: list[str] = []
    first = last = 0
    goes_on = False
    for number, raw in enumerate(text.split("\n"), 1):
        blank, alone, comment = not raw.strip(), raw.lstrip().startswith("#"), _COMMENT.search(raw)
        if first and (blank or not (alone or goes_on)):
            yield Line(first, last, " ".join(words), tuple(comments))
            words, comments, first = [], [], 0
        goes_on = raw.endswith("\\") and not alone
        if goes_on and comment:
            raise Place(path, f"line {number}").wrong("no backslash at the end of a comment", raw)
        if blank:
            continue
        first = first or number
        if comment:
            comments.append(comment[1].rstrip())
        if not alone:
            words.append((raw[: comment.start()] if comment else raw.rstrip("\\")).strip())
        if not (alone and words):
            last = number
    if first:
        yield Line(first, last, " ".join(words), tuple(comments))
