"""Which decision stands for each pin, and the decisions before it: the ledger's tables of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select

from watcher.decision import Decision, Subject
from watcher.tables import Utc, decisions, standings, weighings

REMEMBERED = timedelta(days=180)
"""How long a decision is kept after another one took its place."""
MOST = 500
"""Decisions that are kept of one package."""
_FIELDS = [decisions.c[field.name] for field in fields(Decision)]


@dataclass(frozen=True, slots=True)
class Standing:
    """A decision that stands. `basis` names all that it was made from: while that is the same, it stays.

    Until `until` (UTC), that is: then a release becomes free that it holds.
    """

    decision: Decision
    basis: str = ""

    @property
    def until(self) -> datetime | None:
        return self.decision.free_at

    @property
    def is_hit(self) -> bool:
        """Whether an advisory is about the pin."""
        return bool(self.decision.advisories)

    def stands(self, basis: str, now: datetime) -> bool:
        """Whether the decision need not be made again."""
        return self.basis == basis and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Weighing:
    """What was known when an app's pins were weighed last (`mark`), and when they have to be weighed again (UTC).

    `unseen` names the indexes and sources of advisories that are asked about any of them, and says of each whether
    there was one that it was never asked about.
    """

    mark: str
    until: datetime | None
    unseen: Mapping[str, bool] = field(default_factory=dict)

    def stands(self, mark: str, now: datetime) -> bool:
        """Whether weighing them again would change nothing."""
        return self.mark == mark and (self.until is None or now < self.until)


def standing(connection: Connection, app: str) -> tuple[Standing, ...]:
    """The decisions that stand for an app, by name."""
    return tuple(Standing(_decision(row), row.basis) for row in _rows(connection, app))


def _rows(connection: Connection, app: str) -> Sequence[Row[Any]]:
    columns = (standings.c.basis, decisions.c.id, *_FIELDS)
    query = select(*columns).join_from(standings, decisions, standings.c.decision == decisions.c.id)
    query = query.where(standings.c.app == app).order_by(standings.c.package, standings.c.current)
    return connection.execute(query).all()


def keep(connection: Connection, made: Sequence[Standing]) -> list[Decision]:
    """Lets decisions stand. Those that say something new are written, and returned; of the others stands the one from
    when it was first said."""
    fresh: list[Decision] = []
    for app in {one.decision.app for one in made}:
        mine = {one.decision.subject: one for one in made if one.decision.app == app}
        before = {(row.package, row.current): row for row in _rows(connection, app)}
        same = {
            subject: before[subject].id
            for subject, one in mine.items()
            if subject in before and _decision(before[subject]).same_as(one.decision)
        }
        new = [one.decision for subject, one in mine.items() if subject not in same]
        ids = same | _written(connection, new)
        _forget(connection, app, mine.keys())
        connection.execute(insert(standings), [_row(one, ids[subject]) for subject, one in mine.items()])
        fresh += new
    if fresh:
        _let_go(connection, fresh)
    return fresh


def _row(made: Standing, id: int) -> dict[str, Any]:
    package, current = made.decision.subject
    return {
        "app": made.decision.app,
        "package": package,
        "current": current,
        "basis": made.basis,
        "until": made.until,
        "decision": id,
        "hit": made.is_hit,
    }


def _written(connection: Connection, made: Sequence[Decision]) -> dict[Subject, int]:
    rows = [{field.name: getattr(one, field.name) for field in fields(one)} for one in made]
    if not rows:
        return {}
    query = insert(decisions).returning(decisions.c.id, sort_by_parameter_order=True)
    return dict(zip((one.subject for one in made), connection.scalars(query, rows), strict=True))


def _forget(connection: Connection, app: str, subjects: Collection[Subject]) -> None:
    query = delete(standings).where(
        standings.c.app == app,
        standings.c.package == bindparam("of_package"),
        standings.c.current == bindparam("of_current"),
    )
    if subjects:
        connection.execute(query, [{"of_package": package, "of_current": current} for package, current in subjects])


def _let_go(connection: Connection, made: Iterable[Decision]) -> None:
    """Forgets of these packages what was decided too long ago to be asked for: what gave way more than half a year ago,
    and of a package whose index comes and goes, all but the last."""
    mine = decisions.alias()
    of_pin = (mine.c.app == bindparam("of_app"), mine.c.package == bindparam("of_package"))
    gave_way = select(func.max(mine.c.id)).where(*of_pin, mine.c.at <= bindparam("before", type_=Utc))
    too_many = select(mine.c.id).where(*of_pin).order_by(mine.c.id.desc()).limit(1).offset(MOST - 1)
    for limit in (gave_way, too_many):
        query = delete(decisions).where(
            decisions.c.app == bindparam("of_app"),
            decisions.c.package == bindparam("of_package"),
            decisions.c.id < limit.scalar_subquery(),
            decisions.c.id.not_in(select(standings.c.decision)),
        )
        rows = [{"of_app": one.app, "of_package": one.package, "before": one.at - REMEMBERED} for one in made]
        connection.execute(query, rows)


def packages(app: str, before: datetime | None) -> Select[tuple[str]]:
    """The query for the packages of an app about which anything was decided, by name."""
    query = select(decisions.c.package).where(decisions.c.app == app).distinct().order_by(decisions.c.package)
    return query.where(decisions.c.at <= before) if before is not None else query


def past(app: str, package: str, before: datetime | None, limit: int | None) -> Select[Any]:
    """The query for the decisions of an app, newest first."""
    query = select(*_FIELDS).where(decisions.c.app == app).order_by(decisions.c.id.desc()).limit(limit)
    if package:
        query = query.where(decisions.c.package == package)
    return query.where(decisions.c.at <= before) if before is not None else query


def _decision(row: Row[Any]) -> Decision:
    return Decision(**{field.name: row._mapping[field.name] for field in fields(Decision)})


def weighed(connection: Connection, apps: Collection[str]) -> dict[str, Weighing]:
    """How apps were weighed last."""
    rows = connection.execute(select(weighings).where(weighings.c.app.in_(apps)))
    return {row.app: Weighing(row.mark, row.until, row.unseen) for row in rows}


def weigh(connection: Connection, app: str, made: Weighing, gone: Collection[Subject]) -> None:
    """Notes how an app was weighed; for what is `gone` from its lock no decision stands any more."""
    _forget(connection, app, gone)
    connection.execute(delete(weighings).where(weighings.c.app == app))
    connection.execute(insert(weighings).values(app=app, mark=made.mark, until=made.until, unseen=dict(made.unseen)))
