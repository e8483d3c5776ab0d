"""The ledger's tables, as SQLAlchemy sees them. The migrations make them; a test compares the two.

A column's type says how a value of ours becomes a value of the database, so a row is an entry and back without a word
in between. Times are UTC and aware on both sides.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from watcher.advisory import Advisory
from watcher.bump import Bump, BumpStage, Part
from watcher.decision import Reason, Verdict
from watcher.entry import Entry
from watcher.head import Head
from watcher.image import Digest
from watcher.lookup import Bulletin, IndexState, Lookup, Mark, Outcome
from watcher.machine import Machine
from watcher.packed import Packed, pack
from watcher.pin import Pin
from watcher.proposal import Proposals, Tended
from watcher.receiver import Receiver
from watcher.release import Release
from watcher.rollout import Built, HostStage, HostState, Rollout, RolloutStage


class Utc(TypeDecorator[datetime]):
    """An aware time, stored as UTC. SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(TypeDecorator[Any]):
    """A text that is a type of ours: a stage, a digest."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[StrEnum] | type[Digest]) -> None:
        self.kind = kind
        super().__init__()

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.kind(value)


class Document(TypeDecorator[Any]):
    """A value that is only ever read and written whole, as JSON."""

    impl = JSON
    cache_ok = True

    def __init__(self, read: Callable[[Any], Any], write: Callable[[Any], Any]) -> None:
        self.read, self.write = read, write
        super().__init__(none_as_null=True)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.write(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.read(value)


class Pack(TypeDecorator[Any]):
    """Many values of one kind, compressed: hundreds of files make a few kilobytes. They stay so until they are read."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        super().__init__()

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> bytes:
        return pack(self.kind, value) if value else b""

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Sequence[Any]:
        return Packed(self.kind, value) if value else ()


def _pins(rows: Any) -> tuple[Pin, ...]:
    return tuple(map(_pin, rows))


def _pin(row: dict[str, Any]) -> Pin:
    given: dict[str, Any] = {name: tuple(value) if type(value) is list else value for name, value in row.items()}
    return Pin(**given)


def _without_defaults(pins: Sequence[Pin]) -> list[dict[str, Any]]:
    """Only what says something: every look reads a thousand of them, and most have few of their fields."""
    return [{name: value for name in _PIN if (value := getattr(pin, name)) != _PIN[name]} for pin in pins]


_PIN = {field.name: field.default for field in fields(Pin)}


def _parts(rows: Any) -> tuple[Part, ...]:
    return tuple(Part(**row) for row in rows)


def _built(row: Any) -> Built:
    base = row.get("base")
    told = {"told": tuple(row.get("told", ())), "base": Digest(base) if base else None}
    return Built(**{**row, "image": Digest(row["image"]), **told})


def _mark(mark: Mark) -> dict[str, Any]:
    # A look at a quiet feed writes one for each of a thousand packages, and `asdict` copies every value.
    return {name: getattr(mark, name) for name in Mark.__slots__}


def _plain(values: Any) -> Any:
    return json.loads(json.dumps([asdict(value) for value in values], default=str))


metadata = MetaData()


