"""Brings a ledger's tables up to date, once, however many processes start at the same time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from watcher.errors import LedgerRefused

MIGRATIONS = Path(__file__).parent / "migrations"
# Numbers of our own among PostgreSQL's advisory locks ("topl" and "tope").
_LOCK = 0x746F706C
EVENTS_LOCK = 0x746F7065


def config(connection: Connection) -> Config:
    """Alembic's configuration for this connection; there is no alembic.ini."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine, where: str) -> None:
    """Runs the migrations that are missing. `LedgerRefused` if the ledger is newer than this program."""
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        script = ScriptDirectory.from_config(config(connection))
        if current == script.get_current_head():
            return
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise LedgerRefused(
                where, f"its version {current} is newer than this toplayer", "upgrade toplayer on this machine"
            )
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        command.upgrade(config(connection), "head")
