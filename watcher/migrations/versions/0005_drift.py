"""Drift: when a host was last asked what it runs, and what was not as it should be."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("host_states") as batch:
        batch.add_column(sa.Column("inspected_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("drift", sa.Text(), nullable=False, server_default=""))
    # Who was proven was looked at then: the inspections of a large fleet do not all come at once.
    op.execute("UPDATE host_states SET inspected_at = since WHERE stage = 'done'")
