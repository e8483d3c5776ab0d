"""Watching: what is said against packages, which decision stands, bumps of several packages."""

import json
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NOTHING = sa.text("'[]'")


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _list(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=False, server_default=_NOTHING)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=False, server_default="")


def _add(table: str, *columns: sa.Column[Any]) -> None:
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.add_column(column)


def upgrade() -> None:
    _add("bumps", _text("group"), _list("others"), _list("advisories"), _text("by"))
    _add(
        "lookups",
        *(_time("changed_at"), _text("digest"), _text("status"), _text("status_said"), _text("remark")),
        _bytes("advisories"),
    )
    _add("indexes", _time("changed_at"), _time("unknown_since"))
    _add("decisions", _text("index"), _list("advisories"), _list("fixes"), _bytes("packed"))
    _pack_reasons()
    op.create_table(
        "bulletins",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ecosystem", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("advisories", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "ecosystem", "package"),
    )
    op.create_table(
        "standings",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("app", "package"),
    )
    op.create_table(
        "weighings",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("app"),
    )


def _pack_reasons() -> None:
    """A decision about a package that publishes daily has hundreds of reasons: a tenth of the bytes when packed."""
    before = sa.table("decisions", sa.column("id"), sa.column("reasons", sa.JSON()), sa.column("packed"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(before.c.id, before.c.reasons)).all():
        packed = zlib.compress(json.dumps(row.reasons).encode(), 1) if row.reasons else b""
        connection.execute(sa.update(before).where(before.c.id == row.id).values(packed=packed))
    with op.batch_alter_table("decisions") as batch:
        batch.drop_column("reasons")
        batch.alter_column("packed", new_column_name="reasons")