def _entry() -> tuple[Column[Any], ...]:
    return (
        Column("reason", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("due_at", Utc),
        Column("throttled", Boolean, nullable=False),
        Column("revision", Integer, nullable=False),
    )


bumps = Table(
    "bumps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("app", Text, nullable=False, index=True),
    Column("ecosystem", Text, nullable=False),
    Column("package", Text, nullable=False),
    Column("from_version", Text, nullable=False),
    Column("to_version", Text, nullable=False),
    Column("stage", Word(BumpStage), nullable=False, index=True),
    Column("found_at", Utc, nullable=False),
    Column("released_at", Utc),
    Column("proposed_at", Utc),
    Column("ended_at", Utc),
    Column("branch", Text, nullable=False),
    Column("commit", Text, nullable=False),
    Column("proposal", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("others", Document(_parts, _plain), nullable=False),
    Column("advisories", Document(tuple, list), nullable=False),
    Column("by", Text, nullable=False),
    Column("basis", Text, nullable=False),
    *_entry(),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("app", Text, nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("commit", Text, nullable=False),
    Column("stage", Word(RolloutStage), nullable=False, index=True),
    Column("cause", Text, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("image", Word(Digest)),
    Column("built", Document(_built, asdict)),
    Column("wave", Integer, nullable=False),
    Column("approved", Integer, nullable=False),
    Column("merged_at", Utc),
    Column("released_at", Utc),
    Column("wanted_at", Utc, nullable=False),
    Column("built_at", Utc),
    Column("rolling_at", Utc),
    Column("wave_at", Utc),
    Column("done_at", Utc),
    *_entry(),
)

host_states = Table(
    "host_states",
    metadata,
    Column("rollout", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("stage", Word(HostStage), nullable=False),
    Column("previous", Word(Digest)),
    Column("bytes", BigInteger),
    Column("seconds", Float),
    Column("pull_seconds", Float),
    Column("swap_seconds", Float),
    Column("healthy_seconds", Float),
    Column("called_at", Utc),
    Column("since", Utc),
    Column("found", Integer, nullable=False),
    Column("midway", Boolean, nullable=False),
    Column("restarts", Integer, nullable=False),
    Column("pulling_since", Utc),
    Column("inspected_at", Utc),
    Column("drift", Text, nullable=False),
    *_entry(),
)

machines = Table(
    "machines",
    metadata,
    Column("fleet", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("engine", Text, nullable=False),
    Column("zstd", Boolean, nullable=False),
    Column("classic", Boolean, nullable=False),
    Column("asked_at", Utc),
    Column("answered_at", Utc),
    *_entry(),
)

heads = Table(
    "heads",
    metadata,
    Column("app", Text, primary_key=True),
    Column("commit", Text, nullable=False),
    Column("committed_at", Utc),
    Column("surveyed_at", Utc),
    Column("pins", Document(_pins, _without_defaults), nullable=False),
    Column("branches", Document(lambda rows: tuple(tuple(row) for row in rows), list), nullable=False),
    Column("beside", Document(_pins, _without_defaults), nullable=False),
    Column("remark", Text, nullable=False),
    Column("basis", Text, nullable=False),
    *_entry(),
)

lookups = Table(
    "lookups",
    metadata,
    Column("index", Text, primary_key=True),
    Column("package", Text, primary_key=True),
    Column("outcome", Word(Outcome), nullable=False),
    Column("looked_at", Utc),
    Column("answered_at", Utc),
    Column("changed_at", Utc),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("files", Document(dict, dict), nullable=False),
    Column("feed", Document(lambda row: Mark(**row), _mark)),
    Column("program", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_said", Text, nullable=False),
    Column("remark", Text, nullable=False),
    Column("had_at", Utc),
    Column("newest_at", Utc),
    Column("spared_until", Utc),
    Column("releases", Pack(Release), nullable=False),
    Column("advisories", Pack(Advisory), nullable=False),
    *_entry(),
    # Whose turn it is, a round sees here: the rows themselves lie among the releases.
    Index("ix_lookups_turn", "index", "package", "spared_until", "changed_at", "looked_at"),
)

bulletins = Table(
    "bulletins",
    metadata,
    Column("source", Text, primary_key=True),
    Column("ecosystem", Text, primary_key=True),
    Column("package", Text, primary_key=True),
    Column("outcome", Word(Outcome), nullable=False),
    Column("looked_at", Utc),
    Column("answered_at", Utc),
    Column("changed_at", Utc),
    Column("advisories", Pack(Advisory), nullable=False),
    *_entry(),
)

indexes = Table(
    "indexes",
    metadata,
    Column("index", Text, primary_key=True),
    Column("polled_at", Utc),
    Column("answered_at", Utc),
    Column("changed_at", Utc),
    Column("unknown_since", Utc),
    Column("told", Document(lambda row: Mark(**row), _mark)),
    Column("told_at", Utc),
    Column("told_from", Utc),
    Column("spared_by", Text, nullable=False),
    Column("packages", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    *_entry(),
)

proposals = Table(
    "proposals",
    metadata,
    Column("app", Text, primary_key=True),
    Column("looked_at", Utc),
    Column("tended", Pack(Tended), nullable=False),
    Column("kept", Document(tuple, list), nullable=False),
    *_entry(),
)

outbox = Table(
    "outbox",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("cursor", Integer, nullable=False),
    Column("delivered_at", Utc),
    *_entry(),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Utc, nullable=False),
    Column("kind", Text, nullable=False),
    Column("app", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("ix_events_app", "app", "id"),
    Index("ix_events_subject", "subject", "id"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", Text, nullable=False),
    Column("package", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("current", Text, nullable=False),
    Column("newest", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("verdict", Word(Verdict), nullable=False),
    Column("said", Text, nullable=False),
    Column("reasons", Pack(Reason), nullable=False),
    Column("index", Text, nullable=False),
    Column("advisories", Document(tuple, list), nullable=False),
    Column("fixes", Document(tuple, list), nullable=False),
    Column("flaw", Text, nullable=False),
    Column("status", Text, nullable=False),
    Index("ix_decisions_pin", "app", "package", "id"),
)

standings = Table(
    "standings",
    metadata,
    Column("app", Text, primary_key=True),
    Column("package", Text, primary_key=True),
    Column("current", Text, primary_key=True),
    Column("basis", Text, nullable=False),
    Column("until", Utc),
    Column("decision", Integer, nullable=False),
    Column("hit", Boolean, nullable=False),
)
"""Which decision stands for a pin, what it was made from, when it has to be made again at the latest, and whether an
advisory is about the pin."""

weighings = Table(
    "weighings",
    metadata,
    Column("app", Text, primary_key=True),
    Column("mark", Text, nullable=False),
    Column("until", Utc),
    Column("unseen", JSON, nullable=False),
)
"""What was known when the pins of an app were weighed last: while it is the same, so are the decisions."""

holds = Table(
    "holds",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Utc, nullable=False),
)

transfers = Table(
    "transfers",
    metadata,
    Column("host", Text, primary_key=True),
    Column("gone", BigInteger, nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("at", Utc, nullable=False),
)

SHELVES: dict[type[Entry], Table] = {
    Bump: bumps,
    Rollout: rollouts,
    HostState: host_states,
    Machine: machines,
    Head: heads,
    Lookup: lookups,
    Bulletin: bulletins,
    IndexState: indexes,
    Proposals: proposals,
    Receiver: outbox,
}
"""Which table an entry stands in. Its columns are named like the entry's fields."""
