"""The ledger: runs, decisions, orders, fills, events, loop state and cash movements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

__all__ = ["downgrade", "upgrade"]

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("decisions", "orders", "fills", "events", "cash_movements")


def upgrade() -> None:
    """Create the tables, and the triggers that keep the ledger append-only."""
    _create_runs()
    _create_decisions()
    _create_orders()
    _create_fills()
    _create_others()
    _create_triggers()


def downgrade() -> None:
    """Drop everything."""
    for table in ("cash_movements", "loop_state", "events", "fills", "orders", "decisions", "runs"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _run_id(table: str) -> tuple[SchemaItem, ...]:
    return (
        sa.Column("run_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=f"fk_{table}_run_id"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("symbols", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("data_fingerprint", sa.String(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("feature_names", sa.Text(), nullable=False),
        sa.Column("member_names", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.CheckConstraint("mode IN ('run', 'backtest')", name=op.f("ck_runs_mode")),
        sa.CheckConstraint("status IN ('running', 'complete', 'incomplete', 'failed')", name=op.f("ck_runs_status")),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        *_run_id("decisions"),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("equity", sa.Double(), nullable=False),
        sa.Column("cash", sa.Double(), nullable=False),
        sa.Column("latency_ns", sa.BigInteger(), nullable=True),
        sa.Column("feed_seq", sa.BigInteger(), nullable=True),
        sa.Column("positions", sa.LargeBinary(), nullable=False),
        sa.Column("prices", sa.LargeBinary(), nullable=False),
        sa.Column("score", sa.LargeBinary(), nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=False),
        sa.Column("member_names", sa.Text(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_decisions"),
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        *_run_id("orders"),
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("symbol_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("rule_value", sa.Double(), nullable=True),
        sa.Column("rule_limit", sa.Double(), nullable=True),
        sa.Column("side", sa.SmallInteger(), nullable=True),
        sa.Column("quantity", sa.Double(), nullable=True),
        sa.Column("kind", sa.SmallInteger(), nullable=True),
        sa.Column("limit_price", sa.Double(), nullable=True),
        sa.Column("time_in_force", sa.SmallInteger(), nullable=True),
        sa.Column("reference_price", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "order_id", name="pk_orders"),
        sa.ForeignKeyConstraint(["run_id", "seq"], ["decisions.run_id", "decisions.seq"], name="fk_orders_run_id_seq"),
        sa.CheckConstraint("verdict IN ('accepted', 'denied')", name=op.f("ck_orders_verdict")),
        sqlite_with_rowid=False,
    )


def _create_fills() -> None:
    op.create_table(
        "fills",
        *_run_id("fills"),
        sa.Column("fill_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("symbol_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.SmallInteger(), nullable=False),
        sa.Column("quantity", sa.Double(), nullable=False),
        sa.Column("price", sa.Double(), nullable=False),
        sa.Column("commission", sa.Double(), nullable=False),
        sa.Column("spread_cost", sa.Double(), nullable=False),
        sa.Column("impact_cost", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "fill_id", name="pk_fills"),
        sa.ForeignKeyConstraint(
            ["run_id", "order_id"], ["orders.run_id", "orders.order_id"], name="fk_fills_run_id_order_id"
        ),
        sa.ForeignKeyConstraint(["run_id", "seq"], ["decisions.run_id", "decisions.seq"], name="fk_fills_run_id_seq"),
        sa.CheckConstraint("side IN (-1, 1)", name=op.f("ck_fills_side")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_fills_quantity")),
        sqlite_with_rowid=False,
    )


def _create_others() -> None:
    op.create_table(
        "events",
        sa.Column("event_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_run_id("events"),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_no", name="pk_events"),
        sa.UniqueConstraint("run_id", "digest", name="uq_events_run_id_digest"),
    )
    op.create_table(
        "loop_state",
        *_run_id("loop_state"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_loop_state"),
    )
    op.create_table(
        "cash_movements",
        *_run_id("cash_movements"),
        sa.Column("movement_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "movement_id", name="pk_cash_movements"),
    )


def _create_triggers() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
    for table in _APPEND_ONLY:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                + (
                    "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
                    if postgresql
                    else f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
            )
