"""Blocks of decisions and the decisions they consist of are written alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sqlalchemy import create_engine, text

from tests.support.trading import random_panel
from trader.core.decision import DecisionBlock
from trader.core.errors import DataError
from trader.engine.recorder import Recorder
from trader.engine.writer import StoreWriter
from trader.pipeline import DecisionLoop
from trader.settings.sections import ExecutionSettings, GateSettings, SizingSettings, StoreSettings
from trader.storage import RunRecord, Store

SYMBOLS = ("AA", "BB", "CC", "DD")
FEATURES = ("one", "two", "three")
WARM = 30


@pytest.fixture(scope="module")
def blocks() -> list[DecisionBlock]:
    """Decisions with fills, withdrawals and denials, in blocks of one and of many."""
    return _decide(np.random.default_rng(6).normal(size=(120, len(SYMBOLS))))


def _decide(scores: NDArray[np.float64], max_weight: float = 0.09) -> list[DecisionBlock]:
    panel = random_panel(120, len(SYMBOLS), 5, bars=True, missing=0.05)
    loop = DecisionLoop(
        len(SYMBOLS),
        sizing=SizingSettings(),
        execution=ExecutionSettings(max_participation=0.05, initial_cash=1e5),
        gate=GateSettings(max_position_weight=max_weight),
    )
    loop.warm_up(panel.rows(0, WARM))
    return list(loop.steps(0, panel.rows(WARM, 120), scores[WARM:], {"m@1": scores[WARM:], "n@2": -scores[WARM:]}))


@pytest.fixture
def twins(store_url: str) -> Iterator[Store]:
    """Two runs in one database."""
    with Store.open(store_url) as store:
        for run_id in ("whole", "single"):
            store.create_run(
                RunRecord(run_id=run_id, mode="backtest", created_ns=0, seed=1, symbols=SYMBOLS, feature_names=FEATURES)
            )
        yield store


def test_blocks_and_single_decisions_are_equal_in_every_table(twins: Store, blocks: list[DecisionBlock]) -> None:
    """Decisions, orders, fills, events and the trace of an order differ in the run alone."""
    decisions = [decision for block in blocks for decision in block]
    assert max(len(block) for block in blocks) > 2
    assert any(d.withdrawals for d in decisions)
    assert any(d.denials for d in decisions)
    extras = {
        "traces": [f"{d.seq:032x}" for d in decisions],
        "latency_ns": [d.seq * 10 for d in decisions],
        "feed_seq": [d.seq // 7 for d in decisions],
        "features": list(np.random.default_rng(8).normal(size=(len(decisions), len(SYMBOLS), len(FEATURES)))),
    }
    added = [twins.append("whole", blocks, **extras), twins.append("single", decisions, **extras)]
    assert added[0] == added[1]
    for table in (twins.orders, twins.fills, twins.signals):
        assert _without_run(table("whole")).equals(_without_run(table("single")))
    whole, single = twins.decisions("whole"), twins.decisions("single")
    for name in ("seq", "ts_ns", "equity", "cash", "latency_ns", "positions", "prices"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(single, name))
    assert [(e.trace_id, e.kind, e.payload) for e in twins.events("whole")] == [
        (e.trace_id, e.kind, e.payload) for e in twins.events("single")
    ]
    traded = next(d for d in decisions if len(d.orders))
    order_id = int(traded.orders.order_id[-1])
    assert twins.trace_order("whole", order_id).to_dict() == twins.trace_order("single", order_id).to_dict()
    assert twins.trace_order("whole", order_id).features == dict(
        zip(FEATURES, extras["features"][traded.seq][traded.orders.symbol_id[-1]], strict=True)
    )


@pytest.mark.parametrize("every", [False, True])
def test_features_are_kept_with_orders_or_always(twins: Store, store_url: str, *, every: bool) -> None:
    """A decision that wanted no order stores its features only where a sequence model will read them again."""
    blocks = _decide(np.repeat(np.random.default_rng(6).normal(size=(3, len(SYMBOLS))), 40, axis=0), max_weight=1.0)
    writer = StoreWriter("whole", StoreSettings(), twins.record_event)
    recorder = Recorder(twins, "whole", writer, commit_every=50, every_feature=every)
    for number, block in enumerate(blocks):
        recorder.add(block, np.ones((len(block), len(SYMBOLS), len(FEATURES))), None, number)
    recorder.commit({}, len(blocks) - 1)
    assert writer.close(10.0)
    engine = create_engine(store_url)
    with engine.connect() as connection:
        kept = connection.scalars(text("SELECT seq FROM decisions WHERE features IS NOT NULL ORDER BY seq")).all()
    engine.dispose()
    decisions = [decision for block in blocks for decision in block]
    wanted = [d.seq for d in decisions if len(d.orders) or d.denials]
    assert 0 < len(wanted) < len(decisions)
    assert kept == ([d.seq for d in decisions] if every else wanted)


def test_a_block_of_another_universe_is_refused(twins: Store, blocks: list[DecisionBlock]) -> None:
    """Arrays of four symbols do not fit a run of one; nothing is written."""
    twins.create_run(RunRecord(run_id="narrow", mode="backtest", created_ns=0, seed=1, symbols=("AA",)))
    with pytest.raises(DataError, match="has 4 values in a decision; this run's symbols ask for 1"):
        twins.append("narrow", blocks[:1], traces=["t"] * len(blocks[0]))
    assert twins.last_seq("narrow") == -1


def _without_run(table: pa.Table) -> pa.Table:
    return table.drop_columns(["run_id"]) if "run_id" in table.column_names else table
