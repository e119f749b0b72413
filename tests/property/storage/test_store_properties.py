"""However decisions are grouped and repeated, the store ends the same; and every float survives."""

from __future__ import annotations

import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trader.core.decision import Decision
from trader.core.orders import FillBatch, OrderBatch, fill_ids, order_ids
from trader.storage import RunRecord, Store
from trader.storage.codec import from_json, pack, to_json, unpack

FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)
LENGTH = 9


def _decision(seq: int) -> Decision:
    """Want `seq % 3` orders, all filled one decision later."""

    def orders(number: int) -> OrderBatch:
        n = number % 3
        ones = np.ones(n)
        return OrderBatch(order_ids(number, n), np.arange(n), ones, ones, ones, ones, ones, number * ones, ones)

    fills = FillBatch.empty()
    if seq:
        before = orders(seq - 1)
        n = len(before)
        costs = [np.full(n, float(seq + k)) for k in range(4)]
        nth = fill_ids(before.order_id, np.zeros(n, np.int64))
        fills = FillBatch(nth, before.order_id, before.symbol_id, before.side, before.quantity, *costs, before.ts_ns)
    row = np.full(2, float(seq))
    return Decision(seq, seq, 1.0 + seq, 1.0, row, row, row, {"m@1": row}, row, orders(seq), (), fills, (), ())


def _content(store: Store) -> tuple[object, ...]:
    table = store.decisions("r")
    arrays = (table.equity.tolist(), table.positions.tolist(), table.trace_id)
    return *arrays, store.orders("r"), store.fill_batch("r"), store.loop_state("r"), store.last_seq("r")


@functools.cache
def _write(*groups: tuple[int, int]) -> tuple[object, ...]:
    with Store.open("sqlite://") as store:
        store.create_run(RunRecord(run_id="r", mode="backtest", created_ns=0, seed=0, symbols=("A", "B")))
        for start, stop in groups:
            decisions = [_decision(seq) for seq in range(start, stop)]
            store.append("r", decisions, traces=[f"t{d.seq}" for d in decisions], loop_state={"next": stop})
        return _content(store)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_grouping_and_any_repeats_give_the_same(data: st.DataObject) -> None:
    """Writing in groups of any size, going back any number of decisions before each, equals writing once."""
    groups: list[tuple[int, int]] = []
    done = 0
    while done < LENGTH:
        start = done - data.draw(st.integers(0, done))
        stop = data.draw(st.integers(start + 1, LENGTH))
        groups.append((start, stop))
        done = max(done, stop)
    assert _write(*groups) == _write((0, LENGTH))


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=5), elements=FLOATS))
def test_arrays_survive_bit_for_bit(array: np.ndarray) -> None:
    """Packing and unpacking is the identity on bits, the sign of zero and NaN included."""
    got = unpack([pack(array)], array.shape)
    np.testing.assert_array_equal(got.view(np.int64), array.view(np.int64))


@given(st.recursive(st.none() | st.booleans() | st.integers() | FLOATS | st.text(), st.lists, max_leaves=8))
def test_json_values_survive(value: object) -> None:
    """JSON-ready values come back equal, NaN as NaN."""
    np.testing.assert_equal(from_json(to_json({"value": value}))["value"], value)
