"""Every method by its name: truth, horizons, warnings, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from risk.covariance import covariance
from risk.panel import ReturnPanel
from risk.var.distribution import overlapping_returns
from risk.var.historical import historical
from risk.var.methods import METHODS, choose_methods, estimate, estimate_all
from trader.core.errors import DataError

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 2.0, -0.3], [0.5, -0.3, 1.0]]) * 1e-4
WEIGHTS = np.array([0.5, 0.7, -0.4])
SIGMA = math.sqrt(WEIGHTS @ COVARIANCE @ WEIGHTS)


@pytest.fixture(scope="module")
def normal_panel() -> ReturnPanel:
    """20,000 periods whose sample moments are exactly the true ones."""
    drawn = np.random.default_rng(2).normal(size=(20_000, 3))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T))).T
    return ReturnPanel.of("ABC", white @ np.linalg.cholesky(COVARIANCE).T)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"ewma", "age_weighted"}))
def test_all_find_a_normal(normal_panel: ReturnPanel, method: str) -> None:
    """On normal returns every method is right: VaR within 4 %, ES within 5 % (sampling error)."""
    panel = ReturnPanel.of("ABC", normal_panel.returns[:4000]) if METHODS[method].filtered else normal_panel
    found = estimate(panel, WEIGHTS, method, n_paths=200_000)
    z = stats.norm.ppf(0.99)
    assert found.var == pytest.approx(SIGMA * z, rel=0.04)
    assert found.es == pytest.approx(SIGMA * stats.norm.pdf(z) / 0.01, rel=0.05)
    assert found.es >= found.var
    assert (found.method, found.scaling, found.n_observations) == (method, "none", panel.n_periods)


def test_normal_is_the_closed_form(normal_panel: ReturnPanel) -> None:
    """To rounding."""
    found = estimate(normal_panel, WEIGHTS, "normal")
    assert found.var == pytest.approx(SIGMA * stats.norm.ppf(0.99), rel=1e-9)


def test_ewma_is_the_matrix_along_the_weights(normal_panel: ReturnPanel) -> None:
    """The variance of the portfolio's own returns is ``w'Σw`` with the exponentially weighted covariance."""
    found = estimate(normal_panel, WEIGHTS, "ewma", decay=0.97)
    matrix = covariance(normal_panel.returns, "ewma", decay=0.97)
    assert found.var == pytest.approx(stats.norm.ppf(0.99) * math.sqrt(WEIGHTS @ matrix @ WEIGHTS), rel=1e-9)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_square_root(normal_panel: ReturnPanel, method: str) -> None:
    """Stated, and the root of time."""
    panel = normal_panel.last(1000)
    one, ten = estimate(panel, WEIGHTS, method), estimate(panel, WEIGHTS, method, horizon=10)
    assert (ten.scaling, ten.horizon) == ("sqrt", 10)
    assert (ten.var, ten.es) == pytest.approx((one.var * math.sqrt(10), one.es * math.sqrt(10)))


@pytest.mark.parametrize("scaling", ["overlapping", "simulated"])
def test_independent_returns_scale_by_the_root(normal_panel: ReturnPanel, scaling: str) -> None:
    """On independent normal returns every scaling agrees, compounding apart."""
    for method in ("historical", "normal", "student_t", "monte_carlo_normal"):
        by_root = estimate(normal_panel, WEIGHTS, method, horizon=5)
        found = estimate(normal_panel, WEIGHTS, method, horizon=5, scaling=scaling, n_paths=100_000)
        assert found.scaling == scaling
        assert found.var == pytest.approx(by_root.var, rel=0.06)


def test_overlapping_is_the_figure_of_the_overlaps() -> None:
    """One asset: products of successive returns, and a warning that says how many are independent."""
    returns = np.random.default_rng(0).standard_t(4, 600) * 0.01
    found = estimate(ReturnPanel.of("A", returns[:, None]), np.ones(1), horizon=10, scaling="overlapping")
    by_hand = np.array([np.prod(1 + returns[i : i + 10]) - 1 for i in range(591)])
    assert overlapping_returns(returns, 10) == pytest.approx(by_hand)
    assert (found.var, found.es) == pytest.approx(historical(by_hand, 0.99))
    assert found.n_observations == 591
    assert "about 60 of them are independent" in found.warnings[0]


def test_a_filter_does_not_take_overlaps(normal_panel: ReturnPanel) -> None:
    """The scaling that was used is the one that is stated."""
    found = estimate(normal_panel.last(500), WEIGHTS, "fhs", horizon=5, scaling="overlapping")
    assert found.scaling == "simulated"
    assert "simulated instead" in found.warnings[0]


def test_all_at_once_are_each_alone(normal_panel: ReturnPanel) -> None:
    """Sharing fits changes nothing."""
    panel = normal_panel.last(500)
    assert estimate_all(panel, WEIGHTS) == [estimate(panel, WEIGHTS, name) for name in METHODS]


def test_singular_covariances_are_told() -> None:
    """Fewer periods than assets, and an asset twice."""
    returns = np.random.default_rng(0).normal(0, 0.01, (20, 30))
    found = estimate(ReturnPanel.of([str(i) for i in range(30)], returns), np.full(30, 1 / 30), "normal")
    assert "20 periods cannot tell 30 assets apart" in found.warnings[0]
    twice = ReturnPanel.of("AB", np.column_stack([returns[:, 0], returns[:, 0]]))
    assert "singular" in estimate(twice, np.array([0.5, 0.5]), "normal").warnings[0]
    with pytest.raises(DataError, match="do not vary"):
        estimate(twice, np.array([0.5, -0.5]), "normal")


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_portfolio_that_does_not_vary(method: str) -> None:
    """The historical methods answer with a warning, the others refuse."""
    panel = ReturnPanel.of("A", np.full((300, 1), -0.001))
    if method in ("historical", "age_weighted", "bootstrap"):
        found = estimate(panel, np.ones(1), method)
        assert (found.var, found.es) == pytest.approx((0.001, 0.001))
        assert "do not vary" in found.warnings[0]
    else:
        with pytest.raises(DataError, match=r"do not vary|hold 0 above"):
            estimate(panel, np.ones(1), method)


def test_few_periods_beyond_the_level_are_told(normal_panel: ReturnPanel) -> None:
    """Historical figures of 250 days at .99 rest on two and a half of them."""
    assert estimate(normal_panel.last(1000), WEIGHTS).warnings == ()
    assert "about 2.5 effective periods" in estimate(normal_panel.last(250), WEIGHTS).warnings[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "magic is not known; all, historical"),
        ({"level": 1.5}, "level=1.5"),
        ({"horizon": 0}, "horizon=0"),
        ({"horizon": 5, "scaling": "cube"}, "scaling='cube'"),
        ({"method": "normal", "covariance_method": "guess"}, "method='guess'"),
        ({"method": "ewma", "decay": 1.0}, "decay=1.0"),
        ({"level": 0.999, "horizon": 5, "scaling": "simulated", "n_paths": 1000}, "n_paths=1000"),
    ],
)
def test_what_is_refused(normal_panel: ReturnPanel, change: dict[str, object], message: str) -> None:
    """Names, levels, horizons."""
    with pytest.raises(DataError, match=message):
        estimate(normal_panel.last(300), WEIGHTS, **change)  # type: ignore[arg-type]


def test_names() -> None:
    """All for none, no name twice."""
    assert choose_methods([]) == choose_methods(["all"]) == tuple(METHODS)
    assert choose_methods(["normal", "ewma", "normal"]) == ("normal", "ewma")
