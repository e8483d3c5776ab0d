"""The commands about layers: how they lie, and what other ways of laying them would have cost."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from watcher.cli.context import Context
from watcher.cli.out import emit, progress, say, short, table, talk
from watcher.cli.show import as_json
from watcher.ecosystems import ECOSYSTEMS
from watcher.errors import Refused
from watcher.fields import duration
from watcher.head import Head
from watcher.known import Known
from watcher.layers.outlook import Outlook, rows
from watcher.layers.part import CODE, VENV
from watcher.layers.past import steps
from watcher.layers.picture import lines_svg, stack_svg
from watcher.layers.replay import PLAN, Change, History, Played, bumps, commits, curves, play
from watcher.layers.sizes import TYPICAL, packed_size
from watcher.policy import Watch
from watcher.units import size

as_svg = click.option("--svg", metavar="FILE", type=click.Path(dir_okay=False), help="Draw a picture into a file.")
cached = click.option("--cached", is_flag=True, help="Use what is known instead of asking the indexes now.")


class NothingPinned(Refused):
    """An app without pins: nothing to lay."""

    hint = "`toplayer check` tells what a survey found"

    def __init__(self, app: str) -> None:
        self.app = app
        super().__init__(app)

    def __str__(self) -> str:
        return f"{self.app}: no pins are known yet"


@click.command()
@click.argument("app")
@cached
@as_svg
@as_json
@click.pass_obj
def plan(context: Context, app: str, cached: bool, svg: str | None, as_json: bool) -> int:
    """Show the layers of an app's image: sizes, rates, and what a bump of each costs a host.

    From the bottom up, as the planner would lay them for hosts that have nothing. NOW is what a bump costs with the
    layers of the newest image. Of an app with a Dockerfile: where the changes since its newest image enter, what the
    next build makes anew, and what a host will pull.
    """
    (name,) = context.apps(app)
    if context.settings.apps[name].image.builder == "dockerfile":
        return _foresee(context, name, cached, svg, as_json)
    found = _outlook(context, app, cached).json()
    if svg:
        _draw(svg, stack_svg(app, found))
    if as_json:
        emit(found)
        return 0
    now = "NOW" if found["image"] else "IN ONE LAYER"
    table(["LAYER", "SIZE", "CHANGES", now, "PLANNED", "PARTS"], list(rows(found)), right=["LAYER", "SIZE"])
    daily = found["bytes_per_day"]
    say("")
    said = f"{size(daily['planned'])} a day per host as planned, {size(daily['today'])} {_compared(found)}"
    say(f"{app}: {said}")
    if found["hosts"]:
        say(found["hosts"])
    if found["image"]:
        say("the next build would lay it anew" if found["next"] == "re-plan" else "the next build leaves it as it is")
    return 0


def _foresee(context: Context, app: str, cached: bool, svg: str | None, as_json: bool) -> int:
    if svg:
        raise click.BadParameter(f"the layers of {app} are those of its Dockerfile, and not drawn", param_hint="--svg")
    _ask(context, app, cached)
    found = context.hands.foresee(context.settings, context.ledger, app)
    if as_json:
        emit({"app": app, **found.json()})
        return 0
    on = f" on top of {short(found.image)}" if found.image else ""
    say(f"{app}: commit {short(found.commit)}{on}")
    for line in found.lines():
        say(line)
    return 0


def _compared(found: Mapping[str, Any]) -> str:
    return "as it lies now" if found["image"] else "in one layer with everything"


@click.command()
@click.argument("app")
@click.option("--since", default="1y", show_default=True, help="How far back: 90d, 26w, 1y.")
@click.option("--code", metavar="SPAN", help="How often the code changes (default: as it did).")
@cached
@as_svg
@as_json
@click.pass_obj
def replay(
    context: Context, app: str, since: str, code: str | None, cached: bool, svg: str | None, as_json: bool
) -> int:
    """Play an app's real releases again, in layers laid in six ways: bytes per host for each.

    Every release since then that the app's policy would have taken is one bump; the code changes in between, evenly.
    Sizes are those of the files on the index that the image would have installed.
    """
    past, every = _span("--since", since), _span("--code", code) if code else None
    outlook = _outlook(context, app, cached)
    with progress() as tell:
        history = _history(context, app, _coded(outlook, every), past, tell)
        played = play(history, outlook.terms, tell)
    if svg:
        _draw(svg, lines_svg(f"{app}: bytes per host since {history.since:%Y-%m-%d}", curves(history, played)))
    count = len(played[0].classic)
    of_code = sum(one.name == CODE for one in bumps(history))
    found = {
        "app": app,
        "since": history.since.isoformat(),
        "until": history.until.isoformat(),
        "bumps": count - of_code,
        "commits": of_code,
        "sizes": "files on the index",
        "strategies": [one.json() for one in played],
    }
    if as_json:
        emit(found)
        return 0
    best = next(sum(one.classic) for one in played if one.name == PLAN) or 1.0
    cells = [
        [one.name, *(size(value) for value in _totals(one)), f"{sum(one.classic) / best:.3g} x", one.said]
        for one in played
    ]
    table(["LAYERS", "CLASSIC", "CONTAINERD", "MEDIAN", "LARGEST", "CLASSIC / (e)", ""], cells)
    say("")
    moving = len(history.changes) - (CODE in history.changes)
    say(
        f"{count - of_code} bumps of {moving} packages and {of_code} changes of the code "
        f"since {history.since:%Y-%m-%d}; bytes per host, without the base"
    )
    say("sizes are those of the files on the index; the code is taken to change evenly, and to be as large as it is")
    return 0


def _span(option: str, text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _coded(outlook: Outlook, every: timedelta | None) -> Outlook:
    """The outlook, with code that changes as often as that."""
    if every is None:
        return outlook
    rate = timedelta(days=1) / every if every else 0.0
    parts = tuple(replace(part, rate=rate) if part.name == CODE else part for part in outlook.parts)
    return replace(outlook, parts=parts)


def _totals(one: Played) -> tuple[float, ...]:
    row = one.json()
    return row["classic"], row["containerd"], row["median"], row["largest"]


def _ask(context: Context, app: str, cached: bool) -> None:
    if not cached:
        with progress() as tell:
            context.hands.refresh(context.settings, context.ledger, [app], tell)


def _outlook(context: Context, app: str, cached: bool) -> Outlook:
    (name,) = context.apps(app)
    _ask(context, name, cached)
    head = context.ledger.find(Head, app=name)
    if head is None or not head.pins:
        raise NothingPinned(name)
    return context.hands.outlook(context.settings, context.ledger, name)


def _history(context: Context, app: str, outlook: Outlook, past: timedelta, tell: Callable[[str], None]) -> History:
    """What the app's policy would have made of the releases that the ledger knows."""
    settings, known = context.settings, Known.read(context.settings, context.ledger)
    mine, head = settings.apps[app], context.ledger.find(Head, app=app)
    assert head is not None
    now = datetime.now(UTC)
    names = {part.name for part in outlook.parts}
    tell(f"reading the releases of {len(names)} parts")
    changes: dict[str, list[Change]] = {}
    for pin in head.pins:
        name, policy = f"{pin.ecosystem}:{pin.package}", mine.policy.of(pin.package)
        moves = policy.watch is Watch.ALL or (policy.watch is Watch.DIRECT and pin.direct)
        if name not in names or name in changes or not moves:
            continue
        target = ECOSYSTEMS[pin.ecosystem].target(mine.image)
        found = [
            Change(step.at, name, step.release.version, packed_size(pin, step.release, target) or 0)
            for step in steps(pin, known.of(pin), policy)
        ]
        # What could not be installed was no bump; where the index tells no sizes at all, a usual one has to do.
        sized = [one for one in found if one.size] or [Change(c.at, c.name, c.version, TYPICAL) for c in found]
        if sized:
            changes[name] = sized
    fixed = [part for part in outlook.parts if part.name not in changes or part.name in (CODE, VENV)]
    if code := next((part for part in fixed if part.name == CODE), None):
        changes |= {CODE: commits(code, now - past, now)} if commits(code, now - past, now) else {}
    shares = {part.name: part.churn for part in outlook.parts if part.churn < 1}
    return History(since=now - past, until=now, changes=changes, fixed=fixed, shares=shares)


def _draw(path: str, svg: str) -> None:
    Path(path).write_text(svg, encoding="utf-8")
    talk(f"drawn into {path}")


COMMANDS = (plan, replay)
