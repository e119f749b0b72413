"""Historical figures against skfolio and against counting."""

from __future__ import annotations

import numpy as np
import pytest

from risk.var.historical import Empirical, age_weights, historical, weighted_historical
from trader.core.errors import DataError


@pytest.mark.parametrize("n", [10, 99, 100, 101, 1000, 1013])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99])
def test_agrees_with_skfolio(n: int, level: float) -> None:
    """VaR and CVaR of an independent implementation, whether or not the level falls between two losses."""
    from skfolio.measures import cvar, value_at_risk

    returns = np.random.default_rng(n).standard_t(3, n) * 0.01
    var, es = historical(returns, level)
    assert var == pytest.approx(float(value_at_risk(returns, level)), rel=1e-12)
    assert es == pytest.approx(float(cvar(returns, level)), rel=1e-12)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99])
def test_age_weighted_agrees_with_skfolio(level: float) -> None:
    """The same with weights."""
    from skfolio.measures import cvar, value_at_risk

    returns = np.random.default_rng(5).standard_t(3, 700) * 0.01
    weights = age_weights(700, 0.99)
    var, es = weighted_historical(returns, weights, level)
    assert var == pytest.approx(float(value_at_risk(returns, level, weights)), rel=1e-12)
    assert es == pytest.approx(float(cvar(returns, level, weights)), rel=1e-12)


def test_equal_weights_are_the_plain_figures() -> None:
    """Also where the level falls exactly on a loss."""
    returns = np.random.default_rng(1).normal(size=200)
    for level in (0.95, 0.99, 0.973):
        assert weighted_historical(returns, np.full(200, 1 / 200), level) == pytest.approx(historical(returns, level))


def test_age_weights_follow_the_paper() -> None:
    """Boudoukh, Richardson and Whitelaw: ``λ^(i-1) (1 - λ) / (1 - λ^K)``, the newest first."""
    decay, n = 0.98, 100
    paper = decay ** np.arange(n) * (1 - decay) / (1 - decay**n)
    assert age_weights(n, decay)[::-1] == pytest.approx(paper, rel=1e-12)


def test_a_young_loss_counts_for_more() -> None:
    """Age weighting sees a crash of yesterday, and forgets one of long ago."""
    calm = np.random.default_rng(0).normal(0, 0.01, 500)
    crash = -0.1 * np.ones(3)
    young, old = np.concatenate([calm, crash]), np.concatenate([crash, calm])
    weights = age_weights(503, 0.98)
    assert weighted_historical(young, weights)[0] > 0.09 > 0.05 > weighted_historical(old, weights)[0]


def test_effective_number() -> None:
    """Kish: n for equal weights, ``(1 + λ) / (1 - λ)`` for a long geometric sample."""
    returns = np.zeros(5000)
    assert Empirical(returns).n_effective() == 5000
    assert Empirical(returns, age_weights(5000, 0.99)).n_effective() == pytest.approx(199, rel=1e-6)


@pytest.mark.parametrize(
    ("returns", "level", "message"),
    [
        ([], 0.99, "0 periods"),
        ([0.1, np.nan], 0.99, "NaN"),
        ([[0.1]], 0.99, r"shape \(1, 1\)"),
        ([0.1], 1.0, "level=1.0"),
        ([0.1], 0.01, "level=0.01"),
    ],
)
def test_what_is_refused(returns: list[float], level: float, message: str) -> None:
    """No period, NaN, a table, a level that is none."""
    with pytest.raises(DataError, match=message):
        historical(np.array(returns), level)
