"""Experiments: what they compare, what happened to them, and the equity of their variants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("experiments", "experiment_events", "variant_marks")


def upgrade() -> None:
    """Create the tables, and the triggers that keep them append-only."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "experiments",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        *_said(),
        sa.PrimaryKeyConstraint("name", name="pk_experiments"),
    )
    op.create_table(
        "experiment_events",
        sa.Column("event_no", number, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        *_said(),
        sa.PrimaryKeyConstraint("event_no", name="pk_experiment_events"),
        sa.ForeignKeyConstraint(["name"], ["experiments.name"], name="fk_experiment_events_name"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_experiment_events_run_id"),
    )
    op.create_index("ix_experiment_events_name", "experiment_events", ["name"])
    op.create_table(
        "variant_marks",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("champion", sa.Double(), nullable=False),
        sa.Column("challenger", sa.Double(), nullable=False),
        sa.Column("sign_agreement", sa.Double(), nullable=True),
        sa.Column("rank_correlation", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_variant_marks"),
        sa.ForeignKeyConstraint(
            ["run_id", "seq"], ["decisions.run_id", "decisions.seq"], name="fk_variant_marks_run_id_seq"
        ),
        sqlite_with_rowid=False,
    )
    for table in _TABLES:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                + (
                    "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                    if op.get_bind().dialect.name == "postgresql"
                    else f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
            )


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _said() -> tuple[sa.Column[int], sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )
