"""`toplayer lint`: what a Dockerfile costs, and how it would do better."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from watcher.cli import dockerfile as files
from watcher.cli.context import Context
from watcher.cli.out import emit, say, table, talk
from watcher.cli.sarif import sarif as as_sarif
from watcher.dockerfile.advice.codes import CODES
from watcher.dockerfile.advice.lint import Advice, Finding, lint
from watcher.dockerfile.parse import parse
from watcher.dockerfile.project import Project
from watcher.units import size, span


@click.command("lint")
@click.argument("dockerfile", default="Dockerfile")
@click.option("--context", "directory", metavar="DIRECTORY", help="What the build is given [default: the file's own].")
@click.option("--app", help="Reckon with this app's image, its builds and its releases.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How much history counts.")
@click.option("--containerd", is_flag=True, help="Builder and hosts keep images in containerd's store.")
@click.option("--fix", is_flag=True, help="Write the rewritten file, instead of showing it as a diff.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sarif", is_flag=True, help="Print SARIF 2.1.0, for code scanning.")
@click.pass_obj
def lint_command(
    context: Context,
    dockerfile: str,
    directory: str | None,
    app: str | None,
    days: int,
    containerd: bool,
    fix: bool,
    as_json: bool,
    sarif: bool,
) -> int:
    """Show what to change in a Dockerfile, and what each change saves.

    By the history of the files that it copies: bytes per host, and seconds of building, per month.
    """
    raw = files.read(dockerfile)
    parsed = parse(files.text_of(raw, dockerfile), dockerfile)
    path = Path(dockerfile)
    settings = context.settings if app else None
    if app:
        context.apps(app)
    ledger = context.ledger if app else None
    project = context.hands.project(path, Path(directory or path.parent), days, settings, ledger, app or "")
    project = replace(project, containerd=containerd)
    advice = lint(parsed, project)
    if as_json:
        emit(_row(dockerfile, advice, project))
    elif sarif:
        emit(as_sarif(dockerfile, parsed, advice, project.past))
    else:
        _print(dockerfile, parsed.text, advice, fix=fix, past=project.past)
    if fix and advice.fixed != parsed.text:
        files.replace(dockerfile, raw, advice.fixed)
        talk(f"{dockerfile} is rewritten")
    return 0 if fix or not advice.findings else 1


def _print(path: str, text: str, advice: Advice, *, fix: bool, past: str) -> None:
    if past:
        talk(past)
    if not advice.findings:
        say(f"{path}: nothing to do better")
        return
    rows = [[f"{path}:{one.line}", one.code, *_saves(one), one.said] for one in advice.findings]
    table(["WHERE", "CODE", "BYTES/HOST", "BUILDING", "WHY"], rows, right=["BYTES/HOST", "BUILDING"])
    before, after = advice.before, advice.after
    say(f"\na month: {size(before.bytes)} per host and {span(before.seconds)} of building; ")
    say(f"rewritten: {size(after.bytes)} and {span(after.seconds)}")
    if more := sum(one.by_hand.bytes for one in advice.findings if one.by_hand):
        say(f"and {size(more)} per host less by what only a person can do")
    for one in sorted({finding.code for finding in advice.findings}):
        if CODES[one].danger:
            say(f"{one}: mind that {CODES[one].danger}")
    if not fix and advice.fixed != text:
        say("")
        for row in _diff(path, text, advice.fixed):
            say(row)
        talk("\n`toplayer lint --fix` writes it")


def _saves(one: Finding) -> tuple[str, str]:
    if one.told is None:
        return "", ""
    sign = "-" if one.told.seconds < 0 else ""
    return size(max(one.told.bytes, 0)), f"{sign}{span(abs(one.told.seconds))}"


def _diff(path: str, before: str, after: str) -> list[str]:
    rows = difflib.unified_diff(before.splitlines(), after.splitlines(), path, f"{path} (rewritten)", lineterm="")
    return list(rows)


def _row(path: str, advice: Advice, project: Project) -> dict[str, Any]:
    return {
        "file": path,
        "findings": [
            {
                "code": one.code,
                "name": one.kind.name,
                "line": one.line,
                "said": one.said,
                "danger": one.kind.danger,
                "by_hand": one.saves is None,
                "bytes_per_host_and_month": round(one.told.bytes) if one.told else None,
                "build_seconds_per_month": round(one.told.seconds, 1) if one.told else None,
            }
            for one in advice.findings
        ],
        "before": {"bytes_per_host_and_month": round(advice.before.bytes), "build_seconds": advice.before.seconds},
        "after": {"bytes_per_host_and_month": round(advice.after.bytes), "build_seconds": advice.after.seconds},
        "history": {"commits": len(project.history), "days": project.days, "said": project.past},
        "fixed": advice.fixed,
    }


COMMANDS = (lint_command,)
