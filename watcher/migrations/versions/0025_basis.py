"""What the pins of a branch's tip were read from."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    with op.batch_alter_table("heads") as batch:
        batch.add_column(sa.Column("basis", sa.Text(), nullable=False, server_default=""))
