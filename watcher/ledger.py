"""The ledger: the only state. SQL through SQLAlchemy Core; SQLite in WAL mode by default, PostgreSQL by URL.

Every change is one transaction that writes over exactly the revision that was read, and the event that it is goes in
with it. Nothing is deleted but leases, holds and the note of which decision stands for a pin that is gone.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from watcher import schema, standing, transfers
from watcher.database import Database
from watcher.decision import Decision, Subject
from watcher.entry import Entry
from watcher.errors import Overtaken, ToplayerError
from watcher.event import Event, told
from watcher.holder import is_dead, new_holder
from watcher.lookup import Glance, IndexState
from watcher.renewal import Renewals
from watcher.rows import SOME, Updates, query
from watcher.spared import UNSPARED
from watcher.standing import Standing, Weighing
from watcher.tables import SHELVES, events, holds, leases
from watcher.transfers import Transfer

E = TypeVar("E", bound=Entry)
LEASE = timedelta(seconds=60)
EVERYTHING = "*"
"""The scope of a hold that pauses every app."""

_HOST = "host:"


def host_scope(fleet: str, host: str) -> str:
    """The scope of a hold that cordons a host. No app is called like this."""
    return f"{_HOST}{fleet}/{host}"


def _is_host(scope: str) -> bool:
    return scope.startswith(_HOST)


_POSTED, _RESTS = "post:", "rests:"
_AT_ONCE = 10_000


def _parts(names: Collection[str]) -> Iterator[list[str]]:
    # A database takes some 32,000 values in one statement, and a fleet that goes back may be larger than that.
    wanted = list(names)
    return (wanted[n : n + _AT_ONCE] for n in range(0, len(wanted), _AT_ONCE))


class Ledger:
    """Reads entries and writes changes of entries. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Opens the database at `url`, bringing its tables up to date. A ledger error if that cannot be done."""
        self._database = Database(url)
        self.where = self._database.where
        self._kept: dict[tuple[type[Entry], str], Entry] = {}
        self._renewals = Renewals()

    def close(self) -> None:
        """Gives the connections back."""
        self._database.close()

    @contextlib.contextmanager
    def at_hand(self) -> Iterator[None]:
        """For who asks much: within the block, this thread's questions cost less. What others write is seen as ever."""
        with self._database.at_hand():
            yield

    # --- entries ---

    def find(self, kind: type[E], **key: Any) -> E | None:
        """The one entry with these fields, or None."""
        found = self.all(kind, **key)
        return found[0] if found else None

    def all(self, kind: type[E], *, order: str = "", limit: int | None = None, **where: Any) -> tuple[E, ...]:
        """The entries with these fields; a list as a value means "one of", SOME "not None". `order` names a field,
        `-field` falls."""
        several = frozenset(name for name, value in where.items() if isinstance(value, (list, tuple, set)))
        some = frozenset(name for name, value in where.items() if value is SOME)
        where = {name: list(value) if name in several else value for name, value in where.items() if name not in some}
        asked = query(SHELVES[kind], tuple(where), several, some, order, limit)
        with self._database.reading() as connection:
            rows = connection.execute(asked, where)
            fields = tuple(rows.keys())
            return tuple(kind(**dict(zip(fields, row, strict=True))) for row in rows)

    def kept(self, kind: type[E], key: str, of: Collection[str]) -> tuple[E, ...]:
        """The entries whose `key` is one `of` these. What this process has read before, and nobody has changed since,
        is not read again: it is for what is large, asked for in every look, and seldom another."""
        now = {row[0]: row[1] for row in self.rows(kind, key, "revision", **{key: list(of)})}
        mine = {name: self._kept.get((kind, name)) for name in now}
        old = [name for name, entry in mine.items() if entry is None or entry.revision != now[name]]
        wanted: dict[str, Any] = {key: old}
        for entry in self.all(kind, **wanted) if old else ():
            self._kept[kind, getattr(entry, key)] = mine[getattr(entry, key)] = entry
        return tuple(entry for entry in mine.values() if isinstance(entry, kind))

    def rows(self, kind: type[Entry], *columns: str, **where: Any) -> list[tuple[Any, ...]]:
        """Some fields of entries, without reading the rest; a list as a value means "one of"."""
        table = SHELVES[kind]
        query = select(*(table.c[name] for name in columns))
        for name, wanted in where.items():
            query = query.where(table.c[name].in_(wanted) if isinstance(wanted, list) else table.c[name] == wanted)
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def tally(self, kind: type[Entry], **where: Any) -> str:
        """A text that is another one as soon as one of these entries is, or there is one more of them."""
        table = SHELVES[kind]
        query = select(func.count(), func.coalesce(func.sum(table.c.revision), 0))
        for name, wanted in where.items():
            query = query.where(table.c[name] == wanted)
        with self._database.reading() as connection:
            count, revisions = connection.execute(query).one()
            return f"{count}/{revisions}"

    def add(self, entry: E, now: datetime) -> E | None:
        """The entry as written, or None if one of its key is there already (that one is left alone)."""
        try:
            return self.write([(None, entry)], now)[0]
        except Overtaken:
            return None

    def replace(self, before: E, after: E, now: datetime) -> E:
        """`after` as written over `before`. `Overtaken` if the entry is no longer as `before` has it."""
        return self.write([(before, after)], now)[0]

    def write(self, changes: Iterable[tuple[E | None, E]], now: datetime, ordered: Event | None = None) -> list[E]:
        """All changes and their events, in one transaction or not at all; and what a person `ordered` that they are."""
        written: list[E] = []
        changes = list(changes)
        if ordered is None and all(before == after for before, after in changes):
            return [after for _, after in changes]
        with self._database.writing() as connection:
            updates = Updates(connection)
            if ordered is not None:
                _note(connection, ordered)
            for before, after in changes:
                if before is not None and before == after:
                    written.append(after)
                    continue
                written.append(updates.put(before, after))
                happened = told(before, after, now)
                if happened is not None:
                    _note(connection, happened)
            updates.run()
        return written

    def set(
        self, kind: type[Entry], values: Mapping[str, Any], *, field: str, of: Collection[str], **where: Any
    ) -> None:
        """Writes the same values into all entries whose `field` is one `of` these, among those with the fields `where`.

        Their revisions count it; there is no event, so it is for nothing that a person wants to hear of.
        """
        table = SHELVES[kind]
        same = [table.c[name] == wanted for name, wanted in where.items()]
        with self._database.writing() as connection:
            for part in _parts(of):
                asked = update(table).where(*same, table.c[field].in_(part))
                connection.execute(asked.values(**values, revision=table.c.revision + 1))

    # --- lookups ---

    def unspared(
        self, state: IndexState, now: datetime, apps: Collection[str], moving: Collection[str]
    ) -> list[Glance]:
        """The lookups of an index that are not spared `now`, and those that may have to be made again for all that: a
        younger decision of these apps stands for the package, or it is `moving`. And those of which the index's state
        does not say yet that they are others now."""
        given = {"index": state.index, "now": now, "said": state.changed_at, "apps": list(apps), "moving": list(moving)}
        with self._database.reading() as connection:
            return [Glance(*row) for row in connection.execute(UNSPARED, given)]

    # --- events ---

    def note(self, happened: Event) -> None:
        """Adds an event that is no change of an entry: what a person ordered, say."""
        with self._database.writing() as connection:
            _note(connection, happened)

    def events(
        self, *, after: int = 0, app: str = "", subject: str = "", limit: int | None = None, newest_first: bool = False
    ) -> tuple[Event, ...]:
        """The events with ids above `after`, of an app or of one thing only; oldest first unless asked otherwise."""
        query = select(events).where(events.c.id > after)
        if app:
            query = query.where(events.c.app == app)
        if subject:
            query = query.where(events.c.subject == subject)
        query = query.order_by(events.c.id.desc() if newest_first else events.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit) if limit is not None else query)
            return tuple(Event(**row._mapping) for row in rows)

    def last_event(self) -> int:
        """The id of the newest event, or 0."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.coalesce(func.max(events.c.id), 0))) or 0

    # --- decisions ---

    def decide(self, *made: Standing, happened: Iterable[Event] = ()) -> list[Decision]:
        """Lets decisions stand for their pins, and notes the events that they are; those that say something new."""
        with self._database.writing() as connection:
            for one in happened:
                _note(connection, one)
            return standing.keep(connection, made)

    def standing(self, app: str) -> tuple[Standing, ...]:
        """The decisions that stand for the pins of an app, by name."""
        with self._database.reading() as connection:
            return standing.standing(connection, app)

    def decisions(
        self, app: str, package: str = "", *, before: datetime | None = None, limit: int | None = None
    ) -> tuple[Decision, ...]:
        """The decisions for an app, or for one package of it, newest first; those made until `before` (UTC)."""
        with self._database.reading() as connection:
            rows = connection.execute(standing.past(app, package, before, limit))
            return tuple(Decision(**row._mapping) for row in rows)

    def decided(self, app: str, before: datetime | None = None) -> list[str]:
        """The packages of an app about which anything was decided (until `before`, UTC), by name."""
        with self._database.reading() as connection:
            return list(connection.scalars(standing.packages(app, before)))

    def weighings(self, apps: Collection[str]) -> dict[str, Weighing]:
        """How the pins of these apps were weighed last."""
        with self._database.reading() as connection:
            return standing.weighed(connection, apps)

    def weighed(self, app: str, made: Weighing, gone: Collection[Subject] = ()) -> None:
        """Notes that the pins of an app have been weighed, and that those that are `gone` are no more."""
        with self._database.writing() as connection:
            standing.weigh(connection, app, made, gone)

    # --- holds ---

    def hold(self, scope: str, by: str, why: str, now: datetime) -> bool:
        """Pauses an app (or EVERYTHING), or cordons a host; tells whether it was not held before."""
        with self._database.writing() as connection:
            if connection.execute(select(holds).where(holds.c.scope == scope)).first():
                return False
            connection.execute(insert(holds).values(scope=scope, at=now, by=by, why=why))
            _note(connection, _ordered("order.cordon" if _is_host(scope) else "order.pause", scope, by, why, now))
        return True

    def unhold(self, scope: str, by: str, why: str, now: datetime) -> bool:
        """Lets an app (or EVERYTHING, or a host) go on; tells whether it was held."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(holds).where(holds.c.scope == scope)).rowcount > 0
            if gone:
                _note(
                    connection, _ordered("order.uncordon" if _is_host(scope) else "order.resume", scope, by, why, now)
                )
        return gone

    def holds(self) -> dict[str, str]:
        """What is paused or cordoned: scope → "by whom: why"."""
        with self._database.reading() as connection:
            return {
                row.scope: f"{row.by}: {row.why}" if row.why else row.by for row in connection.execute(select(holds))
            }

    def is_held(self, app: str) -> bool:
        """Whether the app, or everything, is paused."""
        return bool({app, EVERYTHING} & self.holds().keys())

    # --- leases ---

    @contextlib.contextmanager
    def lease(self, name: str, clock: Callable[[], datetime], ttl: timedelta = LEASE) -> Iterator[bool]:
        """True for one holder at a time, False for everybody else; renewed while it is held.

        A lease runs out `ttl` after its holder's last sign of life, and at once if the holder was a process on this
        machine that is gone. It keeps two workers from doing the same work; what keeps them from doing harm is that
        every write is compare-and-set and every step asks first whether its work is done.
        """
        holder = new_holder()
        if not self._take(name, holder, clock(), ttl):
            yield False
            return
        try:
            with self._renewals.going_on(partial(self._renew, name, holder, clock, ttl), ttl.total_seconds() / 3):
                yield True
        finally:
            with contextlib.suppress(ToplayerError), self._database.noting() as connection:
                connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))

    def post(self, names: Collection[str], now: datetime, ttl: timedelta = LEASE) -> list[str]:
        """Notes that an order is on its way for each of `names`; those for which none was, and nobody is at work.

        The note is a lease that whoever carries out the order takes over. If the message is lost, so is the note after
        `ttl`, and the next look sends it again.
        """
        return [name for part in _parts(names) for name in self._post(part, now, ttl)]

    def _post(self, names: list[str], now: datetime, ttl: timedelta) -> list[str]:
        holder = _POSTED + new_holder()
        with self._database.noting() as connection:
            rows = connection.execute(select(leases).where(leases.c.name.in_(names)))
            # Thousands of notes are by a few processes: each is looked for once.
            process = {row: row.holder.removeprefix(_POSTED).rpartition("/")[0] for row in rows}
            dead = {one for one in set(process.values()) if is_dead(f"{one}/")}
            alive = {row.name for row, mine in process.items() if row.until > now and mine not in dead}
            posted = [name for name in names if name not in alive]
            if posted:
                connection.execute(delete(leases).where(leases.c.name.in_(posted)))
                connection.execute(insert(leases), [{"name": n, "holder": holder, "until": now + ttl} for n in posted])
        return posted

    def answered(self, *names: str) -> bool:
        """Takes the notes of `post` away, if there are any: what is asked for from now on is a new order."""
        gone = False
        for part in _parts(names):
            mine = leases.c.name.in_(part), leases.c.holder.startswith(_POSTED)
            # Mostly there is none, and to ask holds up nobody who writes.
            with self._database.reading() as connection:
                there = connection.scalar(select(exists().where(*mine)))
            if there:
                with self._database.noting() as connection:
                    gone |= connection.execute(delete(leases).where(*mine)).rowcount > 0
        return gone

    def rest(self, name: str, until: datetime) -> None:
        """Notes that somebody outside, called `name`, wants to be left alone until then: see `rests`."""
        with contextlib.suppress(Overtaken), self._database.noting() as connection:
            connection.execute(delete(leases).where(leases.c.name == f"{_RESTS}{name}"))
            connection.execute(insert(leases).values(name=f"{_RESTS}{name}", holder=_RESTS, until=until))

    def rests(self, name: str) -> datetime | None:
        """Until when `name` wants to be left alone, if anybody has noted it."""
        with self._database.reading() as connection:
            row = connection.execute(select(leases.c.until).where(leases.c.name == f"{_RESTS}{name}")).first()
            return row.until if row is not None else None

    def _take(self, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
        try:
            with self._database.noting() as connection:
                row = connection.execute(select(leases).where(leases.c.name == name)).first()
                if row is not None:
                    if row.until > now and not is_dead(row.holder) and not row.holder.startswith(_POSTED):
                        return False
                    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == row.holder))
                connection.execute(insert(leases).values(name=name, holder=holder, until=now + ttl))
        except Overtaken:
            return False
        return True

    def _renew(self, name: str, holder: str, clock: Callable[[], datetime], ttl: timedelta) -> None:
        with contextlib.suppress(ToplayerError), self._database.noting() as connection:
            mine = update(leases).where(leases.c.name == name, leases.c.holder == holder)
            connection.execute(mine.values(until=clock() + ttl))

    # --- transfers ---

    def moved(self, host: str, now: Transfer | None) -> None:
        """Notes how far the bytes of a host's pull are (None: it is over). `host` is its name in its rollout."""
        with self._database.noting() as connection:
            transfers.keep(connection, host, now)

    def transfers(self) -> dict[str, Transfer]:
        """How far the pulls are that are under way, by the host's name in its rollout."""
        with self._database.reading() as connection:
            return transfers.under_way(connection)


def _note(connection: Connection, happened: Event) -> None:
    if connection.dialect.name == "postgresql":
        # Receivers remember the last id that they took, so ids have to become visible in their order.
        connection.execute(select(func.pg_advisory_xact_lock(schema.EVENTS_LOCK)))
    row = {field.name: getattr(happened, field.name) for field in fields(happened) if field.name != "id"}
    connection.execute(_NOTE, row | {"facts": dict(happened.facts)})


_NOTE = insert(events)


def _ordered(kind: str, scope: str, by: str, why: str, now: datetime) -> Event:
    app = "" if scope == EVERYTHING or _is_host(scope) else scope
    return Event(at=now, kind=kind, app=app, subject=scope, facts={"by": by, "why": why})


def utcnow() -> datetime:
    """The clock that is handed down from the entrance."""
    return datetime.now(UTC)
