"""A ledger's database: its connections and transactions. Errors of SQLAlchemy end here."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from watcher import schema
from watcher.errors import LedgerRefused, LedgerUnreachable, Overtaken, ToplayerError

_BUSY_MS = 15_000


class Database:
    """SQLite in WAL mode, or PostgreSQL. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Opens the database at `url`, bringing its tables up to date. A ledger error if that cannot be done."""
        self._engine = _engine(url)
        self._quiet = _engine(url, durable=False)
        self._reader = _reader(self._engine, url)
        self._mine = threading.local()
        self.where = self._engine.url.render_as_string(hide_password=True)
        try:
            with self._translated():
                schema.upgrade(self._engine, self.where)
        except ToplayerError:
            self.close()
            raise

    def close(self) -> None:
        """Gives the connections back."""
        for engine in (self._engine, self._quiet, self._reader):
            engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read by, each statement for itself. On SQLite nobody who writes is waited for."""
        with self._translated():
            mine: Connection | None = getattr(self._mine, "connection", None)
            with contextlib.nullcontext(mine) if mine is not None else self._reader.connect() as connection:
                yield connection

    @contextlib.contextmanager
    def at_hand(self) -> Iterator[None]:
        """Within the block, this thread reads by one connection. To take one and to give it back, and to ask a server
        whether it is still there, takes as long as a question."""
        with self.reading() as connection:
            self._mine.connection = connection
            try:
                yield
            finally:
                del self._mine.connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, which is on the disk when it has ended."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def noting(self) -> Iterator[Connection]:
        """A transaction of leases, or of what is only watched: nothing is lost with it if a power cut takes it back."""
        with self._translated(), self._quiet.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise Overtaken(f"an entry of the ledger ({_words(error)})") from error
        except (OperationalError, InterfaceError) as error:
            words = _words(error)
            if any(sign in words for sign in ("full", "readonly", "read-only", "unable to open", "permission")):
                raise LedgerRefused(self.where, words, "check the disk's free space and the file's owner") from error
            raise LedgerUnreachable(self.where, words) from error
        except DatabaseError as error:
            raise LedgerRefused(self.where, _words(error), "is this file a ledger of toplayer?") from error


def _words(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0][:200]


def _reader(engine: Engine, url: str) -> Engine:
    """Who reads begins nothing. SQLite's connections are set so once and for all: to set one for each question and
    back again takes longer than the question."""
    if engine.dialect.name == "sqlite":
        return _engine(url, isolation_level="AUTOCOMMIT")
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _engine(url: str, *, durable: bool = True, **options: Any) -> Engine:
    """`durable`: what is committed is on the disk. It costs a wait for the disk, and most of a step's time."""
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, **_options(parsed.get_backend_name(), durable), **options)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        hint = 'PostgreSQL needs its driver: pip install "toplayer[postgres]"' if "psycopg" in str(error) else ""
        raise LedgerRefused(url.partition("://")[0] + "://…", str(error).splitlines()[0], hint) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_as_wal, "FULL" if durable else "NORMAL"))
        # SQLite's driver begins late, and a transaction that first reads and then writes can then lose its lock race
        # half-way. Every transaction here writes, so it says so from the start. (The event comes without one, too.)
        if "isolation_level" not in options:
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _options(backend: str, durable: bool) -> dict[str, Any]:
    if backend == "sqlite":
        return {"connect_args": {"timeout": _BUSY_MS / 1000, "check_same_thread": False}}
    commits = {} if durable else {"options": "-c synchronous_commit=off"}
    # A server that is gone without a word is waited for as long as a file that is locked, and not for ever.
    limits = {"connect_timeout": 10, "tcp_user_timeout": _BUSY_MS, "keepalives_idle": 15}
    return {"pool_size": 10, "pool_pre_ping": True, "connect_args": limits | commits}


def _as_wal(synchronous: str, connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA synchronous={synchronous}")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.close()
