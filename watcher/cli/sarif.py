"""What the advisor finds, as SARIF 2.1.0: for code scanning, and editors."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from watcher.dockerfile.advice.codes import CODES
from watcher.dockerfile.advice.lint import Advice, Finding
from watcher.dockerfile.parse import Parsed
from watcher.inert import inert
from watcher.program import program

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_MARK = "\ufeff"


def sarif(path: str, parsed: Parsed, advice: Advice, said: str) -> dict[str, Any]:
    """One run over one file. `said`: why there is no history, if there is none."""
    used = sorted({one.code for one in advice.findings})
    place = artifact(path)
    results = [_result(one, used.index(one.code), place, parsed) for one in advice.findings]
    # The rewrites build upon one another: there is one fix, which is all of them.
    first = next((result for result, one in zip(results, advice.findings, strict=True) if one.saves), None)
    if first is not None and advice.fixed != parsed.text:
        text = "All rewrites of this file together: what `toplayer lint --fix` writes."
        change = {"artifactLocation": place, "replacements": list(replacements(parsed.text, advice.fixed))}
        first["fixes"] = [{"description": {"text": text}, "artifactChanges": [change]}]
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if said:
        invocation["toolExecutionNotifications"] = [{"level": "note", "message": {"text": inert(said)}}]
    driver = {"name": "toplayer", "version": program(), "rules": [_rule(code) for code in used]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "invocations": [invocation]}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{**run, "results": results}]}


def artifact(path: str) -> dict[str, str]:
    """Where a file is: relative to where we are, which is the root of the sources for whoever reads this; a file
    elsewhere by its whole path."""
    whole, root = Path(path).absolute(), Path.cwd()
    if ".." not in whole.parts and whole.is_relative_to(root):
        return {"uri": quote(whole.relative_to(root).as_posix()), "uriBaseId": "%SRCROOT%"}
    return {"uri": whole.resolve().as_uri()}


def _rule(code: str) -> dict[str, Any]:
    kind = CODES[code]
    words = kind.name.replace("-", " ")
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in kind.name.split("-")),
        "shortDescription": {"text": words[0].upper() + words[1:]},
        "help": {"text": f"Mind that {kind.danger}." if kind.danger else "No danger is known."},
        "defaultConfiguration": {"level": "warning"},
    }


def _result(one: Finding, number: int, place: dict[str, str], parsed: Parsed) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": number,
        "level": "warning" if one.saves else "note",
        "message": {"text": inert(one.said)},
        "locations": [{"physicalLocation": {"artifactLocation": place, "region": region(parsed, one.line)}}],
    }
    if one.told:
        found["properties"] = {
            "bytesPerHostAndMonth": round(one.told.bytes),
            "buildSecondsPerMonth": round(one.told.seconds, 1),
        }
    return found


def region(parsed: Parsed, line: int) -> dict[str, int]:
    """The instruction that begins on a line, or else the line. The end is behind the last character."""
    rows = parsed.text.split("\n")
    one = next((one for one in parsed.instructions if one.first == line), None)
    first, last = (one.first, _line_of(parsed.text, one.span.end)) if one else (line, line)
    begin = one.span.start if one else sum(len(row) + 1 for row in rows[: line - 1])
    end = one.span.end if one else begin + len(rows[line - 1].removesuffix("\r"))
    return {
        "startLine": first,
        "startColumn": _column(parsed.text, begin),
        "endLine": last,
        "endColumn": _column(parsed.text, end),
    }


def replacements(before: str, after: str) -> Iterator[dict[str, Any]]:
    """The lines that one text has in the place of another's, as parts of the file that go and texts that come."""
    old, new = _rows(before), _rows(after)
    for what, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            gone = {**_start("start", old, first), **_start("end", old, last)}
            yield {"deletedRegion": gone, "insertedContent": {"text": "".join(new[begin:end])}}


def _rows(text: str) -> list[str]:
    return list(StringIO(text, newline="\n"))


def _start(name: str, rows: list[str], number: int) -> dict[str, int]:
    """Where a line begins; behind the last one, where the file ends."""
    if number < len(rows) or not rows or rows[-1].endswith("\n"):
        return {f"{name}Line": number + 1, f"{name}Column": 1}
    return {f"{name}Line": number, f"{name}Column": len(rows[-1].removeprefix(_MARK if number == 1 else "")) + 1}


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _column(text: str, at: int) -> int:
    """Columns count from 1; the mark at the top of a file is none."""
    start = text.rfind("\n", 0, at) + 1
    return at - start + 1 - (start == 0 and text.startswith(_MARK))
