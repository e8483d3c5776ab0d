"""Brings a ledger's tables up to date, once, however many processes start at the same time."""

from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, PrimaryKeyConstraint, String, Table, inspect, select, text

from watcher.errors import LedgerRefused
from watcher.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
# Numbers of our own among PostgreSQL's advisory locks ("topl" and "tope").
_LOCK = 0x746F706C
EVENTS_LOCK = 0x746F7065
_STAMPS = MetaData()
# Alembic's own table, as it makes it.
_STAMP = Table(
    "alembic_version",
    _STAMPS,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def newest() -> str:
    """The version of the newest migration: they are numbered files in one line."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def upgrade(engine: Engine, where: str) -> None:
    """Makes the tables of a new ledger, and runs the migrations that an older one misses.

    `LedgerRefused` if the ledger is newer than this program.
    """
    with engine.connect() as connection:
        current = _version(connection)
        connection.rollback()
    if current == newest():
        return
    if current is not None and current > newest():
        raise LedgerRefused(
            where, f"its version {current} is newer than this toplayer", "upgrade toplayer on this machine"
        )
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _version(connection) is None:  # still: nobody else was faster
            _make(connection)
        else:
            migrate(connection)


def migrate(connection: Connection) -> None:
    """Runs the migrations that are missing: all of them, in a database without tables."""
    # Imported only here: Alembic takes longer to import than most commands take.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _make(connection: Connection) -> None:
    """What the migrations come to, without their history: it takes a tenth of their time."""
    metadata.create_all(connection, checkfirst=False)
    _STAMPS.create_all(connection, checkfirst=False)
    connection.execute(_STAMP.insert(), {"version_num": newest()})


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_STAMP.name):
        return None
    version: str | None = connection.execute(select(_STAMP.c.version_num)).scalar()
    return version
