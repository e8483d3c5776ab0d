"""How far the bytes are that travel to a host now. Nobody decides anything by it: it is there to be watched."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from watcher.tables import transfers


@dataclass(frozen=True, slots=True)
class Transfer:
    """`gone` bytes of `known` have come to a host, as of `at` (UTC). More may become known on the way."""

    gone: int
    known: int
    at: datetime


def keep(connection: Connection, host: str, now: Transfer | None) -> None:
    """Notes how far the bytes of a host's pull are; None: they have arrived, or will not."""
    connection.execute(delete(transfers).where(transfers.c.host == host))
    if now is not None:
        connection.execute(insert(transfers).values(host=host, gone=now.gone, known=now.known, at=now.at))


def under_way(connection: Connection) -> dict[str, Transfer]:
    """All transfers, by the name of the host in its rollout."""
    return {row.host: Transfer(row.gone, row.known, row.at) for row in connection.execute(select(transfers))}
