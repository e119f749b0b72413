"""Axioms of Artzner and others: what every risk figure must do, and what only the shortfall does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as run
from hypothesis import strategies as st

from risk.panel import ReturnPanel
from risk.var.decomposition import tail_marginals
from risk.var.historical import age_weights, historical, weighted_historical
from risk.var.methods import estimate

N = 40
levels = st.sampled_from([0.8, 0.9, 0.95, 0.975, 0.99])
series = st.lists(st.floats(-0.5, 0.5), min_size=N, max_size=N).map(np.array)
shifts = st.floats(-0.3, 0.3)
factors = st.floats(0.01, 10.0)
METHODS = ("historical", "age_weighted", "normal", "student_t", "cornish_fisher", "bootstrap")


def _figures(kind: str, returns: np.ndarray, level: float) -> np.ndarray:
    if kind == "plain":
        return np.array(historical(returns, level))
    return np.array(weighted_historical(returns, age_weights(returns.size, 0.95), level))


@pytest.mark.parametrize("kind", ["plain", "aged"])
@run(max_examples=60, deadline=None)
@given(series, levels, shifts, factors)
def test_translation_and_scale(kind: str, returns: np.ndarray, level: float, shift: float, factor: float) -> None:
    """A sure gain lowers the figures by itself; twice the position loses twice as much."""
    found = _figures(kind, returns, level)
    assert _figures(kind, returns + shift, level) == pytest.approx(found - shift, abs=1e-9)
    assert _figures(kind, returns * factor, level) == pytest.approx(found * factor, abs=1e-9)
    assert found[1] >= found[0] - 1e-12


@pytest.mark.parametrize("kind", ["plain", "aged"])
@run(max_examples=60, deadline=None)
@given(series, st.lists(st.floats(0.0, 0.2), min_size=N, max_size=N).map(np.array), levels)
def test_monotonicity(kind: str, returns: np.ndarray, gains: np.ndarray, level: float) -> None:
    """What never returns less is never riskier."""
    assert (_figures(kind, returns + gains, level) <= _figures(kind, returns, level) + 1e-9).all()


@pytest.mark.parametrize("kind", ["plain", "aged"])
@run(max_examples=100, deadline=None)
@given(series, series, levels)
def test_shortfall_is_subadditive(kind: str, first: np.ndarray, second: np.ndarray, level: float) -> None:
    """Two portfolios together have no larger shortfall than each alone."""
    both = _figures(kind, first + second, level)[1]
    assert both <= _figures(kind, first, level)[1] + _figures(kind, second, level)[1] + 1e-9


def test_value_at_risk_is_not() -> None:
    """Two bonds that each default in 4 of 100 states, never together: VaR at .95 sees nothing until both are held."""
    first, second = np.zeros(100), np.zeros(100)
    first[:4], second[4:8] = -1.0, -1.0
    alone = historical(first, 0.95)[0] + historical(second, 0.95)[0]
    assert historical(first + second, 0.95)[0] > alone == 0.0


@run(max_examples=60, deadline=None)
@given(series, levels, levels)
def test_rarer_losses_are_larger(returns: np.ndarray, one: float, other: float) -> None:
    """Both figures rise with the level."""
    low, high = sorted((one, other))
    assert (np.array(historical(returns, high)) >= np.array(historical(returns, low)) - 1e-12).all()


@pytest.mark.parametrize("method", METHODS)
@run(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), levels, st.floats(0.1, 3.0))
def test_leverage_scales_every_method(method: str, seed: int, level: float, factor: float) -> None:
    """Positive homogeneity in the weights, fits by maximum likelihood included."""
    rng = np.random.default_rng(seed)
    panel = ReturnPanel.of("AB", np.clip(rng.standard_t(4, (200, 2)) * 0.01, -0.9, None))
    weights = rng.normal(size=2)
    assume(float(np.abs(weights).min()) > 0.05)
    one = estimate(panel, weights, method, level)
    more = estimate(panel, factor * weights, method, level)
    assert (more.var, more.es) == pytest.approx((factor * one.var, factor * one.es), rel=1e-4, abs=1e-9)


@run(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3), min_size=N, max_size=N).map(np.array),
    st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3).map(np.array),
    levels,
)
def test_shortfall_components_add(returns: np.ndarray, weights: np.ndarray, level: float) -> None:
    """Exactly, ties and all."""
    _, beyond = tail_marginals(returns, weights, level)
    assert float(weights @ beyond) == pytest.approx(historical(returns @ weights, level)[1], abs=1e-9)
