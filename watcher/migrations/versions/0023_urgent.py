"""Rollouts that wait for nothing; of a host, what it showed, what it is owed, and how often it was restarted."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    with op.batch_alter_table("rollouts") as batch:
        batch.add_column(sa.Column("urgent", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("host_states") as batch:
        batch.add_column(sa.Column("found", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("midway", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("restarts", sa.Integer(), nullable=False, server_default="0"))
