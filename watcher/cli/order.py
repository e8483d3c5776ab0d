"""The commands that order something. Each is a row in the ledger first, and then waited for unless told otherwise."""

import getpass
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from watcher import rollouts, view, wish
from watcher.bump import BumpStage
from watcher.cli.context import Context
from watcher.cli.out import emit, progress, say, short, talk
from watcher.ledger import EVERYTHING, utcnow
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.units import brief

FAILED, PARTLY = 1, 3
PATIENCE = timedelta(minutes=10)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    command = click.option("--why", default="", help="The reason, for the audit.")(command)
    return click.option("--no-wait", is_flag=True, help="Only note the order.")(command)


def person_of(why: str) -> wish.Person:
    """Who sits at the terminal, and why he orders something now."""
    try:
        by = getpass.getuser()
    except OSError:
        by = "unknown"
    return wish.Person(by, why, utcnow())


def follow(context: Context) -> None:
    """Waits until nothing moves by itself any more, and says meanwhile what does."""
    with progress() as tell:
        context.hands.follow(context.settings, context.ledger, PATIENCE, tell)


@click.command()
@click.argument("app")
@click.argument("package")
@click.argument("version", default="")
@_options
@click.pass_obj
def bump(context: Context, app: str, package: str, version: str, no_wait: bool, why: str, as_json: bool) -> int:
    """Move one pin now, whatever cooldown and policy say.

    To VERSION, or to the newest on the index.
    """
    (name,) = context.apps(app)
    with progress() as tell:
        context.hands.refresh(context.settings, context.ledger, [name], tell)
    made = wish.bump(context.settings, context.ledger, name, package.lower(), version, person_of(why))
    if not no_wait:
        follow(context)
    ended = context.ledger.find(type(made), id=made.id) or made
    if as_json:
        emit(view.bump_row(ended, context.settings, utcnow()))
    else:
        where = ended.commit[:12] or ended.branch
        said = brief(f"{ended.package} {ended.from_version} → {ended.to_version}: {ended.stage}")
        say(said + (f" ({ended.reason})" if ended.reason else f" ({where})" if where else ""))
    waits = ended.stage is BumpStage.FOUND and ended.attempts and not no_wait
    return FAILED if waits or ended.stage is BumpStage.FAILED else 0


@click.command()
@click.argument("app")
@_options
@click.pass_obj
def build(context: Context, app: str, no_wait: bool, why: str, as_json: bool) -> int:
    """Build the branch's tip, but do not roll it out.

    It waits for `toplayer deploy`.
    """
    return _deploy(context, app, True, no_wait, why, as_json)


@click.command()
@click.argument("app")
@_options
@click.pass_obj
def deploy(context: Context, app: str, no_wait: bool, why: str, as_json: bool) -> int:
    """Roll the branch's tip out now, building it if need be."""
    return _deploy(context, app, False, no_wait, why, as_json)


def _deploy(context: Context, app: str, held: bool, no_wait: bool, why: str, as_json: bool) -> int:
    (name,) = context.apps(app)
    with progress() as tell:
        context.hands.refresh(context.settings, context.ledger, [name], tell)
    return _ended(context, wish.deploy(context.ledger, name, held, person_of(why)), no_wait, as_json)


@click.command()
@click.argument("app")
@click.option("--to", default="", metavar="DIGEST", help="The image, or a rollout's id; the one before if not given.")
@click.option("--now", "urgent", is_flag=True, help="Wait for no window, no freeze, no soak and no approval.")
@_options
@click.pass_obj
def rollback(context: Context, app: str, to: str, urgent: bool, no_wait: bool, why: str, as_json: bool) -> int:
    """Roll an earlier image out again."""
    (name,) = context.apps(app)
    fresh = wish.rollback(context.ledger, name, to, person_of(why), urgent=urgent)
    if context.ledger.is_held(name):
        talk(f"{name} is paused, and so is this: `toplayer resume {name}` lets it begin")
    talk(f"the branch still holds what was rolled back: revert it there, or `toplayer pause {name}`")
    return _ended(context, fresh, no_wait, as_json)


