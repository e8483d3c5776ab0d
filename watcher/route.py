"""Which index answers for a pin. Two packages of one name on two indexes are two packages, and one may be an attack."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, reduce

from watcher.address import normal
from watcher.ecosystems import ECOSYSTEMS
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.policy import matches
from watcher.settings import IndexSettings

Indexes = Mapping[str, IndexSettings]


def route(pin: Pin, indexes: Indexes) -> tuple[str, ...]:
    """The names of the indexes that may answer for the pin, in the order in which they are asked; perhaps none.

    What the lock says of where it has the package from goes before everything else, and then what an index claims for
    itself (`only`). The next one is asked if the one before says that it does not have the package, or is open.
    """
    if not pin.is_watched:
        return ()
    kin = {name: settings for name, settings in indexes.items() if settings.kind == pin.ecosystem}
    claimed = tuple(name for name, settings in kin.items() if any(matches(glob, pin.package) for glob in settings.only))
    usual = tuple(name for name, settings in kin.items() if not settings.only and not settings.explicit)
    if not _named(pin):
        return claimed or usual
    served = tuple(_served(pin, kin))
    return tuple(name for name in served if name in claimed) if claimed else served


def routes(pins: Iterable[Pin], indexes: Indexes) -> Iterator[tuple[Pin, tuple[str, ...]]]:
    """Each pin with its `route`. Where no index claims packages by their names, those from one place go one way."""
    claims = any(settings.only for settings in indexes.values())
    ways: dict[tuple[object, ...], tuple[str, ...]] = {}
    for pin in pins:
        place = pin.ecosystem, pin.source, pin.registry, pin.registries, claims and pin.package
        if place not in ways:
            ways[place] = route(pin, indexes)
        yield pin, ways[place]


def _named(pin: Pin) -> tuple[str, ...]:
    """The addresses that the lock has for the package, in their order."""
    return (pin.registry,) if pin.registry else pin.registries


def _served(pin: Pin, kin: Indexes) -> Iterator[str]:
    """The indexes at those addresses. Behind one that we do not know, the name may be another package's."""
    for address in _named(pin):
        names = [name for name, settings in kin.items() if address_of(settings) == address]
        yield from names
        if not names:
            return


def is_open(pin: Pin, settings: IndexSettings) -> bool:
    """Whether those behind an index count, too, for a package that it has (Composer: `"canonical": false`)."""
    return address_of(settings) in pin.open


def unrouted(pin: Pin, indexes: Indexes) -> str:
    """Why no index may answer for the pin, or an empty text if one may."""
    if not pin.is_watched or route(pin, indexes):
        return ""
    if not _named(pin):
        return f"no index of the configuration is for {pin.package}"
    first = _named(pin)[0]
    served = any(address_of(settings) == first for settings in indexes.values())
    whose = "which is not the one that claims it" if served else "which is no index of the configuration"
    return f"the lock has {pin.package} from {first}, {whose}"


def address_of(settings: IndexSettings) -> str:
    """An index's address in its one spelling."""
    return _normal(settings.url or ECOSYSTEMS[settings.kind].address())


@lru_cache(maxsize=256)
def _normal(url: str) -> str:
    return normal(url)


def leads_on(outcome: Outcome | None, was_there: bool, is_open: bool) -> bool:
    """Whether, on the way of a pin, the next index has its turn after one that has said this, or nothing yet.

    It has not if this one had the package before. Private indexes say that they do not have it to who has lost their
    key, and behind them may be somebody else's package by the same name.
    """
    if outcome is Outcome.ABSENT:
        return is_open or not was_there
    return outcome is Outcome.ANSWER and is_open


def answer(pin: Pin, indexes: Indexes, known: Callable[[str, str], Lookup | None]) -> Lookup:
    """What is known of the pin: the lookup of the first index on its way that has the package, or may have it.

    `known` gives a lookup by index and package. One that was not made yet is *unknown*, and so is the answer then,
    whatever the indexes behind it say. Behind an open index, what the next ones have is added to the answer.
    """
    found: list[Lookup] = []
    way = route(pin, indexes)
    last = Lookup(index="", package=pin.package)
    for name in way:
        last = known(name, pin.package) or Lookup(index=name, package=pin.package)
        if not leads_on(last.outcome, last.had_at is not None, is_open(pin, indexes[name])):
            found += [_missed(last)] if name != way[-1] else [last] if last.outcome is not Outcome.ABSENT else []
            break
        found += [last] if last.outcome is Outcome.ANSWER else []
    return reduce(_together, found) if found else last


def _missed(lookup: Lookup) -> Lookup:
    """What is known of a package that its index had and does not have any more, while others may have one by its name:
    nothing, until a person has said whose it is. Any other lookup is as it is."""
    if lookup.outcome is not Outcome.ABSENT:
        return lookup
    until = f"{lookup.had_at:%Y-%m-%d %H:%M} UTC" if lookup.had_at else ""
    said = f"{lookup.index} had {lookup.package} until {until} and does not show it now; `only` says whose it is"
    return replace(lookup, outcome=Outcome.UNKNOWN, answered_at=None, reason=said)


def _together(first: Lookup, second: Lookup) -> Lookup:
    """Two answers in one. Of a version that both have, the first one's counts; without the second, nothing is known."""
    mine = {release.version for release in first.releases}
    changed = [at for at in (first.changed_at, second.changed_at) if at]
    return replace(
        first,
        outcome=second.outcome,
        reason=second.reason,
        answered_at=first.answered_at if second.answered_at else None,
        changed_at=max(changed, default=None),
        releases=(*first.releases, *(release for release in second.releases if release.version not in mine)),
        advisories=(*first.advisories, *second.advisories),
    )
