"""Of a package on an index, when the last of its files came out."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    with op.batch_alter_table("lookups") as batch:
        batch.add_column(sa.Column("newest_at", sa.DateTime(timezone=True), nullable=True))
