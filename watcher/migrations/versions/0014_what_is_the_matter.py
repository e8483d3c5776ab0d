"""What is the matter with a pin besides advisories: its release was taken back, or its project is over."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    with op.batch_alter_table("decisions") as batch:
        batch.add_column(sa.Column("flaw", sa.Text(), nullable=False, server_default=""))
        batch.add_column(sa.Column("status", sa.Text(), nullable=False, server_default=""))
