"""Asking the hosts of a fleet what they are, so that nobody has to guess."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

from watcher.desk import Desk
from watcher.errors import Overtaken, Refused, Temporary
from watcher.fleet import HostSettings
from watcher.machine import Machine, machines
from watcher.settings import AppSettings
from workers.fleet.host import Host
from workers.fleet.targets import connect
from workers.oci.stores import open_store

AT_ONCE, AT_MOST = 16, 64
"""Hosts that one build asks. Of a larger fleet, the others are asked by the next one, and when it is their turn."""


def machines_of(desk: Desk, app: AppSettings) -> tuple[Machine, ...]:
    """What is known of the hosts of an app's fleet. Those of whom nothing is, or nothing new, are asked now."""
    fleet, now = desk.settings.fleets[app.fleet], desk.clock()
    known = machines(app.fleet, fleet, desk.ledger.all(Machine, fleet=app.fleet))
    hosts = {host.name: host for host in fleet.hosts}
    stale = sorted((one for one in known if one.is_stale(now)), key=lambda one: (one.is_known, one.host))[:AT_MOST]
    if not stale:
        return known
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask") as pool:
        fresh = pool.map(lambda one: _asked(desk, app, one, hosts[one.host]), stale)
        found = {one.host: one for one in fresh}
    return tuple(found.get(one.host, one) for one in known)


def met(desk: Desk, app: AppSettings, host: str, connection: Host) -> None:
    """Asks a host that somebody is connected to anyway, if it is time to. Nothing depends on its answer."""
    known = desk.ledger.find(Machine, fleet=app.fleet, host=host) or Machine(fleet=app.fleet, host=host)
    if known.is_stale(desk.clock()):
        with contextlib.suppress(Temporary, Refused):
            _kept(desk, known, known.said(connection.takes(), desk.clock()))


def _asked(desk: Desk, app: AppSettings, machine: Machine, host: HostSettings) -> Machine:
    try:
        store = open_store(app.image.repository, desk.settings.registries)
        with connect(host, store) as connection:
            after = machine.said(connection.takes(), desk.clock())
    except (Temporary, Refused) as error:
        after = machine.silent(str(error), desk.clock())
    return _kept(desk, machine, after)


def _kept(desk: Desk, before: Machine, after: Machine) -> Machine:
    with contextlib.suppress(Overtaken):  # somebody else has asked at the same time
        if before.asked_at is None:
            return desk.ledger.add(after, desk.clock()) or after
        return desk.ledger.replace(before, after, desk.clock())
    return after
