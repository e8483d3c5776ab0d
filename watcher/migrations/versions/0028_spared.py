"""Until when an index need not be asked about a package, and what says otherwise; and who was never asked."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    with op.batch_alter_table("lookups") as batch:
        batch.add_column(sa.Column("spared_until", sa.DateTime(timezone=True)))
        turn = ["index", "package", "spared_until", "changed_at", "looked_at"]
        batch.create_index("ix_lookups_turn", turn)
    with op.batch_alter_table("standings") as batch:
        batch.add_column(sa.Column("hit", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE standings SET hit = COALESCE((SELECT CAST(advisories AS TEXT) <> '[]' FROM decisions"
        " WHERE decisions.id = standings.decision), false)"
    )
    # Whatever was weighed before is weighed again.
    op.execute("DELETE FROM weighings")
    with op.batch_alter_table("weighings") as batch:
        batch.add_column(sa.Column("unseen", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("indexes") as batch:
        batch.add_column(sa.Column("spared_by", sa.Text(), nullable=False, server_default=""))
