"""Standing applications: what was wanted of them, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the triggers that keep it append-only."""
    op.create_table(
        "serving_events",
        sa.Column("event_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_no", name="pk_serving_events"),
        sa.CheckConstraint("kind IN ('wanted', 'applied', 'failed', 'tripped')", name=op.f("ck_serving_events_kind")),
    )
    op.create_index("ix_serving_events_app_kind", "serving_events", ["app", "kind"])
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER serving_events_no_{action.lower()} BEFORE {action} ON serving_events "
            + (
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                if op.get_bind().dialect.name == "postgresql"
                else "BEGIN SELECT RAISE(ABORT, 'serving_events is append-only'); END"
            )
        )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("serving_events")
