"""The links to the hosts of a fleet: who is behind each of them, and how fast they were. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from watcher.fleet import FleetSettings
from watcher.machine import Machine

SLOWEST = 0.05
"""Seconds of the shortest pull that says anything of a link: in less, it is the way there and back that counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The hosts of one site (empty: of none). `classic` of them download again what lies above a change, `unknown` have
    never said whether they do.

    `rate` is bytes in a second to one host: as the settings allow it (`is_set`), or as the last pulls had it. 0: nobody
    knows.
    """

    site: str
    hosts: int
    classic: int = 0
    unknown: int = 0
    rate: float = 0.0
    is_set: bool = False


Pull = tuple[str, int | None, float | None]
"""A host, the bytes that it pulled, and the seconds that it took."""


def links(fleet: FleetSettings, machines: Sequence[Machine], pulls: Iterable[Pull]) -> tuple[Link, ...]:
    """The links of a fleet, in the order of its hosts. `machines` are its hosts', `pulls` the last ones to them."""
    rates = _rates(pulls)
    behind: dict[str, list[Machine]] = {}
    for host, machine in zip(fleet.hosts, machines, strict=True):
        behind.setdefault(host.site or "", []).append(machine)
    return tuple(_link(site, fleet, found, rates) for site, found in behind.items())


def _link(site: str, fleet: FleetSettings, machines: Sequence[Machine], rates: Mapping[str, float]) -> Link:
    known = [one for one in machines if one.is_known]
    limits = [rate for one in machines if (rate := fleet.by_name[one.host].rate)]
    seen = [rates[one.host] for one in machines if one.host in rates]
    return Link(
        site=site,
        hosts=len(machines),
        classic=sum(one.classic for one in known),
        unknown=len(machines) - len(known),
        rate=min(limits) if limits else median(seen) if seen else 0.0,
        is_set=bool(limits),
    )


def _rates(pulls: Iterable[Pull]) -> dict[str, float]:
    """Bytes in a second, by host: as its last pull had it."""
    found: dict[str, float] = {}
    for host, travelled, seconds in pulls:
        if travelled and seconds and seconds >= SLOWEST:
            found.setdefault(host, travelled / seconds)
    return found
