"""Everything that is pinned: what is in no image, too, and each version of a package by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    with op.batch_alter_table("heads") as batch:
        batch.add_column(sa.Column("beside", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("remark", sa.Text(), nullable=False, server_default=""))
    op.rename_table("standings", "standings_before")
    op.create_table(
        "standings",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("current", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("app", "package", "current"),
    )
    op.execute(
        "INSERT INTO standings SELECT s.app, s.package, d.current, s.basis, s.until, s.decision"
        " FROM standings_before AS s JOIN decisions AS d ON d.id = s.decision"
    )
    op.drop_table("standings_before")
