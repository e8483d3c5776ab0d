"""The commands that say what may come in, and why."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from watcher import explain, view
from watcher.cli.context import Context
from watcher.cli.out import chosen, emit, progress, say, table, talk, when
from watcher.cli.show import as_json
from watcher.errors import NotFound
from watcher.head import Head
from watcher.ledger import utcnow
from watcher.lookup import IndexState
from watcher.units import brief


@click.command()
@click.argument("app", required=False)
@click.option("--cached", is_flag=True, help="Show the last decisions instead of asking the indexes now.")
@as_json
@click.pass_obj
def check(context: Context, app: str | None, cached: bool, as_json: bool) -> int:
    """Show each pin: current, newest, candidate, and one line of why."""
    apps = context.apps(app)
    busy: Sequence[str] = ()
    if not cached:
        with progress() as tell:
            busy = context.hands.refresh(context.settings, context.ledger, apps, tell)
    standing = [one.decision for name in apps for one in context.ledger.standing(name)]
    rows = [view.decision_row(decision) for decision in standing]
    if as_json:
        emit(rows)
    elif rows:
        table(
            ["APP", "PACKAGE", "CURRENT", "NEWEST", "CANDIDATE", "WHY"],
            [chosen(row, "app", "package", "current", "newest", "candidate", "said") for row in rows],
        )
    failed = [head for name in apps if (head := context.ledger.find(Head, app=name)) and head.reason]
    for head in failed:
        talk(f"error: {head.app}: {head.reason}")
    sources = context.ledger.all(IndexState, index=list(context.settings.advisories))
    silent = [state for state in sources if state.reason]
    for state in silent:
        talk(f"error: {state.index}: {state.reason}\nhint: {view.remedy(state.index)}")
    for name in busy:
        talk(f"error: {name} was not asked, because another process is asking it; what it has said before is shown")
    if not rows and not failed:
        talk("no pins to watch yet; `toplayer check` without --cached looks for them")
    return 1 if failed or silent or busy or any(row["verdict"] == "unknown" for row in rows) else 0


@click.command()
@click.argument("app")
@click.argument("package")
@click.option("--at", type=click.DateTime(), help="As it was decided at this time (UTC).")
@as_json
@click.pass_obj
def why(context: Context, app: str, package: str, at: datetime | None, as_json: bool) -> int:
    """Show why a package moves, or does not.

    Every release that was considered, the rule that took or refused it, and the state of the last lookup; for each
    version of it that is pinned.
    """
    (name,) = context.apps(app)
    before = at.replace(tzinfo=UTC) if at else None
    found = explain.find(context.settings, context.ledger, name, package, before)
    if not found:
        raise NotFound(f"decision of {name} about", package, context.ledger.decided(name, before))
    rows = [explain.why(context.settings, context.ledger, one, None if at else utcnow()) for one in found]
    if as_json:
        emit(rows[0] | {"also": rows[1:]})
        return 0
    for row in rows:
        if row is not rows[0]:
            say("")
        _say_why(name, row, with_state=at is None)
    return 0


def _say_why(app: str, row: view.Row, *, with_state: bool) -> None:
    say(brief(f"{app}: {row['package']} is at {row['current'] or 'its tag alone'}; {row['said']}"))
    newest = brief(f"newest on {row['index'] or 'the index'}: {row['newest'] or 'unknown'}")
    free = f"; the first that is held becomes free {when(row['free_at'])}" if row["free_at"] else ""
    say(f"decided {when(row['at'])}; {newest}{free}")
    if with_state:
        _say_state(row)
    if row["releases"]:
        say("")
        cells = [[*chosen(r, "version", "verdict", "rule", "said"), when(r["free_at"])] for r in row["releases"]]
        table(["VERSION", "VERDICT", "RULE", "WHY", "FREE AT"], cells)


def _say_state(row: view.Row) -> None:
    """What is known now: of the last lookup, of advisories, of the bumps that came of it."""
    lookup = row["lookup"]
    for state in (lookup, *row["bulletins"]) if lookup else row["bulletins"]:
        answered = f", last answered {when(state['answered_at'])}" if state["answered_at"] else ""
        asked = state.get("index") or state.get("source")
        say(f"last lookup {when(state['looked_at']) or 'never'} on {asked}: {state['outcome']}{answered}")
        for word in (state["reason"], state.get("remark")):
            if word:
                say(f"  {word}")
    for one in row["against"]:
        severity = f" ({one['severity']})" if one["severity"] else ""
        say(f"affected by {one['name']}{severity}: {one['summary'] or one['url']}")
    for bump in row["bumps"]:
        said = bump["reason"] or bump["waits"]
        say(f"bump {bump['id']} found {when(bump['found_at'])}: {bump['stage']}{f'; {said}' if said else ''}")


COMMANDS = (check, why)
