"""Limits on value at risk and expected shortfall: what the gate lets through, and what it is told that for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from risk.gate import RiskGate
from risk.var.historical import historical
from risk.watch import PriceWindow, RiskView, RiskWatch
from tests.support.trading import NS, orders_of
from trader.core.orders import Denial, DenialReason
from trader.settings.sections import GateSettings

OFF: dict[str, Any] = {
    "max_position_weight": None,
    "max_gross": None,
    "max_net": None,
    "max_herfindahl": None,
    "max_data_age_s": None,
    "var_level": 0.95,
}
PRICES = np.array([100.0, 50.0, 10.0])
EQUITY = 1_000.0
RETURNS = np.random.default_rng(5).standard_t(5, (250, 3)) * [0.01, 0.02, 0.03]


def _check(orders: list[dict[str, Any]], view: RiskView | None, positions: Any = (0.0, 0.0, 0.0), **limits: Any) -> Any:
    gate = RiskGate(3, GateSettings(**{**OFF, **limits}))
    passed, denials = gate.check(
        orders_of(*orders),
        ts_ns=10 * NS,
        positions=np.array(positions),
        prices=PRICES,
        price_ts_ns=np.full(3, 10 * NS),
        equity=EQUITY,
        open_quantity=np.zeros(3),
        view=view,
    )
    return passed.order_id.tolist(), denials


def _order(symbol_id: int, weight: float) -> dict[str, Any]:
    side = 1 if weight > 0 else -1
    return {"symbol_id": symbol_id, "side": side, "quantity": abs(weight) * EQUITY / PRICES[symbol_id]}


VIEW = RiskView(10 * NS, RETURNS)


def test_orders_are_measured_with_those_that_passed() -> None:
    """The second of two that each fit alone is refused, with the risk of both and the limit."""
    alone = [historical(RETURNS @ weights, 0.95)[0] for weights in ([0.5, 0, 0], [0, 0.4, 0])]
    both = historical(RETURNS @ [0.5, 0.4, 0], 0.95)[0]
    limit = 0.5 * (max(alone) + both)
    assert max(alone) < limit < both
    passed, denials = _check([_order(0, 0.5), _order(1, 0.4), _order(1, 0.001)], VIEW, max_var=limit)
    assert passed == [0, 2]
    assert [(d.order_id, d.reason, d.limit) for d in denials] == [(1, DenialReason.VAR_LIMIT, limit)]
    assert denials[0].value == pytest.approx(both, rel=1e-12)


def test_what_hedges_passes_though_the_limit_is_broken() -> None:
    """Beyond the limit already: a short of the same name reduces risk, more of it does not, shortfall counts too."""
    held = (10.0, 0.0, 0.0)  # 100 % in the first
    twin = RiskView(VIEW.ts_ns, RETURNS[:, [0, 0, 2]])
    _, es = historical(RETURNS[:, 0], 0.95)
    for limit in ({"max_var": 0.001}, {"max_es": 0.001}):
        passed, denials = _check([_order(1, -0.3), _order(0, -0.2), _order(0, 0.1)], twin, held, **limit)
        assert passed == [0, 1]
        assert len(denials) == 1
    assert denials[0].reason is DenialReason.ES_LIMIT
    assert denials[0].value == pytest.approx(0.6 * es, rel=1e-9)


def test_risk_that_is_old_or_not_known_denies_what_adds_to_it() -> None:
    """The age and its limit, or the bars there are and those needed; what reduces passes."""
    held = (5.0, 0.0, 0.0)
    orders = [_order(0, -0.2), _order(1, 0.1)]
    old = RiskView(4 * NS, RETURNS)
    passed, denials = _check(orders, old, held, max_var=0.5, max_risk_age_s=5.0)
    assert passed == [0]
    assert denials == (Denial(1, 1, DenialReason.STALE_RISK, 6.0, 5.0),)
    assert _check(orders, old, held, max_var=0.5, max_risk_age_s=6.0) == ([0, 1], ())
    assert _check(orders, old, held, max_var=0.5, max_risk_age_s=None) == ([0, 1], ())
    for view, n_bars in ((None, 0), (RiskView(10 * NS, RETURNS[:50]), 50)):
        passed, denials = _check(orders, view, held, max_var=0.5, max_risk_age_s=None)
        assert passed == [0]
        assert denials == (Denial(1, 1, DenialReason.UNKNOWN_RISK, n_bars, 100.0),)
    young = RETURNS.copy()
    young[:200, 1] = np.nan
    passed, denials = _check([*orders, _order(2, 0.1)], RiskView(10 * NS, young), held, max_var=0.5)
    assert passed == [0, 2]
    assert denials == (Denial(1, 1, DenialReason.UNKNOWN_RISK, 50.0, 100.0),)


@pytest.mark.parametrize("method", ["historical", "age_weighted", "normal", "ewma", "cornish_fisher", "evt"])
def test_every_method_measures(method: str) -> None:
    """From an empty portfolio a small order passes and a large one does not."""
    passed, denials = _check([_order(0, 0.1), _order(1, 2.0)], VIEW, max_var=0.01, var_method=method)
    assert passed == [0]
    assert [denial.reason for denial in denials] == [DenialReason.VAR_LIMIT]
    assert 0.02 < denials[0].value < 0.2


def test_other_rules_meet_the_book_without_what_is_refused() -> None:
    """An order that fits only because one before it was refused for its risk does pass."""
    orders = [_order(2, 0.9), _order(0, 0.5)]
    passed, denials = _check(orders, VIEW, max_var=0.02, max_gross=1.0)
    assert passed == [1]
    assert [denial.reason for denial in denials] == [DenialReason.VAR_LIMIT]


def test_a_window_holds_the_newest_prices_however_they_come() -> None:
    """Row by row or in blocks, through its state and back: the returns of the last prices."""
    rng = np.random.default_rng(0)
    prices = rng.uniform(1, 2, (300, 3))
    window, end = PriceWindow(3, 20), 12
    for row in range(end):
        window.warm_up(row, prices[row])
    while end < len(prices):
        block = prices[end : end + int(rng.integers(1, 60))]
        end += len(block)
        window.add(end, block)
        newest = prices[max(0, end - 21) : end]
        np.testing.assert_allclose(window.returns(), newest[1:] / newest[:-1] - 1)
        again = PriceWindow(3, 20)
        again.restore(window.state(), prices[12:end][-window.n_kept :])
        np.testing.assert_array_equal(again.returns(), window.returns())
        assert (again.ts_ns, len(again)) == (end, min(end, 21))


def test_views_are_renewed_every_so_many_decisions() -> None:
    """Between, a view stays what it was, whether it was looked at or not."""
    prices = np.random.default_rng(1).uniform(1, 2, (20, 1))
    watch = RiskWatch(1, 5, every=3)
    for row in range(8):
        watch.warm_up(row, prices[row])
    stamps = []
    for row in range(8, 20):
        watch.add(row, prices[row : row + 1])
        view = watch.view()
        stamps.append(view.ts_ns)
        newest = prices[view.ts_ns - 5 : view.ts_ns + 1]
        np.testing.assert_array_equal(view.returns, newest[1:] / newest[:-1] - 1)
        assert watch.latest().ts_ns == row
    assert stamps == [7, 7, 10, 10, 10, 13, 13, 13, 16, 16, 16, 19]
