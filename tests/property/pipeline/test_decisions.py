from __future__ import annotations

import dataclasses
import itertools
import json
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.trading import comparable, random_panel
from trader.core.decision import Decision
from trader.core.market import BarPanel
from trader.core.orders import DenialReason, TradingState
from trader.execution.broker import PaperBroker
from trader.pipeline import DecisionLoop
from trader.settings.sections import ExecutionSettings, GateSettings, SizingSettings

N = 5
WARM = 25
T = 90
HAND = {50: TradingState.HALTED, 55: TradingState.ACTIVE}
"""Trading states that somebody sets, by the slice before which they do."""

SCENES = {
    "closes": ({}, {}, {}),
    "bars, volumes": (
        {"rebalance_every": 2, "max_turnover": 0.6, "correlation_scaling": 0.7, "usual_correlation": 0.0},
        {"latency_ms": 100.0, "max_participation": 0.02, "commission_minimum": 1.0},
        {"max_position_weight": None, "max_herfindahl": None, "max_daily_loss": None, "max_data_age_s": None},
    ),
    "bars, limits": (
        {"rebalance_every": 2, "max_turnover": 0.6},
        {"order_kind": "limit", "limit_offset_bps": -10.0, "max_participation": 0.05, "lot_size": 1.0},
        {"max_orders_per_minute": 3, "max_data_age_s": 100_000.0},
    ),
    "bars, losses": (
        {"target_volatility": 2.0, "max_weight": 0.4, "max_gross": 2.0, "max_turnover": 3.0, "rebalance_band": 0.0},
        {"half_spread_bps": 10.0, "commission_minimum": 1.0},
        {
            "max_position_weight": 0.45,
            "max_gross": 1.6,
            "max_herfindahl": 0.4,
            "max_daily_loss": 0.02,
            "max_drawdown": 0.05,
        },
    ),
    "bars, risk": (
        {"target_volatility": 1.0, "max_weight": 0.4, "max_gross": 2.0, "max_turnover": 1.0},
        {"half_spread_bps": 10.0},
        {
            "max_position_weight": 0.45,
            "max_herfindahl": None,
            "max_var": 0.006,
            "max_es": 0.0075,
            "var_level": 0.9,
            "var_window": 30,
            "min_var_bars": 24,
            "var_every": 2,
        },
    ),
}


@lru_cache
def _inputs(scene: str) -> tuple[BarPanel, np.ndarray]:
    panel = random_panel(T, N, 11, bars=scene != "closes", missing=0.1)
    scores = np.random.default_rng(12).normal(size=(T, N))
    scores[np.random.default_rng(13).random((T, N)) < 0.1] = np.nan
    return panel, scores


def _loop(scene: str, broker: PaperBroker | None = None) -> DecisionLoop:
    sizing, execution, gate = SCENES[scene]
    return DecisionLoop(
        N,
        sizing=SizingSettings(**sizing),
        execution=ExecutionSettings(initial_cash=1e5, **execution),
        gate=GateSettings(**gate),
        broker=broker,
    )


def _run(loop: DecisionLoop, panel: BarPanel, scores: np.ndarray, start: int, stop: int) -> list[Decision]:
    decisions = []
    for row in range(start, stop):
        if row in HAND:
            loop.set_trading_state(HAND[row], "ann", "test")
        decisions.append(loop.step(row - WARM, panel.slice_at(row), scores[row], {}))
    return decisions


@lru_cache
def _whole(scene: str) -> list[Decision]:
    panel, scores = _inputs(scene)
    loop = _loop(scene)
    loop.warm_up(panel.rows(0, WARM))
    return _run(loop, panel, scores, WARM, T)


@pytest.mark.parametrize("scene", SCENES)
def test_the_scenes_exercise_the_loop(scene: str) -> None:
    """They trade, and beyond closes they meet denials, withdrawals and changes of state."""
    decisions = _whole(scene)
    assert sum(len(d.fills) for d in decisions) > 50
    assert len({c.who for d in decisions for c in d.state_changes}) >= (2 if scene == "bars, losses" else 1)
    if scene != "closes":
        assert sum(len(d.withdrawals) for d in decisions) > 5
    reasons = {x.reason for d in decisions for x in d.denials}
    if scene in ("bars, limits", "bars, losses"):
        assert len(reasons) >= 2
    if scene == "bars, risk":
        assert reasons >= {DenialReason.VAR_LIMIT, DenialReason.ES_LIMIT}


@pytest.mark.parametrize("scene", SCENES)
@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, T))
def test_a_restart_anywhere_decides_the_same_bits(scene: str, cut: int) -> None:
    """From a state that went through JSON, in the warm-up or later, all further decisions are identical."""
    panel, scores = _inputs(scene)
    first = _loop(scene)
    first.warm_up(panel.rows(0, min(cut, WARM)))
    before = _run(first, panel, scores, WARM, cut)
    second = _loop(scene)
    recorded = np.array([d.prices for d in before]).reshape(-1, N)[-second.n_prices :]
    second.restore(json.loads(json.dumps(first.state())), recorded)
    second.warm_up(panel.rows(cut, WARM))
    after = _run(second, panel, scores, max(cut, WARM), T)
    assert comparable(before + after) == comparable(_whole(scene))


