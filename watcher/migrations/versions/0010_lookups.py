"""Lookups: the mark of each file, and how far the feed was read, apart from each other; who has read the answer."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    # What stands in `etag` and `last_modified` is of another program, and is not gone on from.
    with op.batch_alter_table("lookups") as batch:
        batch.add_column(sa.Column("files", sa.JSON(none_as_null=True), nullable=False, server_default=sa.text("'{}'")))
        batch.add_column(sa.Column("feed", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("program", sa.Text(), nullable=False, server_default=""))
        batch.add_column(sa.Column("had_at", sa.DateTime(timezone=True), nullable=True))
