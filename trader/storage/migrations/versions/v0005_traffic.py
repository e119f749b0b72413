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
_MARKS: tuple[tuple[str, type[sa.types.TypeEngine[object]]], ...] = (
    ("share", sa.Double),
    ("units", sa.BigInteger),
    ("answered", sa.Boolean),
)


def upgrade() -> None:
    """Add the columns; null where they were not recorded."""
    op.add_column("experiment_events", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.create_index(_INDEX, "experiment_events", ["run_id", "seq"], unique=True)
    for name, kind in _MARKS:
        op.add_column("variant_marks", sa.Column(name, kind(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for name, _ in _MARKS:
        op.drop_column("variant_marks", name)
    op.drop_index(_INDEX, "experiment_events")
    op.drop_column("experiment_events", "seq")
