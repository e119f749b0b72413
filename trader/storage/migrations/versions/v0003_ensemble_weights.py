"""Weights of ensembles, from when on they count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLE = "ensemble_weights"


def upgrade() -> None:
    """Create the table, and the triggers that keep it append-only."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        _TABLE,
        sa.Column("change_no", number, autoincrement=True, nullable=False),
        sa.Column("ensemble", sa.String(), nullable=False),
        sa.Column("effective_ns", sa.BigInteger(), nullable=False),
        sa.Column("seen_until_ns", sa.BigInteger(), nullable=True),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("change_no", name="pk_ensemble_weights"),
    )
    op.create_index("ix_ensemble_weights_ensemble", _TABLE, ["ensemble"])
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {_TABLE}_no_{action.lower()} BEFORE {action} ON {_TABLE} "
            + (
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                if op.get_bind().dialect.name == "postgresql"
                else f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
            )
        )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE)
