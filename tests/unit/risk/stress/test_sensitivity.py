"""Ladders and grids, pushed correlations, the cost of selling, and reverse stress tests against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from risk.stress import (
    LinearBook,
    ReturnHistory,
    Scenario,
    StressTester,
    grid,
    ladder,
    push_correlations,
    reverse_linear,
    reverse_stress,
)
from risk.stress.covariance import correlation_loss, liquidity_cost
from trader.core.errors import DataError

COVARIANCE = np.array([[4e-4, -1e-5, 1e-4], [-1e-5, 1e-6, -1e-6], [1e-4, -1e-6, 9e-4]])
BOOK = LinearBook(("equity", "rates", "oil"), (0.9, -4.0, 0.1))


def test_linear_answer_is_the_closed_form_and_no_point_is_nearer() -> None:
    """It loses the amount; every other scenario that does is farther away in Mahalanobis distance."""
    found = reverse_linear(BOOK, COVARIANCE, 0.1)
    x, b = np.array(list(found.shocks.values())), np.array(BOOK.exposures)
    assert b @ x == pytest.approx(-0.1, rel=1e-12)
    assert math.sqrt(x @ np.linalg.solve(COVARIANCE, x)) == pytest.approx(found.distance, rel=1e-9)
    assert found.distance == pytest.approx(0.1 / math.sqrt(b @ COVARIANCE @ b))
    assert found.probability == pytest.approx(stats.norm.cdf(-0.1, scale=math.sqrt(b @ COVARIANCE @ b)))
    others = x + np.random.default_rng(1).normal(0, 0.05, (1000, 3))
    others *= (-0.1 / (others @ b))[:, None]
    far = np.sqrt(np.einsum("ni,ij,nj->n", others, np.linalg.inv(COVARIANCE), others))
    assert (far >= found.distance).all()


def test_search_finds_the_closed_form() -> None:
    """Of a linear P&L, also where a factor is a copy of another."""
    exact = reverse_linear(BOOK, COVARIANCE, 0.1)
    found = reverse_stress(BOOK, BOOK.factors, COVARIANCE, 0.1)
    assert found.distance == pytest.approx(exact.distance, rel=1e-6)
    assert found.shocks == pytest.approx(exact.shocks, rel=1e-4)
    copied = np.array([[1.0, 1.0], [1.0, 1.0]]) * 4e-4
    both = reverse_stress(lambda moves: moves.sum(axis=1), ("a", "b"), copied, 0.1)
    assert both.shocks == pytest.approx({"a": -0.05, "b": -0.05}, rel=1e-6)
    assert any("singular" in warning for warning in both.warnings)


def test_search_prices_options() -> None:
    """A short straddle loses on both sides: the nearer one is found, as a search over a fine grid finds it."""
    sigma, years = 0.2, 0.25

    def straddle(spot: np.ndarray) -> np.ndarray:
        d1 = (np.log(spot) + sigma**2 / 2 * years) / (sigma * math.sqrt(years))
        call = spot * stats.norm.cdf(d1) - stats.norm.cdf(d1 - sigma * math.sqrt(years))
        return 2 * call + 1 - spot

    def pnl(moves: np.ndarray) -> np.ndarray:
        return straddle(np.ones(1)) - straddle(np.maximum(1 + moves[:, 0], 1e-6))

    found = reverse_stress(pnl, ("equity",), np.array([[9e-4]]), 0.1)
    spots = np.linspace(-0.5, 0.5, 1_000_001)[:, None]
    losing = np.abs(spots[pnl(spots) <= -0.1])
    assert abs(found.shocks["equity"]) == pytest.approx(losing.min(), rel=1e-4)
    root = optimize.brentq(lambda move: pnl(np.array([[move]]))[0] + 0.1, 0.0, 0.5)
    assert found.shocks["equity"] == pytest.approx(root, rel=1e-5) or found.shocks["equity"] < 0


def test_losses_that_cannot_be_are_refused() -> None:
    """Out of reach, not positive, or of a portfolio that nothing moves."""
    with pytest.raises(DataError, match="not reached"):
        reverse_stress(lambda moves: np.maximum(moves[:, 0], -0.01), ("a",), np.eye(1) * 1e-4, 0.1)
    with pytest.raises(DataError, match="loss=-1"):
        reverse_linear(BOOK, COVARIANCE, -1)
    with pytest.raises(DataError, match="does not vary"):
        reverse_linear(LinearBook(("a",), (0.0,)), np.eye(1), 0.1)
    with pytest.raises(DataError, match="shape"):
        reverse_linear(BOOK, np.eye(2), 0.1)
    far = reverse_linear(LinearBook(("a",), (0.01,)), np.eye(1), 0.1)
    assert far.warnings == ("a would fall below -100 %",)


def test_ladders_and_grids_revalue_each_move() -> None:
    """Any P&L of the factors, here one with curvature."""

    def pnl(moves: np.ndarray) -> np.ndarray:
        return moves[:, 0] - 2 * moves[:, 1] + 3 * moves[:, 0] * moves[:, 1]

    assert ladder(pnl, ("a", "b"), "b", [-0.1, 0.2]).tolist() == pytest.approx([0.2, -0.4])
    found = grid(pnl, ("a", "b"), ("b", [0.1, 0.2]), ("a", [-0.1, 0.0, 0.1]))
    expected = [[a - 2 * b + 3 * a * b for a in (-0.1, 0.0, 0.1)] for b in (0.1, 0.2)]
    np.testing.assert_allclose(found, expected)
    with pytest.raises(DataError, match="'c' is not known"):
        ladder(pnl, ("a", "b"), "c", [0.1])
    with pytest.raises(DataError, match="given twice"):
        grid(pnl, ("a", "b"), ("a", [0.1]), ("a", [0.1]))
    with pytest.raises(DataError, match="finite numbers"):
        ladder(pnl, ("a", "b"), "a", [np.nan])


def test_books_add_up_regressions() -> None:
    """Exposures of the portfolio are those of a regression of the portfolio."""
    rng = np.random.default_rng(2)
    days = np.arange("2020-01-01", "2020-12-31", dtype="datetime64[D]")
    factors = rng.normal(0, 0.01, (len(days), 2))
    assets = factors @ rng.normal(0, 1, (2, 3)) + rng.normal(0, 0.01, (len(days), 3))
    history, known = ReturnHistory.of("ABC", assets, days), ReturnHistory.of(["x", "y"], factors, days)
    weights = {"A": 0.5, "B": -1.0, "C": 0.0}
    book = LinearBook.of(history, weights, known)
    design = np.column_stack([np.ones(len(days)), factors])
    expected = np.linalg.lstsq(design, assets @ [0.5, -1.0, 0.0], rcond=None)[0][1:]
    assert book.exposures == pytest.approx(tuple(expected))
    assert [proxy.asset for proxy in book.proxies] == ["A", "B"]
    with pytest.raises(DataError, match="all zero"):
        LinearBook.of(history, {"A": 0.0}, known)


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, 1), factor=st.floats(0.5, 3), seed=st.integers(0, 100))
def test_pushed_correlations_stay_a_covariance(share: float, factor: float, seed: int) -> None:
    """Correlations move towards one in proportion, volatilities by the factor, eigenvalues stay positive."""
    covariance = np.cov(np.random.default_rng(seed).normal(size=(20, 4)), rowvar=False)
    pushed = push_correlations(covariance, share, factor)
    deviations = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(np.sqrt(np.diag(pushed)), factor * deviations)
    before = covariance / np.outer(deviations, deviations)
    after = pushed / np.outer(deviations, deviations) / factor**2
    np.testing.assert_allclose(after, before + share * (1 - before), atol=1e-12)
    assert np.linalg.eigvalsh(pushed)[0] > -1e-12


def _model(**fields: float) -> Scenario:
    kind = "liquidity" if "spread" in fields else "correlation"
    return Scenario("x", "X", kind, source=("me",), **fields)  # type: ignore[arg-type]


def test_correlations_of_one_add_volatilities() -> None:
    """The VaR is z times the sum of the weighted volatilities; parts are in proportion to these."""
    returns = np.random.default_rng(3).normal(0, [0.01, 0.02, 0.03], (500, 3))
    weights, z = np.array([0.5, 0.3, 0.2]), stats.norm.ppf(0.99)
    deviations = returns.std(axis=0, ddof=1)
    parts, warnings = correlation_loss(returns, weights, _model(correlation=1.0))
    np.testing.assert_allclose(parts, z * weights * deviations)
    assert warnings == []
    doubled, _ = correlation_loss(returns, weights, _model(correlation=0.0, volatility=2.0))
    assert doubled.sum() == pytest.approx(2 * z * (returns @ weights).std(ddof=1))


def test_correlations_of_one_flatter_shorts() -> None:
    """And the result says so; perfect hedges have no loss, which is said too."""
    returns = np.random.default_rng(3).normal(0, 0.01, (500, 2))
    _, warnings = correlation_loss(returns, np.array([1.0, -0.5]), _model(correlation=0.9))
    assert "shorts hedge better" in warnings[0]
    same = returns[:, [0, 0]]
    parts, warnings = correlation_loss(same, np.array([1.0, -1.0]), _model(correlation=1.0))
    assert parts.tolist() == [0.0, 0.0]
    assert "no comfort" in warnings[0]
    with pytest.raises(DataError, match="10 periods"):
        correlation_loss(returns[:10], np.ones(2), _model(correlation=0.9))


def test_selling_slowly_costs_what_a_simulation_says() -> None:
    """Half the spread, and the deviation of selling an even tenth a day for ten days: σ √(d/3), as d grows."""
    rng = np.random.default_rng(4)
    returns = rng.normal(0, 0.02, (2000, 1))
    cost, warnings = liquidity_cost(returns, np.array([-1.0]), _model(spread=0.01, participation=0.1), np.array([0.1]))
    steps = 200  # a day, so that selling is even
    left = 1 - (np.arange(100 * steps) + 0.5) / (100 * steps)
    moves = rng.normal(0, returns.std(ddof=1) / math.sqrt(steps), (200, 100 * steps))
    assert cost[0] - 0.005 == pytest.approx((moves @ left).std(), rel=0.12)
    assert "1 positions take more than 5 days to sell, the slowest 100" in warnings[0]
    spread_only, said = liquidity_cost(returns, np.array([-1.0]), _model(spread=0.01), None)
    assert spread_only.tolist() == [0.005]
    assert "no volumes" in said[0]
    with pytest.raises(DataError, match="positive"):
        liquidity_cost(returns, np.array([1.0]), _model(spread=0.01), np.array([0.0]))


def test_modelled_scenarios_use_complete_periods_and_volumes() -> None:
    """Through the tester: contributions add to the P&L."""
    days = np.arange("2020-01-01", "2020-12-31", dtype="datetime64[D]")
    returns = np.random.default_rng(5).normal(0, 0.01, (len(days), 2))
    returns[:50, 1] = np.nan
    history = ReturnHistory.of("AB", returns, days)
    known = ReturnHistory.of(["equity"], returns[:, :1], days)
    tester = StressTester(history, {"A": 0.5, "B": 0.5}, known, {"A": 100.0, "B": 10.0}, 200.0)
    slow = tester.run(_model(spread=0.01))
    assert slow.impacts[0].asset == "B"
    assert math.fsum(impact.contribution for impact in slow.impacts) == pytest.approx(slow.pnl)
    together = tester.run(_model(correlation=1.0))
    deviations = returns[50:].std(axis=0, ddof=1)
    assert together.pnl == pytest.approx(-stats.norm.ppf(0.99) * deviations.mean())
    assert together.impacts[0].how == "model"
