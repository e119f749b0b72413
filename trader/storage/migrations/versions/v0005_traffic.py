"""Who was traded in an experiment at each decision, and shares that a run changed by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEX = "ix_experiment_events_run_id_seq"


def upgrade() -> None:
    """Add the columns; null where they were not recorded."""
    op.add_column("experiment_events", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.create_index(_INDEX, "experiment_events", ["run_id", "seq"], unique=True)
    op.add_column("variant_marks", sa.Column("share", sa.Double(), nullable=True))
    op.add_column("variant_marks", sa.Column("units", sa.BigInteger(), nullable=True))
    op.add_column("variant_marks", sa.Column("answered", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for name in ("share", "units", "answered"):
        op.drop_column("variant_marks", name)
    op.drop_index(_INDEX, "experiment_events")
    op.drop_column("experiment_events", "seq")
