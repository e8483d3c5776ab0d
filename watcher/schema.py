"""Brings a ledger's tables up to date, once, however many processes start at the same time."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from watcher.errors import LedgerRefused

MIGRATIONS = Path(__file__).parent / "migrations"
# Numbers of our own among PostgreSQL's advisory locks ("topl" and "tope").
_LOCK = 0x746F706C
EVENTS_LOCK = 0x746F7065


def newest() -> str:
    """The version of the newest migration: they are numbered files in one line."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def upgrade(engine: Engine, where: str) -> None:
    """Runs the migrations that are missing. `LedgerRefused` if the ledger is newer than this program."""
    with engine.connect() as connection:
        current = _version(connection)
        connection.rollback()
    if current == newest():
        return
    if current is not None and current > newest():
        raise LedgerRefused(
            where, f"its version {current} is newer than this toplayer", "upgrade toplayer on this machine"
        )
    # Imported only here: Alembic takes longer to import than most commands take.
    from alembic import command
    from alembic.config import Config

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version
