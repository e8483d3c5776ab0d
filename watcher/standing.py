"""Which decision stands for each pin, and the decisions before it: the ledger's tables of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from watcher.decision import Decision
from watcher.tables import decisions, standings, weighings

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
    """What was known when an app's pins were weighed last (`mark`), and when they have to be weighed again (UTC)."""

    mark: str
    until: datetime | None

    def stands(self, mark: str, now: datetime) -> bool:
        """Whether weighing them again would change nothing."""
        return self.mark == mark and (self.until is None or now < self.until)


def standing(connection: Connection, app: str) -> dict[str, Standing]:
    """The decisions that stand for an app, by package."""
    return {row.package: Standing(_decision(row), row.basis) for row in _rows(connection, app)}


def _rows(connection: Connection, app: str) -> Sequence[Row[Any]]:
    columns = (standings.c.basis, decisions.c.id, *_FIELDS)
    query = select(*columns).join_from(standings, decisions, standings.c.decision == decisions.c.id)
    return connection.execute(query.where(standings.c.app == app).order_by(standings.c.package)).all()


def keep(connection: Connection, made: Sequence[Decision], basis: Mapping[str, str]) -> list[Decision]:
    """Lets decisions stand. Those that say something new are written, and returned; of the others stands the one from
    when it was first said."""
    fresh: list[Decision] = []
    for app in {decision.app for decision in made}:
        mine = {decision.package: decision for decision in made if decision.app == app}
        same = {row.package: row.id for row in _rows(connection, app) if _decision(row).same_as(mine.get(row.package))}
        new = [decision for package, decision in mine.items() if package not in same]
        ids = same | _written(connection, new)
        _forget(connection, app, mine.keys())
        rows = [_row(decision, basis.get(package, ""), ids[package]) for package, decision in mine.items()]
        connection.execute(insert(standings), rows)
        fresh += new
    return fresh


def _row(made: Decision, basis: str, id: int) -> dict[str, Any]:
    return {"app": made.app, "package": made.package, "basis": basis, "until": made.free_at, "decision": id}


def _written(connection: Connection, made: Iterable[Decision]) -> dict[str, int]:
    rows = [{field.name: getattr(one, field.name) for field in fields(one)} for one in made]
    if not rows:
        return {}
    query = insert(decisions).returning(decisions.c.id, sort_by_parameter_order=True)
    ids = connection.scalars(query, rows)
    return dict(zip((row["package"] for row in rows), ids, strict=True))


def _forget(connection: Connection, app: str, packages: Collection[str]) -> None:
    connection.execute(delete(standings).where(standings.c.app == app, standings.c.package.in_(list(packages))))


def past(app: str, package: str, before: datetime | None, limit: int | None) -> Select[Any]:
    """The query for the decisions of an app, newest first."""
    query = select(*_FIELDS).where(decisions.c.app == app).order_by(decisions.c.id.desc()).limit(limit)
    if package:
        query = query.where(decisions.c.package == package)
    return query.where(decisions.c.at <= before) if before is not None else query


def _decision(row: Row[Any]) -> Decision:
    return Decision(**{field.name: row._mapping[field.name] for field in fields(Decision)})


def weighing(connection: Connection, app: str) -> Weighing | None:
    """How an app was weighed last."""
    row = connection.execute(select(weighings).where(weighings.c.app == app)).first()
    return Weighing(row.mark, row.until) if row else None


def weighed(connection: Connection, app: str, made: Weighing, gone: Collection[str]) -> None:
    """Notes how an app was weighed; for what is `gone` from its lock no decision stands any more."""
    _forget(connection, app, gone)
    connection.execute(delete(weighings).where(weighings.c.app == app))
    connection.execute(insert(weighings).values(app=app, mark=made.mark, until=made.until))
