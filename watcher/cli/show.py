"""The commands that show something and change nothing."""

from datetime import UTC, datetime
from typing import Any

import click

from watcher import view
from watcher.cli.context import Context
from watcher.cli.out import chosen, emit, progress, say, short, table, talk, when
from watcher.decision import Decision
from watcher.errors import NotFound
from watcher.head import Head
from watcher.lookup import Lookup
from watcher.notice import lines, notices
from watcher.units import size, span

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PARTLY = 3


@click.command()
@click.argument("app", required=False)
@click.option("--cached", is_flag=True, help="Show the last decisions instead of asking the indexes now.")
@as_json
@click.pass_obj
def check(context: Context, app: str | None, cached: bool, as_json: bool) -> int:
    """Show each pin: current, newest, candidate, and one line of why."""
    apps = context.apps(app)
    if not cached:
        with progress() as tell:
            context.hands.refresh(context.settings, context.ledger, apps, tell)
    rows = [view.decision_row(decision) for name in apps for decision in _newest(context, name)]
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
    if not rows and not failed:
        talk("no pins to watch yet; `toplayer check` without --cached looks for them")
    return 1 if failed or any(row["verdict"] == "unknown" for row in rows) else 0


def _newest(context: Context, app: str) -> list[Decision]:
    """The newest decision for each package that the app pins now, by name."""
    head = context.ledger.find(Head, app=app)
    pinned = {pin.package for pin in head.pins} if head else set()
    newest: dict[str, Decision] = {}
    for decision in context.ledger.decisions(app):
        if decision.package in pinned:
            newest.setdefault(decision.package, decision)
    return [newest[package] for package in sorted(newest)]


@click.command()
@click.argument("app")
@click.argument("package")
@click.option("--at", type=click.DateTime(), help="As it was decided at this time (UTC).")
@as_json
@click.pass_obj
def why(context: Context, app: str, package: str, at: datetime | None, as_json: bool) -> int:
    """Show why a package moves, or does not.

    Every release that was considered, the rule that took or refused it, and the state of the last lookup.
    """
    (name,) = context.apps(app)
    before = at.replace(tzinfo=UTC) if at else None
    found = context.ledger.decisions(name, package.lower(), before=before, limit=1)
    if not found:
        known = sorted({decision.package for decision in context.ledger.decisions(name, before=before)})
        raise NotFound(f"decision of {name} about", package, known)
    lookup = next(iter(context.ledger.all(Lookup, package=found[0].package)), None)
    row = view.decision_row(found[0]) | {"lookup": view.lookup_row(lookup) if lookup else None}
    if as_json:
        emit(row)
        return 0
    say(f"{name}: {row['package']} is at {row['current']}; {row['said']}")
    say(f"decided {when(row['at'])}; newest on the index: {row['newest'] or 'unknown'}")
    if row["lookup"]:
        state = row["lookup"]
        answered = f", last answered {when(state['answered_at'])}" if state["answered_at"] else ""
        say(f"last lookup {when(state['looked_at'])} on {state['index']}: {state['outcome']}{answered}")
        if state["reason"]:
            say(f"  {state['reason']}")
    if row["releases"]:
        say("")
        cells = [[*chosen(r, "version", "verdict", "rule", "said"), when(r["free_at"])] for r in row["releases"]]
        table(["VERSION", "VERDICT", "RULE", "WHY", "FREE AT"], cells)
    return 0


@click.command()
@click.argument("app", required=False)
@as_json
@click.pass_obj
def status(context: Context, app: str | None, as_json: bool) -> int:
    """Show what is under way, and how the last rollout ended."""
    row = view.status(context.settings, context.ledger, context.apps(app))
    if as_json:
        emit(row)
    else:
        _print_status(row)
    return PARTLY if view.waits(context.settings, context.ledger) else 0


