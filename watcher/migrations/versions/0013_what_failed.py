"""What a bump was tried on when it failed."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"


def upgrade() -> None:
    with op.batch_alter_table("bumps") as batch:
        batch.add_column(sa.Column("basis", sa.Text(), nullable=False, server_default=""))
