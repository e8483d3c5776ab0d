"""A Dockerfile → findings, each with what it costs, and the file as it would be better."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from watcher.dockerfile.advice.arguments import argument_last
from watcher.dockerfile.advice.caches import cache_mounts
from watcher.dockerfile.advice.codes import CODES, Code
from watcher.dockerfile.advice.compilers import venv_stage
from watcher.dockerfile.advice.composer import composer_stage
from watcher.dockerfile.advice.cost import Cost, Known, cost, known, made
from watcher.dockerfile.advice.draft import drafts
from watcher.dockerfile.advice.ends import like, plain
from watcher.dockerfile.advice.hot import hot_apart
from watcher.dockerfile.advice.leftovers import apt_leaves_nothing, pip_leaves_nothing
from watcher.dockerfile.advice.links import linked
from watcher.dockerfile.advice.manifest import manifest_first
from watcher.dockerfile.advice.notes import notes
from watcher.dockerfile.advice.order import ordered
from watcher.dockerfile.advice.rewrite import Rewrite, Rule
from watcher.dockerfile.advice.silence import silent
from watcher.dockerfile.advice.spared import spared
from watcher.dockerfile.parse import Parsed, parse
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import DockerfileUnreadable

_MOST, _ROUNDS = 12, 4
_START = {"TL002": 60.0}
"""Seconds a month that a rewrite may cost at first, because the ones after it need it."""
_WORTH = {"TL010": 1.0, "TL011": 0.1}
"""Seconds a month that a rewrite has to save. Others are right even where the past says nothing."""


_RULES: Mapping[str, Rule] = {
    "TL006": argument_last,
    "TL001": manifest_first,
    "TL002": composer_stage,
    "TL005": apt_leaves_nothing,
    "TL004": pip_leaves_nothing,
    "TL009": hot_apart,
    "TL007": venv_stage,
    "TL010": cache_mounts,
    "TL011": linked,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to do better. `saves` is of a month: bytes per host, and seconds of building; None if it has no
    rewrite. `by_hand` is the same of what a person has to do, where it can be reckoned. `line` counts from 1 in the
    file as it was read, or as the rewrites before it left it."""

    code: str
    line: int
    said: str
    saves: Cost | None
    by_hand: Cost | None = None

    @property
    def told(self) -> Cost | None:
        """What it saves, if the past tells anything of it: without one, nobody knows."""
        found = self.saves or self.by_hand
        return found if found and (found.bytes or found.seconds) else None

    @property
    def kind(self) -> Code:
        return CODES[self.code]


@dataclass(frozen=True, slots=True)
class Advice:
    """All findings, what a month costs before and after, and the file with every rewrite."""

    findings: tuple[Finding, ...]
    before: Cost
    after: Cost
    fixed: str


def lint(parsed: Parsed, project: Project) -> Advice:
    """Finds what would do better. A `DockerfileUnreadable` if the Dockerfile makes no sense."""
    written, parsed = parsed.text, parse(plain(parsed.text), parsed.path)
    made(parsed, project)
    unsaid = silent(parsed, CODES)
    past = known(parsed, project)
    first = now = cost(parsed, project, past)
    findings: list[Finding] = []
    current = parsed
    for _ in range(_ROUNDS):
        begun = current
        for code in (*_RULES, "TL003"):
            for _ in range(_MOST if code not in unsaid else 0):
                rewrite = _next(code, current, project, past)
                if rewrite is None:
                    break
                after, then = _tried(rewrite.text, parsed.path, project, past)
                if code == "TL002" and after is not None and (in_order := _next("TL003", after, project, past)):
                    # A stage of its own pays off in the place that it lets its files have.
                    after, then = _tried(in_order.text, parsed.path, project, past)
                # One that costs more, by this project's own past, is none; but a stage may cost its own start.
                if (
                    after is None
                    or after.text == current.text
                    or then.delay > now.delay * 1.001 + _START.get(code, 0.0) - _WORTH.get(code, 0.0)
                ):
                    break
                findings.append(Finding(code, _line(parsed, current, rewrite.line), rewrite.said, now - then))
                current, now = after, then
        # One rewrite may make room for another.
        if current is begun:
            break
    # What a person does comes on top of the rewrites: nothing is saved twice.
    worth = spared(current, project, past)
    for code, line, said, by_hand in notes(parsed, CODES, worth):
        if code not in unsaid:
            findings.append(Finding(code, line, said, None, by_hand))
    fixed = written if current is parsed else like(written, current.text)
    return Advice(tuple(_joined(findings)), first, now, fixed)


def _joined(findings: list[Finding]) -> list[Finding]:
    """By line; what was found several times about one instruction is one finding."""
    found: dict[tuple[int, str], Finding] = {}
    for one in findings:
        before = found.setdefault((one.line, one.code), one)
        if before is not one and before.saves and one.saves:
            both = Cost(before.saves.bytes + one.saves.bytes, before.saves.seconds + one.saves.seconds)
            found[one.line, one.code] = replace(before, saves=both)
    return sorted(found.values(), key=lambda one: (one.line, one.code))


def _next(code: str, parsed: Parsed, project: Project, past: Known) -> Rewrite | None:
    for draft in drafts(parsed):
        rule = _RULES.get(code)
        found = rule(draft, project) if rule else ordered(draft, parsed, project, past)
        if found is not None:
            return found
    return None


def _tried(text: str, path: str, project: Project, past: Known) -> tuple[Parsed | None, Cost]:
    try:
        parsed = parse(text, path)
        return parsed, cost(parsed, project, past)
    except DockerfileUnreadable:
        return None, Cost()


def _line(original: Parsed, current: Parsed, line: int) -> int:
    """Where the instruction stood in the file that was read, if it stood there."""
    text = next((one.text for one in current.instructions if one.first == line), "")
    return next(
        (one.first for one in original.instructions if one.text == text), min(line, len(original.text.splitlines()))
    )
