"""What the challenger of a shadow experiment said of each symbol."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; null where it was not recorded."""
    op.add_column("variant_marks", sa.Column("own_score", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("variant_marks", "own_score")
