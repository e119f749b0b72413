from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st

from risk.gate import RiskGate
from tests.support.trading import orders_of
from trader.core.orders import OrderBatch, TradingState
from trader.settings.sections import GateSettings

N = 4
EQUITY = 1_000.0
SLACK = 1e-6

quantities = st.floats(-30.0, 30.0)
vectors = st.lists(quantities, min_size=N, max_size=N).map(np.array)
prices = st.lists(st.floats(1.0, 100.0), min_size=N, max_size=N).map(np.array)
orders = st.lists(
    st.fixed_dictionaries(
        {
            "symbol_id": st.integers(0, N - 1),
            "side": st.sampled_from([-1, 1]),
            "quantity": st.floats(1e-3, 40.0),
        }
    ),
    min_size=1,
    max_size=12,
).map(lambda rows: orders_of(*rows))
limits = st.builds(
    GateSettings,
    max_position_weight=st.none() | st.floats(0.0, 1.0),
    max_gross=st.none() | st.floats(0.0, 3.0),
    max_net=st.none() | st.floats(0.0, 2.0),
    max_herfindahl=st.none() | st.floats(0.2, 1.0),
    concentration_floor=st.floats(0.0, 1.0),
)


def _check(
    settings: GateSettings, batch: OrderBatch, positions: np.ndarray, working: np.ndarray, marks: np.ndarray
) -> OrderBatch:
    passed, denials = RiskGate(N, settings).check(
        batch,
        ts_ns=0,
        positions=positions,
        prices=marks,
        price_ts_ns=np.zeros(N, np.int64),
        equity=EQUITY,
        open_quantity=working,
    )
    assert sorted(passed.order_id.tolist() + [d.order_id for d in denials]) == batch.order_id.tolist()
    return passed


def _measures(weights: np.ndarray, floor: float) -> np.ndarray:
    gross = abs(weights).sum()
    judged = gross > 0.0 and gross >= floor
    herfindahl = (weights**2).sum() / gross**2 if judged else 0.0
    return np.array([abs(weights).max(), gross, abs(weights.sum()), herfindahl])


def _limits(settings: GateSettings) -> np.ndarray:
    values = (settings.max_position_weight, settings.max_gross, settings.max_net, settings.max_herfindahl)
    return np.array([np.inf if v is None else v for v in values])


@run(deadline=None)
@given(limits, orders, vectors, vectors, prices)
def test_each_order_reduces_or_leaves_every_measure_within_limits(
    settings: GateSettings, batch: OrderBatch, positions: np.ndarray, working: np.ndarray, marks: np.ndarray
) -> None:
    """Filled at the reference prices one by one: position, gross, net and concentration hold, or do not worsen.

    A reducing order can only lower the first two; that is checked as well.
    """
    passed = _check(settings, batch, positions, working, marks)
    exposure, held = positions + working, positions.copy()
    bound = _limits(settings)
    for symbol_id, signed in zip(passed.symbol_id, passed.side * passed.quantity, strict=True):
        before = exposure[symbol_id]
        reduces = (
            abs(before + signed) < abs(before)
            and before * (before + signed) >= 0.0
            and abs(held[symbol_id] + signed) < abs(held[symbol_id])
            and held[symbol_id] * (held[symbol_id] + signed) >= 0.0
        )
        old = _measures(exposure * marks / EQUITY, settings.concentration_floor)
        old_weight = abs(before) * marks[symbol_id] / EQUITY
        exposure[symbol_id] += signed
        held[symbol_id] += signed
        new = _measures(exposure * marks / EQUITY, settings.concentration_floor)
        new_weight = abs(exposure[symbol_id]) * marks[symbol_id] / EQUITY
        assert new_weight <= max(bound[0], old_weight) + SLACK
        assert new[1] <= max(bound[1], old[1]) + SLACK
        if not reduces:
            assert new[2] <= max(bound[2], old[2]) + SLACK
            if old[3] > 0.0:
                assert new[3] <= max(bound[3], old[3]) + SLACK


@run(deadline=None)
@given(limits, orders, prices)
def test_from_flat_every_limit_holds_if_all_orders_fill(
    settings: GateSettings, batch: OrderBatch, marks: np.ndarray
) -> None:
    """Buys only: no order reduces, so after the gate no limit is exceeded."""
    buys = OrderBatch(**{**batch.columns(), "side": np.ones(len(batch))})
    passed = _check(settings, buys, np.zeros(N), np.zeros(N), marks)
    final = np.bincount(passed.symbol_id, passed.quantity, minlength=N)
    measures = _measures(final * marks / EQUITY, settings.concentration_floor)
    assert (measures[:3] <= _limits(settings)[:3] + SLACK).all()


@run(deadline=None)
@given(orders, vectors, vectors, prices, st.data())
def test_reducing_never_increases_a_position(
    batch: OrderBatch, positions: np.ndarray, working: np.ndarray, marks: np.ndarray, data: st.DataObject
) -> None:
    """Whatever part of the orders that passed fills, no position grows or changes its sign."""
    passed = _check(GateSettings(trading_state="reducing"), batch, positions, working, marks)
    share = data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(passed), max_size=len(passed)).map(np.array))
    final = positions + np.bincount(passed.symbol_id, passed.side * passed.quantity * share, minlength=N)
    assert (abs(final) <= abs(positions) + 1e-12).all()
    assert (final * positions >= -1e-9).all()


@run(deadline=None)
@given(orders, vectors, vectors, prices)
def test_halted_passes_none(batch: OrderBatch, positions: np.ndarray, working: np.ndarray, marks: np.ndarray) -> None:
    """Whatever is held."""
    settings = GateSettings(trading_state=TradingState.HALTED.value)
    assert len(_check(settings, batch, positions, working, marks)) == 0
