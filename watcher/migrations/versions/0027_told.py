"""How far an index's feed of changes was read, for all of its packages at once."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    with op.batch_alter_table("indexes") as batch:
        batch.add_column(sa.Column("told", sa.JSON()))
        batch.add_column(sa.Column("told_at", sa.DateTime(timezone=True)))
        batch.add_column(sa.Column("told_from", sa.DateTime(timezone=True)))
