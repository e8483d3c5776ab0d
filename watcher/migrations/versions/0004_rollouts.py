"""Rollouts: approvals, the time of the merge, and what each part of a host's swap took."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("rollouts") as batch:
        batch.add_column(sa.Column("approved", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("host_states") as batch:
        for name in ("pull_seconds", "swap_seconds", "healthy_seconds"):
            batch.add_column(sa.Column(name, sa.Float(), nullable=True))
