"""Comments that silence the advisor, and what they say wrongly.

`# toplayer: ignore TL004` above an instruction is for that one, `# toplayer: ignore-file TL004` anywhere for the whole
file; without codes both silence everything.
"""

import re
from collections.abc import Collection, Iterable, Iterator

from watcher.dockerfile.parse import Parsed

_SAID = re.compile(r"#?\s*toplayer:\s*(ignore-file|ignore|[\w-]*)\s*(.*)")
_CODE = re.compile(r"TL\d+")


def silenced(comments: Iterable[str], code: str) -> bool:
    """Whether one of these comments silences a code where it stands."""
    for comment in comments:
        found = _SAID.fullmatch(comment.strip())
        if found and found[1] == "ignore" and (not found[2] or code in _codes(found[2])):
            return True
    return False


def silent(parsed: Parsed, codes: Collection[str]) -> frozenset[str]:
    """The codes that are silenced in the whole file."""
    found: set[str] = set()
    for _, kind, rest in _said(parsed):
        if kind == "ignore-file":
            found |= set(_codes(rest) if rest else codes)
    return frozenset(found)


def faults(parsed: Parsed, codes: Collection[str]) -> Iterator[tuple[int, str]]:
    """Lines of comments that mean to silence, and do not; and why."""
    heard = {line for one in parsed.instructions for line in _lines_above(parsed, one.first)}
    for line, kind, rest in _said(parsed):
        if kind not in ("ignore", "ignore-file"):
            yield line, f"`toplayer: {kind}` silences nothing: expected `ignore` or `ignore-file`"
        strange = [word for word in _words(rest) if word not in codes]
        if strange:
            yield line, f"no finding has the code {', '.join(strange)}: expected {', '.join(sorted(codes))}"
        if kind == "ignore" and line not in heard:
            yield line, "`toplayer: ignore` silences the instruction right below it, and there is none"


def _lines_above(parsed: Parsed, first: int) -> Iterator[int]:
    """The comments that belong to an instruction: those above it, up to the next other thing."""
    rows = parsed.text.split("\n")
    line = first - 1
    while line and (not rows[line - 1].strip() or rows[line - 1].lstrip("\ufeff \t").startswith("#")):
        if rows[line - 1].strip() == "#":
            return
        yield line
        line -= 1


def _said(parsed: Parsed) -> Iterator[tuple[int, str, str]]:
    """Comments for us: their lines, their verbs and what follows. What stands in a heredoc is no comment."""
    inside = {
        line
        for one in parsed.instructions
        for heredoc in one.heredocs
        for line in range(
            parsed.text.count("\n", 0, heredoc.span.start) + 1, parsed.text.count("\n", 0, heredoc.span.end) + 2
        )
    }
    for line, row in enumerate(parsed.text.split("\n"), 1):
        found = _SAID.fullmatch(row.strip("\ufeff \t\r")) if row.lstrip("\ufeff \t").startswith("#") else None
        if found and line not in inside:
            yield line, found[1], found[2].strip()


def _codes(text: str) -> list[str]:
    """The codes in it: words in front of them are codes, too, what comes after the last one is why."""
    return [word for word in _words(text) if _CODE.fullmatch(word)]


def _words(text: str) -> list[str]:
    """The words that are meant to be codes: up to the first that looks like none. `TL004, TL005: because of x`."""
    found: list[str] = []
    for word in re.split(r"[\s,]+", text):
        bare = word.rstrip(":;.")
        if not bare or (found and not _CODE.fullmatch(bare.upper())):
            break
        found.append(bare)
        if word != bare:
            break
    return found
