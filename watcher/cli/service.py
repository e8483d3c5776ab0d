"""The commands that do the work, or look after the service that does."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from watcher import config, view
from watcher.cli.context import Context
from watcher.cli.hands import Finding
from watcher.cli.out import emit, progress, say, talk
from watcher.errors import Refused
from watcher.fields import duration
from watcher.ledger import utcnow
from watcher.notice import lines, notices
from watcher.order import Lane
from watcher.unfinished import unfinished

FAILED, PARTLY = 1, 3
LEVELS = click.Choice(["debug", "info", "warning", "error"])


class Span(click.ParamType[timedelta]):
    """A duration on the command line, as in the configuration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> timedelta:
        """`90s`, `15m`; a usage error otherwise."""
        if isinstance(value, timedelta):
            return value
        try:
            return duration(value)
        except ValueError as error:
            self.fail(str(error), param, context)


class Exists(Refused):
    """A file would be overwritten."""

    hint = "name another file, or remove this one first"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def __str__(self) -> str:
        return f"{self.path} exists already"


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("toplayer.toml"))
def init(path: Path) -> None:
    """Write a configuration to start from.

    It explains every setting.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(config.example())
    except FileExistsError:
        raise Exists(str(path)) from None
    say(f"wrote {path}")
    talk(f"\nhint: edit it, then `toplayer --config {path} doctor`")


@click.command()
@click.option("--once", is_flag=True, help="One round: poll, try what failed again, work until nothing moves.")
@click.option("--patience", type=Span(), default="60s", show_default=True, help="How long to wait for one thing.")
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
@click.pass_obj
def run(context: Context, once: bool, patience: timedelta, as_json: bool) -> int:
    """Do the main job in this process. Without --once the same as `serve`."""
    if not once:
        context.hands.serve(context.settings, context.ledger)
        return 0
    ledger, before = context.ledger, context.ledger.last_event()
    with progress() as tell:
        context.hands.run(context.settings, ledger, patience, tell)
    happened = ledger.events(after=before)
    left, waiting = unfinished(context.settings, ledger, utcnow()), view.waiting(context.settings, ledger)
    if as_json:
        emit({"events": [view.event_row(event) for event in happened], "unfinished": left, "waiting": waiting})
    else:
        for line in lines(notices(happened)):
            say(line)
        for line in left:
            say(f"unfinished: {line}")
        for line in waiting[:_WAITING_SHOWN]:
            say(f"waiting: {line}")
        if len(waiting) > _WAITING_SHOWN:
            say(f"waiting: and {len(waiting) - _WAITING_SHOWN} more hosts; `toplayer status` shows them")
        if not happened and not left and not waiting:
            say("nothing to do: every pin is where the policy wants it, and every host runs the newest image")
    if any(event.kind in _FAILURES for event in happened):
        return FAILED
    return FAILED if left else PARTLY if waiting else 0


_WAITING_SHOWN = 10
_FAILURES = ("bump.failed", "rollout.halted", "host.stuck", "app.unreadable", "index.unreachable")


@click.command()
@click.pass_obj
def serve(context: Context) -> None:
    """Run the whole service in this process, until SIGTERM or Ctrl-C."""
    context.hands.serve(context.settings, context.ledger)


@click.command()
@click.option(
    "-c", "--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Steps at once, of each lane."
)
@click.option(
    "--lane",
    "lanes",
    type=click.Choice([lane.value for lane in Lane]),
    multiple=True,
    help="Only these orders; all if not given.",
)
@click.option("--log-level", type=LEVELS, default="info", show_default=True)
@click.pass_obj
def worker(context: Context, concurrency: int, lanes: tuple[str, ...], log_level: str) -> int:
    """Run a Celery worker (service mode).

    Start as many as you like, on as many machines. It is a process for each lane of orders: "pulls" brings images to
    hosts, "hosts" swaps and proves them there, "back" takes them back, and "here" does the rest.
    """
    return context.hands.worker(context.settings, concurrency, [Lane(lane) for lane in lanes or Lane], log_level)


@click.command()
@click.option("--log-level", type=LEVELS, default="info", show_default=True)
@click.pass_obj
def beat(context: Context, log_level: str) -> None:
    """Run the clock of the service mode.

    It asks for looks. Two of them do no harm.
    """
    context.hands.beat(context.settings, log_level)


@click.command()
@click.option("--sentry", is_flag=True, help="Send a test event to Sentry, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(context: Context, sentry: bool, as_json: bool) -> int:
    """Check everything, and say what to do.

    Configuration, ledger, broker, indexes, repositories, registries and every host; nothing is changed.
    """
    return _findings(context.hands.doctor(context.settings, sentry), as_json)


@click.command()
@click.argument("app", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def drift(context: Context, app: str | None, as_json: bool) -> int:
    """Ask every host what it really runs.

    Tells where a container was changed, stopped or removed by hand; nothing is changed.
    """
    return _findings(context.hands.drift(context.settings, context.ledger, context.apps(app)), as_json)


def _findings(found: Iterable[Finding], as_json: bool) -> int:
    """Prints findings as they come; the exit code that goes with them."""
    rows = []
    for finding in found:
        rows.append({"subject": finding.subject, "well": finding.well, "said": finding.said, "hint": finding.hint})
        if not as_json:
            say(f"{'ok ' if finding.well else 'BAD'} {finding.subject}: {finding.said}")
            if finding.hint and not finding.well:
                say(f"    hint: {finding.hint}")
    if as_json:
        emit(rows)
    return 0 if all(row["well"] for row in rows) else FAILED


@click.command()
@click.option("--directory", type=click.Path(path_type=Path), help="Where to keep it; run again to see it idle.")
@click.pass_obj
def demo(context: Context, directory: Path | None) -> None:
    """Show the main job on real PyPI.

    A sample app in a directory of its own: bump, build, roll.
    """
    with progress() as tell:
        context.hands.demo(directory, tell)


COMMANDS = (init, run, serve, worker, beat, doctor, drift, demo)
