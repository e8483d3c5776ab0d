"""A Dockerfile → findings, each with what it costs, and the file as it would be better."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from watcher.dockerfile.advice import apart, rewrites
from watcher.dockerfile.advice.cost import Cost, Known, cost, known, made
from watcher.dockerfile.advice.draft import drafts
from watcher.dockerfile.advice.order import ordered
from watcher.dockerfile.advice.rewrites import Rewrite, Rule
from watcher.dockerfile.install import installs
from watcher.dockerfile.parse import Parsed, parse
from watcher.dockerfile.project import Project
from watcher.dockerfile.source import DockerfileUnreadable

_MOST, _ROUNDS = 12, 4
_START = {"TL002": 60.0}
"""Seconds a month that a rewrite may cost at first, because the ones after it need it."""
_WORTH = {"TL010": 1.0, "TL011": 0.1}
"""Seconds a month that a rewrite has to save. Others are right even where the past says nothing."""
_FILE = re.compile(r"toplayer:\s*ignore-file\b\s*(.*)")


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding. `danger` is what to look at before taking its rewrite."""

    code: str
    name: str
    danger: str = ""


CODES = {
    one.code: one
    for one in (
        Code(
            "TL001",
            "install-waits-for-tree",
            "scripts that packages run while they are installed (npm's `postinstall`) do not find the tree yet",
        ),
        Code(
            "TL002",
            "composer-in-the-image",
            "Composer's scripts do not run (`--no-scripts`): call those that the app needs. The paths stay what they "
            "were, so that PHP scripts which Python calls by path are found: do not move them",
        ),
        Code("TL003", "order", "an instruction that secretly reads what another one copies has to stay behind it"),
        Code(
            "TL004",
            "pip-leftovers",
            "without byte-code the first start takes longer; give PYTHONPYCACHEPREFIX a volume if that matters",
        ),
        Code("TL005", "apt-leftovers", "a recommended package that was used without being asked for is gone"),
        Code("TL006", "argument-above-install"),
        Code(
            "TL007",
            "compiler-in-the-image",
            "a library that came with a compiler (libstdc++) and is needed at run time has to be installed by name",
        ),
        Code(
            "TL008",
            "editable-install",
            "an editable install is a path to the tree: the tree may not move, and its copy has to stay in the image",
        ),
        Code(
            "TL009",
            "hot-packages-below-cold-ones",
            "the cold ones are installed without looking at what they need (`--no-deps`): what the list does not name "
            "comes with the hot ones. The names in the stage `lists` are today's: have a look from time to time",
        ),
        Code(
            "TL010",
            "download-again",
            "a cache mount needs BuildKit (the legacy builder refuses it), belongs to one builder, and starts empty "
            "on a new one",
        ),
        Code(
            "TL011",
            "copy-without-link",
            "`--link` needs Docker 23, or `# syntax=docker/dockerfile:1` in the first line; it follows no symbolic "
            "link at the destination, and makes the directories above it anew (root, 0755)",
        ),
    )
}
_RULES: Mapping[str, Rule] = {
    "TL006": rewrites.argument_last,
    "TL001": rewrites.manifest_first,
    "TL002": rewrites.composer_stage,
    "TL005": rewrites.apt_leaves_nothing,
    "TL004": rewrites.pip_leaves_nothing,
    "TL009": apart.hot_apart,
    "TL007": apart.venv_stage,
    "TL010": apart.cache_mounts,
    "TL011": apart.linked,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to do better. `saves` is of a month: bytes per host, and seconds of building; None if it has no
    rewrite. `line` counts from 1 in the file as it was read, or as the rewrites before it left it."""

    code: str
    line: int
    said: str
    saves: Cost | None

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
    made(parsed, project)
    silent = _silent(parsed)
    past = known(parsed, project)
    first = now = cost(parsed, project, past)
    findings: list[Finding] = []
    current = parsed
    for _ in range(_ROUNDS):
        begun = current
        for code in (*_RULES, "TL003"):
            for _ in range(_MOST if code not in silent else 0):
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
    findings += [one for one in _notes(parsed) if one.code not in silent]
    return Advice(tuple(_joined(findings)), first, now, current.text)


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


def _notes(parsed: Parsed) -> list[Finding]:
    """What a person has to do."""
    found = []
    for piece in drafts(parsed)[-1].pieces:
        line, packages = piece.instruction.first, installs(piece.instruction)
        system = [one.command for one in packages if one.tool in ("apt", "apk")]
        compilers = sorted({name for command in system for name in apart.COMPILERS.findall(command)})
        if compilers and not piece.silences("TL007"):
            way = "build in a stage of its own (a virtualenv, `pip install --user`) and copy what comes of it"
            found.append(Finding("TL007", line, f"{', '.join(compilers)} stay in the image: {way}", None))
        editable = any(one.tool == "pip" and re.search(r"\s(-e|--editable)\b", one.command) for one in packages)
        if editable and not piece.silences("TL008"):
            found.append(Finding("TL008", line, "an editable install keeps the tree's path: neither may move", None))
    return found


def _silent(parsed: Parsed) -> frozenset[str]:
    """The codes that a comment anywhere in the file silences: `# toplayer: ignore-file TL003`."""
    rows = [_FILE.search(row) for row in parsed.text.splitlines() if row.lstrip().startswith("#")]
    named = [code for row in rows if row for code in re.split(r"[\s,]+", row[1]) if code]
    return frozenset(CODES if any(row and not row[1].strip() for row in rows) else named)
