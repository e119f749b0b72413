from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from tests.support.trading import DAY_NS, random_panel
from trader.core.decision import Decision, StateChange
from trader.core.errors import DataError
from trader.core.market import BarPanel
from trader.core.orders import DenialReason, TradingState
from trader.pipeline import DecisionLoop
from trader.settings.sections import ExecutionSettings, GateSettings, SizingSettings

N = 4
WARM = 30
FREE = {"half_spread_bps": 0.0, "impact_coefficient": 0.0, "commission_bps": 0.0, "min_order_value": 0.0}


def _loop(
    *, sizing: dict[str, Any] | None = None, gate: dict[str, Any] | None = None, **execution: Any
) -> DecisionLoop:
    return DecisionLoop(
        N,
        sizing=SizingSettings(**(sizing or {})),
        execution=ExecutionSettings(**{**FREE, **execution}),
        gate=GateSettings(**(gate or {})),
    )


def _warmed(panel: BarPanel, **options: Any) -> DecisionLoop:
    loop = _loop(**options)
    loop.warm_up(panel.rows(0, WARM))
    return loop


def _scores(n_slices: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(n_slices, N))


def _run(loop: DecisionLoop, panel: BarPanel, scores: np.ndarray, first: int = WARM) -> list[Decision]:
    return [loop.step(row - WARM, panel.slice_at(row), scores[row], {}) for row in range(first, len(panel))]


def test_buy_and_hold_earns_the_price_ratio() -> None:
    """Equal weights bought once, then silence: without costs, equity follows the mean of the price ratios."""
    panel = random_panel(80, N, 1, bars=False)
    loop = _warmed(
        panel,
        sizing={"tilt": 1.0, "max_weight": 1.0, "max_turnover": 9.0, "target_volatility": 0.04, "rebalance_band": 0.0},
        gate={"max_position_weight": None, "max_gross": None, "max_net": None, "max_herfindahl": None},
    )
    scores = np.full((80, N), np.nan)
    scores[WARM] = 1.0
    decisions = _run(loop, panel, scores)
    bought = decisions[1].fills
    assert len(bought) == N
    weight = decisions[0].target[0]
    np.testing.assert_allclose(decisions[0].target, weight)
    assert weight > 0.05
    # Quantities are sized on the closes of slice 0 and paid at those of slice 1.
    paid = panel.close[WARM + 1] / panel.close[WARM]
    for row, decision in enumerate(decisions[1:], start=WARM + 1):
        ratio = panel.close[row] / panel.close[WARM + 1]
        assert decision.equity == pytest.approx(1e6 * (1.0 + weight * (paid * (ratio - 1.0)).sum()), rel=1e-12)
    assert all(len(d.orders) == 0 for d in decisions[1:])


def test_a_halt_withdraws_open_orders_at_once() -> None:
    """Orders in flight never fill; the next decision carries the change and the withdrawals; all else is denied."""
    panel = random_panel(80, N, 1, bars=False)
    loop, scores = _warmed(panel), _scores(80)
    first = loop.step(0, panel.slice_at(WARM), scores[WARM], {})
    assert len(first.orders) > 0
    loop.set_trading_state(TradingState.HALTED, "ann", "news")
    assert loop.trading_state is TradingState.HALTED
    second = loop.step(1, panel.slice_at(WARM + 1), scores[WARM + 1], {})
    assert second.state_changes == (StateChange(TradingState.ACTIVE, TradingState.HALTED, "ann", "news"),)
    assert [w.order_id for w in second.withdrawals] == first.orders.order_id.tolist()
    assert {w.reason for w in second.withdrawals} == {"halted"}
    assert len(second.fills) == len(second.orders) == 0
    assert {d.reason for d in second.denials} == {DenialReason.HALTED}
    assert second.positions.tolist() == [0.0] * N
    loop.set_trading_state(TradingState.ACTIVE, "ann", "over")
    third = loop.step(2, panel.slice_at(WARM + 2), scores[WARM + 2], {})
    assert len(third.orders) > 0
    assert third.withdrawals == ()


def test_a_drawdown_halts_within_the_step() -> None:
    """The decision that sees the loss reports it, and lets no order pass."""
    panel = random_panel(80, N, 1, bars=False)
    panel.close[60:] *= 0.2
    loop = _warmed(
        panel,
        sizing={"tilt": 1.0, "max_turnover": 9.0, "target_volatility": 9.0, "max_weight": 0.2},
        gate={"max_daily_loss": None, "max_drawdown": 0.3, "max_position_weight": None, "max_herfindahl": None},
    )
    decisions = _run(loop, panel, np.ones((80, N)))
    halted = decisions[60 - WARM]
    assert [(c.who, c.current) for c in halted.state_changes] == [("drawdown", TradingState.HALTED)]
    assert all(len(d.orders) == 0 for d in decisions[60 - WARM :])
    assert all(len(d.state_changes) == 0 for d in decisions[60 - WARM + 1 :])