def _print_status(row: view.Row) -> None:
    for scope, said in row["paused"].items():
        say(f"paused: {'everything' if scope == '*' else scope} ({said})")
    for app in row["apps"]:
        seen = f"at {short(app['commit'])}, {app['pins']} pins" if app["commit"] else "not surveyed yet"
        say(f"{app['app']}: {seen}, surveyed {when(app['surveyed_at']) or 'never'}")
        if app["reason"]:
            say(f"  {app['reason']}")
    for index in row["indexes"]:
        unknown = f", {index['unknown']} of {index['packages']} packages unknown" if index["unknown"] else ""
        say(f"{index['index']}: polled {when(index['polled_at']) or 'never'}{unknown}")
        if index["reason"]:
            say(f"  {index['reason']}")
    for receiver in row["receivers"]:
        if receiver["behind"] or receiver["reason"]:
            say(f"{receiver['receiver']}: {receiver['behind']} events to deliver; {receiver['reason']}")
    if row["bumps"]:
        say("")
        bumps = [{**bump, "said": bump["reason"] or bump["url"]} for bump in row["bumps"]]
        cells = [chosen(bump, "app", "package", "from", "to", "stage", "said") for bump in bumps]
        table(["APP", "PACKAGE", "FROM", "TO", "STAGE", "REASON"], cells)
    for rollout in row["rollouts"]:
        say("")
        _print_rollout(rollout)


def _print_rollout(rollout: view.Row) -> None:
    took = f", {span(rollout['seconds'])}" if rollout["seconds"] is not None else ""
    held = ", held" if rollout["held"] else ""
    said = f"{rollout['id']} {rollout['stage']}{held}: commit {short(rollout['commit'])}"
    said += f", image {short(rollout['image'])}" if rollout["image"] else ""
    say(said + took)
    if rollout["layers"] is not None:
        say(f"  {rollout['new_layers']} of {rollout['layers']} layers new, {size(rollout['new_size'])}")
    if rollout["reason"]:
        say(f"  {rollout['reason']}")
    if rollout["hosts"]:
        cells = [
            [h["name"], h["stage"], short(h["digest"]), _size(h["bytes"]), _span(h["seconds"]), h["reason"]]
            for h in rollout["hosts"]
        ]
        table(["HOST", "STAGE", "RUNS", "BYTES", "SECONDS", "REASON"], cells, right=["BYTES", "SECONDS"])


def _size(value: int | None) -> str:
    return "" if value is None else size(value)


def _span(value: float | None) -> str:
    return "" if value is None else span(value)


@click.command()
@click.argument("app", required=False)
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--events", is_flag=True, help="Show the audit, event by event, instead of the rollouts.")
@as_json
@click.pass_obj
def history(context: Context, app: str | None, limit: int, events: bool, as_json: bool) -> None:
    """Show past rollouts, or all events."""
    apps = context.apps(app)
    if events:
        found = context.ledger.events(app=app or "", limit=limit, newest_first=True)[::-1]
        if as_json:
            emit([view.event_row(event) for event in found])
        for event in () if as_json else found:
            say(f"{when(event.at.isoformat())}  {next(iter(lines(notices([event]))))}")
        return
    rows = view.history(context.ledger, apps, limit)
    if as_json:
        emit(rows)
        return
    figures = ["NEW LAYERS", "NEW BYTES", "HOSTS", "BYTES/HOST", "SECONDS"]
    columns = ["ROLLOUT", "STAGE", "COMMIT", "IMAGE", *figures, "ENDED"]
    table(columns, [_history_cells(row) for row in rows], right=figures)


def _history_cells(row: view.Row) -> list[Any]:
    done = [host for host in row["hosts"] if host["stage"] == "done"]
    most = max((host["bytes"] or 0 for host in done), default=None)
    layers = f"{row['new_layers']}/{row['layers']}" if row["layers"] is not None else ""
    return [
        row["id"],
        row["stage"],
        short(row["commit"]),
        short(row["image"]),
        layers,
        _size(row["new_size"]),
        f"{len(done)}/{len(row['hosts'])}",
        _size(most),
        _span(row["seconds"]),
        when(row["done_at"]),
    ]


@click.command()
@as_json
@click.pass_obj
def hosts(context: Context, as_json: bool) -> None:
    """Show every host and what it runs, as far as the ledger knows."""
    rows = view.fleet_rows(context.settings, context.ledger)
    if as_json:
        emit(rows)
        return
    keys = ("fleet", "name", "address", "app", "digest", "rollout", "stage", "reason")
    cells = [chosen(row | {"digest": short(row["digest"])}, *keys) for row in rows]
    table(["FLEET", "HOST", "ADDRESS", "APP", "RUNS", "ROLLOUT", "STAGE", "REASON"], cells)


COMMANDS = (check, why, status, history, hosts)
