"""The audit log: who asked over HTTP for a change, and what came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the triggers that keep it append-only."""
    op.create_table(
        "audit_log",
        sa.Column("entry_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("entry_no", name="pk_audit_log"),
        sa.CheckConstraint("outcome IN ('done', 'refused', 'denied', 'failed')", name=op.f("ck_audit_log_outcome")),
    )
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_log_no_{action.lower()} BEFORE {action} ON audit_log "
            + (
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                if op.get_bind().dialect.name == "postgresql"
                else "BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END"
            )
        )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("audit_log")
