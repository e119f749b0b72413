"""The tables of runs, and the list of all that are append-only, held so by triggers.

Of these, all but `runs` (its end) and `loop_state` (the latest) are. Arrays are little-endian float64 blobs of shape
(n_symbols,); `members` is (n_members, n_symbols) and `features` (n_symbols, n_features). JSON is text. A number that
is NaN in memory is NULL in a numeric column.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from trader.storage.audit_tables import APPEND_ONLY_AUDIT
from trader.storage.experiment_tables import APPEND_ONLY_EXPERIMENTS
from trader.storage.metadata import METADATA, ROW_NUMBER
from trader.storage.registry_tables import APPEND_ONLY_REGISTRY
from trader.storage.serving_tables import APPEND_ONLY_SERVING

__all__ = [
    "APPEND_ONLY",
    "METADATA",
    "SCHEMA_REVISION",
    "cash_movements",
    "decisions",
    "events",
    "fills",
    "loop_state",
    "orders",
    "runs",
]

SCHEMA_REVISION = "0008"
"""The migration that makes exactly these tables."""


def _run_id(*, primary_key: bool = True) -> Column[str]:
    return Column("run_id", String, ForeignKey("runs.run_id"), primary_key=primary_key, nullable=False)


runs = Table(
    "runs",
    METADATA,
    Column("run_id", String, primary_key=True),
    Column("mode", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("seed", BigInteger, nullable=False),
    Column("symbols", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("data_fingerprint", String, nullable=False),
    Column("code_version", String, nullable=False),
    Column("feature_names", Text, nullable=False),
    Column("member_names", Text, nullable=False),
    Column("extra", Text, nullable=False),
    Column("summary", Text, nullable=False),
    CheckConstraint("mode IN ('run', 'backtest')", name="mode"),
    CheckConstraint("status IN ('running', 'complete', 'incomplete', 'failed')", name="status"),
)

decisions = Table(
    "decisions",
    METADATA,
    _run_id(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("trace_id", String, nullable=False),
    Column("equity", Double, nullable=False),
    Column("cash", Double, nullable=False),
    Column("latency_ns", BigInteger),
    Column("feed_seq", BigInteger),
    Column("positions", LargeBinary, nullable=False),
    Column("prices", LargeBinary, nullable=False),
    Column("score", LargeBinary, nullable=False),
    Column("target", LargeBinary, nullable=False),
    Column("member_names", Text, nullable=False),
    Column("members", LargeBinary, nullable=False),
    Column("features", LargeBinary),
)

orders = Table(
    "orders",
    METADATA,
    _run_id(),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("symbol_id", Integer, nullable=False),
    Column("verdict", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("rule_value", Double),
    Column("rule_limit", Double),
    Column("side", SmallInteger),
    Column("quantity", Double),
    Column("kind", SmallInteger),
    Column("limit_price", Double),
    Column("time_in_force", SmallInteger),
    Column("reference_price", Double),
    ForeignKeyConstraint(["run_id", "seq"], ["decisions.run_id", "decisions.seq"]),
    CheckConstraint("verdict IN ('accepted', 'denied')", name="verdict"),
    sqlite_with_rowid=False,
)

fills = Table(
    "fills",
    METADATA,
    _run_id(),
    Column("fill_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("symbol_id", Integer, nullable=False),
    Column("side", SmallInteger, nullable=False),
    Column("quantity", Double, nullable=False),
    Column("price", Double, nullable=False),
    Column("commission", Double, nullable=False),
    Column("spread_cost", Double, nullable=False),
    Column("impact_cost", Double, nullable=False),
    ForeignKeyConstraint(["run_id", "order_id"], ["orders.run_id", "orders.order_id"]),
    ForeignKeyConstraint(["run_id", "seq"], ["decisions.run_id", "decisions.seq"]),
    CheckConstraint("side IN (-1, 1)", name="side"),
    CheckConstraint("quantity > 0", name="quantity"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    METADATA,
    Column("event_no", ROW_NUMBER, primary_key=True, autoincrement=True),
    _run_id(primary_key=False),
    Column("digest", String, nullable=False),
    Column("trace_id", String, nullable=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    UniqueConstraint("run_id", "digest"),
)

loop_state = Table(
    "loop_state",
    METADATA,
    _run_id(),
    Column("seq", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)

cash_movements = Table(
    "cash_movements",
    METADATA,
    _run_id(),
    Column("movement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("amount", Double, nullable=False),
    Column("reason", String, nullable=False),
)

APPEND_ONLY: tuple[Table, ...] = (
    *(decisions, orders, fills, events, cash_movements),
    *APPEND_ONLY_REGISTRY,
    *APPEND_ONLY_EXPERIMENTS,
    *APPEND_ONLY_AUDIT,
    *APPEND_ONLY_SERVING,
)
"""Tables whose rows the database refuses to change or delete."""