@click.command()
@click.argument("app")
@_options
@click.pass_obj
def abort(context: Context, app: str, no_wait: bool, why: str, as_json: bool) -> int:
    """Stop the app's rollout, and take its hosts back."""
    (name,) = context.apps(app)
    before, stopped = wish.abort(context.ledger, name, person_of(why))
    talk(f"stopped {stopped.id}, which was {before.stage} (commit {short(stopped.commit)})")
    for other in rollouts.unfinished(context.ledger, name):
        talk(f"{other.id} is still {other.stage}, and comes next; `toplayer abort {name}` stops that one, too")
    _ended(context, stopped, no_wait, as_json)
    return 0


def _ended(context: Context, rollout: Rollout, no_wait: bool, as_json: bool) -> int:
    """Says how the rollout ended; the exit code that goes with it."""
    if not no_wait:
        follow(context)
    ended = context.ledger.find(Rollout, id=rollout.id) or rollout
    hosts = context.ledger.all(HostState, rollout=ended.id)
    if as_json:
        emit(view.rollout_row(context.ledger, ended))
    else:
        image = f", image {short(ended.image)}" if ended.image else ""
        done = sum(host.stage is HostStage.DONE for host in hosts)
        on = f", {done} of {len(hosts)} hosts" if hosts else ""
        say(f"{ended.id} {ended.stage}{' (held)' if ended.held else ''}{image}{on}")
        if ended.reason:
            say(f"  {ended.reason}")
    if no_wait or ended.stage in (RolloutStage.DONE, RolloutStage.SUPERSEDED) or ended.held:
        return 0 if ended.stage is not RolloutStage.WANTED or no_wait else FAILED
    return PARTLY if ended.stage is RolloutStage.ROLLING else FAILED


@click.command()
@click.argument("app")
@click.option("--wave", type=click.IntRange(1), help="Approve all waves up to this one; the next one if not given.")
@_options
@click.pass_obj
def approve(context: Context, app: str, wave: int | None, no_wait: bool, why: str, as_json: bool) -> int:
    """Approve the next wave of a rollout.

    For fleets that ask for it with `approve`.
    """
    (name,) = context.apps(app)
    return _ended(context, wish.approve(context.ledger, name, wave, person_of(why)), no_wait, as_json)


@click.command()
@click.argument("app")
@_options
@click.pass_obj
def retry(context: Context, app: str, no_wait: bool, why: str, as_json: bool) -> int:
    """Try again now: what waits for its next attempt, or the whole rollout if it has ended."""
    (name,) = context.apps(app)
    return _ended(context, wish.retry(context.ledger, name, person_of(why)), no_wait, as_json)


@click.command()
@click.argument("app", required=False)
@click.option("--why", default="", help="The reason, for the audit.")
@click.pass_obj
def pause(context: Context, app: str | None, why: str) -> None:
    """Start nothing new for an app, or for all of them; what is under way on a host is finished."""
    scope = context.apps(app)[0] if app else EVERYTHING
    person = person_of(why)
    changed = context.ledger.hold(scope, person.by, why, person.now)
    say(f"{app or 'everything'} {'is paused' if changed else 'was paused already'}")


@click.command()
@click.argument("app", required=False)
@click.option("--why", default="", help="The reason, for the audit.")
@click.pass_obj
def resume(context: Context, app: str | None, why: str) -> None:
    """Let an app, or everything, go on."""
    scope = context.apps(app)[0] if app else EVERYTHING
    person = person_of(why)
    changed = context.ledger.unhold(scope, person.by, why, person.now)
    say(f"{app or 'everything'} {'goes on' if changed else 'was not paused'}")


COMMANDS = (bump, build, deploy, rollback, approve, retry, pause, resume, abort)
