"""The entrance: options that every command has, and what becomes of an error."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from watcher import config
from watcher.cli.context import Context
from watcher.cli.hands import Hands
from watcher.cli.out import talk
from watcher.errors import NotFound, SettingsRefused, ToplayerError

FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130

EPILOG = """Exit codes: 0 done, or nothing to do; 1 failed; 2 bad usage or configuration; 3 partly done (hosts pending).

Data goes to standard output and talk to standard error; --json gives the data as JSON."""


PLACES = {
    "host": ("adopt", "cordon", "uncordon"),
    "layers": ("plan", "replay"),
    "lint": ("lint",),
    "order": ("abort", "approve", "build", "bump", "deploy", "pause", "resume", "retry", "rollback"),
    "service": ("beat", "demo", "doctor", "drift", "init", "run", "serve", "worker"),
    "show": ("history", "hosts", "report", "status"),
    "watch": ("check", "why"),
}
"""The files of this room, each with its commands."""


class Commands(click.Group):
    """The commands, each imported when it is asked for: all of them together take as long as most of them run."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(name for names in PLACES.values() for name in names)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        place = next((place for place, names in PLACES.items() if name in names), None)
        if place is None:
            return None
        known: Sequence[click.Command] = import_module(f"watcher.cli.{place}").COMMANDS
        return next(command for command in known if command.name == name)


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="toplayer")
@click.option("--config", "named", metavar="PATH", envvar="TOPLAYER_CONFIG", help="The configuration (TOML).")
@click.pass_context
def cli(context: click.Context, named: str | None) -> None:
    """From an upstream release to the last host: lockfile bumps, one-layer images, staged rollouts."""
    context.obj = Context(hands=context.obj, named=named)
    context.call_on_close(context.obj.close)


def run(hands: Hands, arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code. No traceback reaches a user unless TOPLAYER_DEBUG is set."""
    try:
        code = cli.main(args=arguments, prog_name="toplayer", obj=hands, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return BAD_USAGE
    except click.exceptions.Abort:
        return INTERRUPTED
    except ToplayerError as error:
        _explain(str(error), error.hint)
        return BAD_USAGE if isinstance(error, (SettingsRefused, NotFound, config.NoSettings)) else FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("TOPLAYER_DEBUG"):
            raise
        _explain(
            f"an error of toplayer itself: {type(error).__name__}: {error}",
            "please report it; TOPLAYER_DEBUG=1 shows where it happened",
        )
        return FAILED
    return code if isinstance(code, int) else 0


def _explain(said: str, hint: str) -> None:
    talk(f"error: {said}")
    if hint:
        talk(f"\nhint: {hint}")
