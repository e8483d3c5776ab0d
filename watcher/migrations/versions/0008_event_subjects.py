"""Events by their subject: what happened to one rollout is found without reading what happened to every host."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_index("ix_events_subject", "events", ["subject", "id"], unique=False)