def test_rebalances_keep_their_rhythm() -> None:
    """Every third decision orders; between them the target stands and open orders work on."""
    panel = random_panel(80, N, 1, bars=True)
    loop = _warmed(panel, sizing={"rebalance_every": 3}, max_participation=0.001)
    decisions = _run(loop, panel, _scores(80))
    assert all(len(d.orders) == 0 for d in decisions if d.seq % 3)
    assert sum(len(d.orders) > 0 for d in decisions) > 10
    assert any(len(d.fills) for d in decisions if d.seq % 3 == 2)
    for before, after in itertools.pairwise(decisions):
        if after.seq % 3:
            np.testing.assert_array_equal(after.target, before.target)
            assert after.withdrawals == ()


def test_latency_longer_than_a_bar_still_trades() -> None:
    """Orders are not replaced before they have reached the market."""
    panel = random_panel(80, N, 1, bars=False)
    loop = _warmed(panel, latency_ms=2.5 * DAY_NS / 1e6)
    decisions = _run(loop, panel, _scores(80))
    assert [d.seq for d in decisions if len(d.orders)][:4] == [0, 3, 6, 9]
    assert [d.seq for d in decisions if len(d.fills)][:3] == [3, 6, 9]


def test_without_equity_positions_are_closed() -> None:
    """Short names that multiply by fifty: equity is gone, and the target is flat."""
    panel = random_panel(40, N, 1, bars=False)
    panel.close[35:] *= 50.0
    gate = {"max_daily_loss": None, "max_drawdown": None, "max_herfindahl": None}
    loop = _warmed(panel, sizing={"target_volatility": 9.0, "max_turnover": 9.0}, gate=gate)
    scores = np.tile([-1.0, -1.0, -1.0, 1.0], (40, 1))
    decisions = _run(loop, panel, scores)
    ruined = decisions[35 - WARM]
    assert ruined.equity < 0.0
    assert ruined.target.tolist() == [0.0] * N
    assert decisions[36 - WARM].positions.tolist() == [0.0] * N


def test_abstaining_scores_never_trade() -> None:
    """NaN everywhere is no order anywhere."""
    panel = random_panel(60, N, 1, bars=True)
    decisions = _run(_warmed(panel), panel, np.full((60, N), np.nan))
    assert sum(len(d.orders) for d in decisions) == 0
    assert decisions[-1].equity == 1e6


@pytest.mark.parametrize(
    ("seq", "row", "n_scores", "message"),
    [
        (0, WARM + 1, N, "seq=0; decision 0 was made already"),
        (1, WARM, N, "market.ts_ns=.*; a time after .* is needed"),
        (1, WARM + 1, N + 1, r"score has shape \(5,\); \(4,\) is needed"),
    ],
)
def test_steps_out_of_order_are_refused(seq: int, row: int, n_scores: int, message: str) -> None:
    """Numbers and times rise, scores fit; the loop goes on unharmed."""
    panel = random_panel(60, N, 1, bars=True)
    loop, scores = _warmed(panel), _scores(60)
    loop.step(0, panel.slice_at(WARM), scores[WARM], {})
    state = loop.state()
    with pytest.raises(DataError, match=message):
        loop.step(seq, panel.slice_at(row), np.zeros(n_scores), {})
    assert loop.state() == state


@pytest.mark.parametrize(
    ("seq", "rows", "n_scores", "message"),
    [
        (0, [31, 32], N, "seq=0; decision 0 was made already"),
        (1, [30, 31], N, "market.ts_ns=.*; a time after .* is needed"),
        (1, [31, 33, 32], N, "market.ts_ns=.*; a time after .* is needed"),
        (1, [31, 32], N + 1, r"score has shape \(2, 5\); \(2, 4\) is needed"),
    ],
)
def test_panels_out_of_order_are_refused(seq: int, rows: list[int], n_scores: int, message: str) -> None:
    """As a whole: not even the first slice is decided on."""
    panel = random_panel(60, N, 1, bars=True)
    loop = _warmed(panel)
    loop.step(0, panel.slice_at(WARM), _scores(60)[WARM], {})
    state = loop.state()
    given = BarPanel(**{field.name: getattr(panel, field.name)[rows] for field in dataclasses.fields(BarPanel)})
    with pytest.raises(DataError, match=message):
        list(loop.steps(seq, given, np.zeros((len(rows), n_scores)), {}))
    assert loop.state() == state


def test_members_and_scores_are_recorded_as_given() -> None:
    """The decision holds the very arrays."""
    panel = random_panel(60, N, 1, bars=True)
    loop, members = _warmed(panel), {"linear@1": np.ones(N)}
    score = np.arange(N, dtype=np.float64)
    decision = loop.step(0, panel.slice_at(WARM), score, members)
    assert decision.score is score
    assert decision.members is members


def test_a_state_of_another_universe_is_refused() -> None:
    """Before anything was changed."""
    loop = _loop()
    other = DecisionLoop(N + 1, sizing=SizingSettings(), execution=ExecutionSettings(), gate=GateSettings())
    before = loop.state()
    with pytest.raises(DataError, match=r"state\.target has shape"):
        loop.restore(other.state(), np.empty((0, N)))
    assert loop.state() == before
