"""Tail dependence against published values and simulated copulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from risk.tail.dependence import fit_t_copula, t_copula_dependence, tail_dependence
from trader.core.errors import DataError

# McNeil, Frey and Embrechts (2015), table 7.1: degrees of freedom, correlation, coefficient.
TABLE = [
    (2, -0.5, 0.06),
    (2, 0.0, 0.18),
    (2, 0.5, 0.39),
    (2, 0.9, 0.72),
    (4, -0.5, 0.01),
    (4, 0.0, 0.08),
    (4, 0.5, 0.25),
    (4, 0.9, 0.63),
    (10, -0.5, 0.00),
    (10, 0.0, 0.01),
    (10, 0.5, 0.08),
    (10, 0.9, 0.46),
]


def _bivariate_t(n: int, df: float, correlation: float, seed: int) -> np.ndarray:
    return stats.multivariate_t([0, 0], [[1, correlation], [correlation, 1]], df, seed=seed).rvs(n)


@pytest.mark.parametrize(("df", "correlation", "expected"), TABLE)
def test_published_coefficients(df: int, correlation: float, expected: float) -> None:
    """To the digits printed."""
    assert t_copula_dependence(correlation, df) == pytest.approx(expected, abs=5.1e-3)


def test_ends() -> None:
    """Together always, never."""
    assert t_copula_dependence(1.0, 5) == 1.0
    assert t_copula_dependence(-1.0, 5) == 0.0
    with pytest.raises(DataError, match="correlation=2"):
        t_copula_dependence(2, 5)


@pytest.mark.parametrize(("df", "correlation"), [(3.0, 0.6), (8.0, 0.2)])
def test_the_copula_is_found_whatever_the_margins(df: float, correlation: float) -> None:
    """Parameters of a simulated t, unchanged by bending each margin."""
    drawn = _bivariate_t(6000, df, correlation, 3)
    found = fit_t_copula(drawn[:, 0], drawn[:, 1])
    assert found.correlation == pytest.approx(correlation, abs=0.03)
    assert found.df == pytest.approx(df, rel=0.25)
    assert fit_t_copula(np.exp(drawn[:, 0]), drawn[:, 1] ** 3) == found


def test_a_normal_copula_has_no_tail() -> None:
    """Degrees of freedom run up, the coefficient goes to 0."""
    drawn = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 5000)
    found = fit_t_copula(drawn[:, 0], drawn[:, 1])
    assert found.df > 30
    assert found.dependence < 0.02


def test_counts() -> None:
    """Comonotone assets share all worst days, countermonotone none, independent ones the fraction."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 40_000))
    lower = tail_dependence(np.column_stack([x, 2 * x, -x, y]))
    assert lower == pytest.approx(lower.T)
    assert np.diag(lower) == pytest.approx(1.0)
    assert (lower[0, 1], lower[0, 2]) == (1.0, 0.0)
    assert lower[0, 3] == pytest.approx(0.05, abs=0.015)


def test_falls_and_rises_are_told_apart() -> None:
    """A pair that falls together only (Clayton): lower dependence ``2 ** (-1 / θ)``, none above."""
    rng = np.random.default_rng(2)
    theta = 2.0
    common = rng.gamma(1 / theta, size=(100_000, 1))
    u = (1 + rng.exponential(size=(100_000, 2)) / common) ** (-1 / theta)
    assert tail_dependence(u, 0.002)[0, 1] == pytest.approx(2 ** (-1 / theta), abs=0.08)
    assert tail_dependence(u, 0.002, upper=True)[0, 1] < 0.1


def test_what_is_refused() -> None:
    """Shapes, lengths, too few worst days, flat series."""
    with pytest.raises(DataError, match=r"fraction=0\.05"):
        tail_dependence(np.zeros((50, 2)))
    with pytest.raises(DataError, match="not finite"):
        tail_dependence(np.full((500, 2), np.nan))
    with pytest.raises(DataError, match="120 periods; 150"):
        fit_t_copula(np.arange(150.0), np.arange(120.0))
    with pytest.raises(DataError, match="does not vary"):
        fit_t_copula(np.ones(150), np.arange(150.0))
