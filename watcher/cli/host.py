"""The commands that are about one host."""

import click

from watcher import wish
from watcher.cli.context import Context
from watcher.cli.order import FAILED, person_of
from watcher.cli.out import emit, say, talk
from watcher.errors import NotFound
from watcher.fleet import HostSettings
from watcher.ledger import host_scope


@click.command()
@click.argument("host")
@click.option("--fleet", help="The host's fleet, if two fleets have a host of this name.")
@click.option("--why", default="", help="The reason, for the audit.")
@click.pass_obj
def cordon(context: Context, host: str, fleet: str | None, why: str) -> None:
    """Leave a host out of every rollout; what is under way on it is finished."""
    changed = wish.cordon(context.ledger, _scope(context, host, fleet), person_of(why))
    say(f"{host} {'is cordoned' if changed else 'was cordoned already'}")


@click.command()
@click.argument("host")
@click.option("--fleet", help="The host's fleet, if two fleets have a host of this name.")
@click.option("--why", default="", help="The reason, for the audit.")
@click.pass_obj
def uncordon(context: Context, host: str, fleet: str | None, why: str) -> None:
    """Let a host take part again."""
    changed = wish.uncordon(context.ledger, _scope(context, host, fleet), person_of(why))
    say(f"{host} {'takes part again' if changed else 'was not cordoned'}")


@click.command()
@click.argument("host")
@click.argument("container")
@click.option("--fleet", help="The host's fleet, if two fleets have a host of this name.")
@click.option("--app", help="What the app is to be called; the container's name if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adopt(context: Context, host: str, container: str, fleet: str | None, app: str | None, as_json: bool) -> int:
    """Write the settings that make a running container again.

    Says what could not be told apart, and proves on the host itself that nothing would change; changes nothing.
    """
    found = context.hands.adopt(_host(context, host, fleet)[1], container, app or container)
    if as_json:
        emit({"settings": found.text, "unsure": found.unsure, "differs": found.differs})
        return FAILED if found.differs else 0
    click.echo(found.text, nl=False)
    for said in found.unsure:
        talk(f"not told apart: {said}")
    for said in found.differs:
        talk(f"DIFFERS: {said}")
    if not found.differs:
        talk(f"proven: a container made from this on {host} differs from {container} in nothing")
    return FAILED if found.differs else 0


def _scope(context: Context, host: str, fleet: str | None) -> str:
    place, found = _host(context, host, fleet)
    return host_scope(place, found.name)


def _host(context: Context, host: str, fleet: str | None) -> tuple[str, HostSettings]:
    """The host that a person named, and its fleet. `NotFound` if there is none, or more than one."""
    hosts = [(name, one) for name, found in context.settings.fleets.items() for one in found.by_name.values()]
    named = [place for place in hosts if place[1].name == host and fleet in (None, place[0])]
    if len(named) != 1:
        known = [f"{one.name} --fleet {place}" for place, one in named] or [one.name for _, one in hosts][:20]
        raise NotFound("one host", host, known)
    return named[0]


COMMANDS = (cordon, uncordon, adopt)
