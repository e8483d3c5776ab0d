"""Proposals on forges."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("bumps") as batch:
        batch.add_column(sa.Column("proposal", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("url", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "proposals",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tended", sa.LargeBinary(), nullable=False),
        sa.Column("kept", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("app"),
    )
