"""Whether a pause is one that the other side asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

_ENTRIES = (
    "bumps",
    "rollouts",
    "host_states",
    "machines",
    "heads",
    "lookups",
    "bulletins",
    "indexes",
    "proposals",
    "outbox",
)


def upgrade() -> None:
    for table in _ENTRIES:
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("throttled", sa.Boolean(), nullable=False, server_default=sa.false()))
