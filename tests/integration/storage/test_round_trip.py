"""What is written is read back, on both databases."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from trader.core.errors import DataError, NotFoundError
from trader.core.events import DataRejected, trace_id_of
from trader.core.orders import DenialReason, FillBatch, format_fill_id, format_order_id
from trader.storage import EventRecord, Store

LENGTH = 12


@pytest.fixture
def filled(store: Store, made: ModuleType) -> Store:
    made.append(store, "r1", 0, LENGTH)
    return store


def test_run_record_round_trip(store: Store, made: ModuleType) -> None:
    """A run comes back as it was given."""
    assert store.run("r1") == made.run_record("r1")
    assert store.runs() == [made.run_record("r1")]


def test_finish_and_reopen(store: Store) -> None:
    """Finishing a run sets its end and summary; reopening takes the end back and keeps the summary."""
    store.finish_run("r1", "complete", 5, {"sharpe": 0.7, "nan": float("inf")})
    finished = store.run("r1")
    assert (finished.status, finished.ended_ns, finished.summary) == ("complete", 5, {"sharpe": 0.7, "nan": np.inf})
    reopened = store.reopen_run("r1")
    assert (reopened.status, reopened.ended_ns) == ("running", None)


def test_same_run_id_twice_is_refused(store: Store, made: ModuleType) -> None:
    """A second run of the same id is refused by name."""
    with pytest.raises(DataError, match="run_id='r1' exists"):
        store.create_run(made.run_record("r1"))


def test_unknown_run(store: Store) -> None:
    """Asking for a run that does not exist says so, whatever is asked."""
    for ask in (store.run, store.decisions, store.orders, store.fills, store.signals, store.fill_batch):
        with pytest.raises(NotFoundError, match="run 'nope' does not exist"):
            ask("nope")
    with pytest.raises(NotFoundError, match="nope"):
        store.finish_run("nope", "failed", 0, {})
    with pytest.raises(NotFoundError, match="nope"):
        store.append("nope", [], traces=[])


def test_decisions_round_trip(filled: Store, made: ModuleType) -> None:
    """Every array of every decision comes back bit for bit, NaN included."""
    table = filled.decisions("r1")
    expected = [made.decision(seq) for seq in range(LENGTH)]
    assert len(table) == LENGTH
    assert table.seq.tolist() == list(range(LENGTH))
    assert table.trace_id == tuple(trace_id_of("r1", seq) for seq in range(LENGTH))
    for name in ("ts_ns", "equity", "cash", "positions", "prices", "score", "target"):
        np.testing.assert_array_equal(getattr(table, name), [getattr(d, name) for d in expected], err_msg=name)
    np.testing.assert_array_equal(table.latency_ns, [1000 + s if s % 2 else np.nan for s in range(LENGTH)])
    assert not table.positions.flags.writeable


def test_members_of_a_changing_ensemble(filled: Store, made: ModuleType) -> None:
    """A member that joins in mid-run has NaN before, one that leaves has NaN after."""
    members = filled.decisions("r1").members
    assert list(members) == ["momentum@1", "linear@3", "linear@4"]
    np.testing.assert_array_equal(members["linear@3"][5], made.decision(5).members["linear@3"])
    np.testing.assert_array_equal(members["linear@4"][6], made.decision(6).members["linear@4"])
    assert np.isnan(members["linear@3"][6:]).all()
    assert np.isnan(members["linear@4"][:6]).all()


def test_fill_batch_round_trip(filled: Store, made: ModuleType) -> None:
    """The ledger gets the fills exactly as the broker made them."""
    assert filled.fill_batch("r1") == FillBatch.concat([made.fills(seq) for seq in range(LENGTH)])


def test_fills_table(filled: Store, made: ModuleType) -> None:
    """Fills have ids and symbols for people, and the trace of the decision that ordered them."""
    table, batch = filled.fills("r1"), filled.fill_batch("r1")
    assert table["fill_id"].to_pylist() == [format_fill_id(i) for i in batch.fill_id.tolist()]
    assert table["order_id"].to_pylist() == [format_order_id(i) for i in batch.order_id.tolist()]
    assert table["symbol"].to_pylist() == [made.SYMBOLS[i] for i in batch.symbol_id]
    assert table["trace_id"].to_pylist() == [trace_id_of("r1", int(i) >> 16) for i in batch.order_id]
    assert table.schema.field("ts").type == pa.timestamp("ns", tz="UTC")
    assert table["ts"].cast(pa.int64()).to_pylist() == batch.ts_ns.tolist()
    assert set(table["run_id"].to_pylist()) == {"r1"}


def test_orders_table(filled: Store, made: ModuleType) -> None:
    """Every order wanted is there: accepted with its terms, denied with rule, value and limit."""
    rows = filled.orders("r1").to_pylist()
    accepted = [row for row in rows if row["verdict"] == "accepted"]
    batch = [made.orders(seq) for seq in range(LENGTH)]
    assert [row["quantity"] for row in accepted] == np.concatenate([b.quantity for b in batch]).tolist()
    limits = np.concatenate([b.limit_price for b in batch])
    assert [row["limit_price"] for row in accepted] == [None if np.isnan(x) else x for x in limits.tolist()]
    assert {row["kind"] for row in accepted} == {"market", "limit"}
    assert {row["time_in_force"] for row in accepted} == {"gtc", "ioc"}
    denied = [row for row in rows if row["verdict"] == "denied"]
    assert [row["seq"] for row in denied] == [0, 3, 6, 9]
    assert {(row["reason"], row["rule_value"], row["rule_limit"]) for row in denied} == {("gross_limit", 1.7, 1.5)}
    assert [row["order_id"] for row in rows] == sorted(row["order_id"] for row in rows)


def test_signals_table(filled: Store, made: ModuleType) -> None:
    """Signals are one row a decision and symbol; an absent member is null."""
    table = filled.signals("r1")
    assert table.column_names == ["ts", "symbol", "score", "target", "momentum@1", "linear@3", "linear@4"]
    assert table.num_rows == LENGTH * made.N
    assert table["symbol"].to_pylist() == list(made.SYMBOLS) * LENGTH
    assert table["score"].to_pylist()[made.N : 2 * made.N] == made.decision(1).score.tolist()
    assert table["linear@4"].null_count == 6 * made.N


def test_loop_state_and_last_seq(store: Store, made: ModuleType) -> None:
    """The loop state is that of the last decision."""
    assert store.last_seq("r1") == -1
    assert store.loop_state("r1") is None
    made.append(store, "r1", 0, 3)
    made.append(store, "r1", 3, 5)
    assert store.last_seq("r1") == 4
    assert store.loop_state("r1") == {"seq": 4, "cash": made.decision(4).cash}


def test_loop_state_keeps_nan_and_numpy_values(store: Store) -> None:
    """A state of NaN, infinities and numpy values comes back as the same numbers."""
    state = {"a": [0.1, np.nan, -np.inf], "b": np.float64(0.3), "c": np.arange(3), "d": np.int64(2**62)}
    store.append("r1", [], traces=[], loop_state=state)
    got = store.loop_state("r1")
    assert got is not None
    np.testing.assert_array_equal(got["a"], state["a"])
    assert (got["b"], got["c"], got["d"]) == (0.3, [0, 1, 2], 2**62)


def test_events_of_decisions(filled: Store, made: ModuleType) -> None:
    """Denials, withdrawals and state changes are events with the trace of their decision."""
    (change,) = filled.events("r1", "trading_state_changed")
    assert change == EventRecord(
        "r1",
        trace_id_of("r1", 4),
        4 * made.DAY_NS,
        "trading_state_changed",
        {"previous": "active", "current": "reducing", "who": "daily_loss", "why": "-6 %"},
    )
    denied = filled.events("r1", "order_denied")
    assert [event.payload["reason"] for event in denied] == [DenialReason.GROSS_LIMIT] * 4
    expected = [w for seq in range(LENGTH) for w in made.decision(seq).withdrawals]
    assert len(filled.events("r1", "order_rejected")) == sum(w.rejected for w in expected)
    cancelled = filled.events("r1", "order_cancelled")
    assert len(cancelled) == sum(not w.rejected for w in expected)
    assert all(event.payload["remaining"] == 5.0 for event in cancelled)
    assert len(filled.events("r1")) == 1 + 4 + len(expected)


def test_record_event(store: Store) -> None:
    """An event is kept once, however often it is written."""
    event = DataRejected(run_id="r1", trace_id="", ts_ns=3, source="feed", reason="nan", count=2)
    store.record_event(event)
    store.record_event(event)
    store.record_event(dataclasses.replace(event, count=3))
    assert [e.payload["count"] for e in store.events("r1", "data_rejected")] == [2, 3]


def test_cash_movements(store: Store) -> None:
    """Deposits are kept once by number."""
    for _ in range(2):
        store.record_cash("r1", 0, 5, 1_000_000.0, "initial deposit")
    store.record_cash("r1", 1, 6, -10.0, "fee")
    assert store.cash_movements("r1")["amount"].to_pylist() == [1_000_000.0, -10.0]


def test_an_empty_run_has_empty_tables(store: Store, made: ModuleType) -> None:
    """Tables of a run without decisions have their columns and no rows."""
    table = store.decisions("r1")
    assert table.positions.shape == (0, made.N)
    for empty in (store.orders("r1"), store.fills("r1"), store.signals("r1"), store.fill_batch("r1")):
        assert len(empty) == 0
    assert store.orders("r1").schema.field("side").type == pa.int8()
    assert store.events("r1") == []


def test_runs_are_kept_apart(filled: Store, made: ModuleType) -> None:
    """The same decisions under another id are another run."""
    filled.create_run(made.run_record("r2"))
    made.append(filled, "r2", 0, 5)
    assert filled.last_seq("r1") == LENGTH - 1
    assert filled.last_seq("r2") == 4
    assert len(filled.fill_batch("r2")) < len(filled.fill_batch("r1"))


def test_reopening_finds_everything(store_url: str, made: ModuleType) -> None:
    """A store that is closed and opened again holds the same."""
    with Store.open(store_url) as store:
        store.create_run(made.run_record("r1"))
        made.append(store, "r1", 0, 4)
        before = store.fill_batch("r1")
    with Store.open(store_url) as store:
        assert store.fill_batch("r1") == before
        assert store.last_seq("r1") == 3
