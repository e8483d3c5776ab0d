"""Since when a host has been bringing an image to itself."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0015"


def upgrade() -> None:
    with op.batch_alter_table("host_states") as batch:
        batch.add_column(sa.Column("pulling_since", sa.DateTime(timezone=True), nullable=True))