def _run_in_panels(
    loop: DecisionLoop, panel: BarPanel, scores: np.ndarray, cuts: set[int]
) -> tuple[list[Decision], int]:
    """Decide on everything, cut into panels; also return the length of the longest block."""
    decisions, longest = [], 0
    edges = sorted({WARM, 50, 55, T} | cuts)
    for start, stop in itertools.pairwise(edges):
        if start in HAND:
            loop.set_trading_state(HAND[start], "ann", "test")
        for block in loop.steps(start - WARM, panel.rows(start, stop), scores[start:stop], {}):
            decisions += block
            longest = max(longest, len(block))
    return decisions, longest


@pytest.mark.parametrize("scene", SCENES)
@settings(max_examples=25, deadline=None)
@given(cuts=st.sets(st.integers(WARM, T - 1), max_size=6))
@example(cuts=set())
def test_panels_decide_the_same_bits(scene: str, cuts: set[int]) -> None:
    """However the slices are cut into panels, decisions and the state they lead to are those of single steps."""
    panel, scores = _inputs(scene)
    single, many = _loop(scene), _loop(scene)
    for loop in (single, many):
        loop.warm_up(panel.rows(0, WARM))
    _run(single, panel, scores, WARM, T)
    decisions, longest = _run_in_panels(many, panel, scores, cuts)
    assert comparable(decisions) == comparable(_whole(scene))
    assert many.state() == single.state()
    if not cuts and scene in ("closes", "bars, volumes"):
        assert longest >= 8


class _OtherBroker(PaperBroker):
    """A broker that compiled code does not know."""


@pytest.mark.parametrize("scene", SCENES)
def test_panels_work_with_any_broker(scene: str) -> None:
    """One slice after the other, with the same decisions."""
    panel, scores = _inputs(scene)
    loop = _loop(scene, broker=_OtherBroker(N, ExecutionSettings(initial_cash=1e5, **SCENES[scene][1])))
    loop.warm_up(panel.rows(0, WARM))
    decisions, longest = _run_in_panels(loop, panel, scores, set())
    assert comparable(decisions) == comparable(_whole(scene))
    assert longest == 1


@pytest.mark.parametrize("scene", SCENES)
@settings(max_examples=25, deadline=None)
@given(cut=st.integers(WARM, T - 1), seed=st.integers(0, 2**32 - 1))
def test_the_future_changes_no_decision(scene: str, cut: int, seed: int) -> None:
    """With all data and scores after a slice replaced, the decisions up to it are identical, bit for bit."""
    panel, scores = _inputs(scene)
    rng = np.random.default_rng(seed)
    changed = {}
    for field in dataclasses.fields(BarPanel):
        values = getattr(panel, field.name).copy()
        if field.name not in ("ts_ns", "ts_open_ns"):
            values[cut + 1 :] *= rng.uniform(0.2, 5.0, values[cut + 1 :].shape)
        changed[field.name] = values
    scores = scores.copy()
    scores[cut + 1 :] = rng.normal(size=scores[cut + 1 :].shape)
    loop = _loop(scene)
    loop.warm_up(panel.rows(0, WARM))
    decisions = _run(loop, BarPanel(**changed), scores, WARM, cut + 1)
    assert comparable(decisions) == comparable(_whole(scene)[: cut + 1 - WARM])


@pytest.mark.parametrize("scene", SCENES)
def test_a_fill_comes_after_its_decision(scene: str) -> None:
    """In number and in time, latency included; and every fill belongs to an order that passed the gate."""
    decided = {}
    for decision in _whole(scene):
        for order_id, ts_ns in zip(decision.fills.order_id.tolist(), decision.fills.ts_ns.tolist(), strict=True):
            seq, decided_ns = decided[order_id]
            assert seq < decision.seq
            assert decided_ns + 50_000_000 <= ts_ns <= decision.ts_ns
        decided |= dict.fromkeys(decision.orders.order_id.tolist(), (decision.seq, decision.ts_ns))


@pytest.mark.parametrize("scene", SCENES)
def test_the_books_balance_at_every_decision(scene: str) -> None:
    """Cash and positions are those the fills make, and equity is cash and positions at the last prices."""
    cash, positions = 1e5, np.zeros(N)
    for d in _whole(scene):
        signed = d.fills.side * d.fills.quantity
        cash -= signed @ d.fills.price + d.fills.commission.sum()
        positions += np.bincount(d.fills.symbol_id, signed, minlength=N)
        assert d.cash == pytest.approx(cash, rel=1e-9)
        np.testing.assert_allclose(d.positions, positions, rtol=1e-9, atol=1e-6)
        held = d.positions != 0.0
        assert d.equity == pytest.approx(d.cash + d.positions[held] @ d.prices[held], rel=1e-9)


@pytest.mark.parametrize("scene", SCENES)
def test_what_was_ordered_was_filled_withdrawn_or_is_open(scene: str) -> None:
    """No quantity is lost or invented on the way."""
    ordered: dict[int, float] = {}
    ended: dict[int, float] = {}
    for d in _whole(scene):
        ordered |= dict(zip(d.orders.order_id.tolist(), d.orders.quantity.tolist(), strict=True))
        for order_id, quantity in zip(d.fills.order_id.tolist(), d.fills.quantity.tolist(), strict=True):
            ended[order_id] = ended.get(order_id, 0.0) + quantity
        for w in d.withdrawals:
            ended[w.order_id] = ended.get(w.order_id, 0.0) + w.remaining
    newest = _whole(scene)[-1].seq - 1
    for order_id, quantity in ordered.items():
        if order_id >> 16 < newest:
            assert ended[order_id] == pytest.approx(quantity, rel=1e-12)
