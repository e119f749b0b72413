"""Allocations add up, are derivatives, and are those of closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from risk.panel import ReturnPanel
from risk.var.decomposition import contributions, tail_marginals
from risk.var.historical import historical
from risk.var.methods import METHODS
from risk.var.sample import Sample
from trader.core.errors import DataError

COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 2.0, -0.3], [0.5, -0.3, 1.0]]) * 1e-4
WEIGHTS = np.array([0.5, 0.7, -0.4])


@pytest.fixture(scope="module")
def panel() -> ReturnPanel:
    rng = np.random.default_rng(8)
    mixed = rng.multivariate_normal(np.full(3, 2e-4), COVARIANCE, 1500) / np.sqrt(rng.chisquare(5, (1500, 1)) / 5)
    return ReturnPanel.of("ABC", mixed)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_components_add_to_the_whole(panel: ReturnPanel, method: str) -> None:
    """Euler: VaR and ES are the sum of what assets add."""
    found = contributions(Sample(panel, WEIGHTS), method)
    assert found.component_var.sum() == pytest.approx(found.estimate.var, rel=1e-9)
    assert found.component_es.sum() == pytest.approx(found.estimate.es, rel=1e-9)
    assert found.component_es == pytest.approx(found.marginal_es * WEIGHTS)
    rows = found.to_dict()["assets"]
    assert [row["asset"] for row in rows] == ["A", "B", "C"]
    assert sum(row["component_var"] for row in rows) == pytest.approx(found.estimate.var)


@pytest.mark.parametrize("method", ["normal", "ewma"])
def test_closed_forms_are_derivatives(panel: ReturnPanel, method: str) -> None:
    """A little more of an asset changes the figure by its marginal."""
    found = contributions(Sample(panel, WEIGHTS), method)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-5
        up = contributions(Sample(panel, WEIGHTS + step), method).estimate
        down = contributions(Sample(panel, WEIGHTS - step), method).estimate
        assert found.marginal_var[i] == pytest.approx((up.var - down.var) / 2e-5, rel=1e-4)
        assert found.marginal_es[i] == pytest.approx((up.es - down.es) / 2e-5, rel=1e-4)


def test_historical_shortfall_marginals_are_derivatives(panel: ReturnPanel) -> None:
    """The historical ES is piecewise linear in the weights, and so exact."""
    _, beyond = tail_marginals(panel.returns, WEIGHTS, 0.975)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-7
        up, down = (historical(panel.returns @ (WEIGHTS + sign * step), 0.975)[1] for sign in (1, -1))
        assert beyond[i] == pytest.approx((up - down) / 2e-7, rel=1e-5)


def test_kernel_allocations_reach_the_closed_form() -> None:
    """100,000 normal periods: what assets lose near VaR is linear in the portfolio's loss."""
    returns = np.random.default_rng(1).multivariate_normal(np.zeros(3), COVARIANCE, 100_000)
    found = contributions(Sample(ReturnPanel.of("ABC", returns), WEIGHTS), "historical")
    shares = WEIGHTS * (COVARIANCE @ WEIGHTS) / (WEIGHTS @ COVARIANCE @ WEIGHTS)
    assert found.component_var / found.estimate.var == pytest.approx(shares, abs=0.03)
    assert found.component_es / found.estimate.es == pytest.approx(shares, abs=0.02)
    near, _ = tail_marginals(returns, WEIGHTS, 0.99)
    assert float(WEIGHTS @ near) == pytest.approx(found.estimate.var, rel=0.05)  # hardly any scaling was needed


def test_age_weighted_shortfall_adds_without_scaling(panel: ReturnPanel) -> None:
    """With chances that differ, the boundary's share is taken too."""
    sample = Sample(panel, WEIGHTS, age_decay=0.995)
    found = contributions(sample, "age_weighted")
    from risk.var.historical import age_weights

    _, beyond = tail_marginals(panel.returns, WEIGHTS, 0.99, age_weights(1500, 0.995))
    assert float(WEIGHTS @ beyond) == pytest.approx(found.estimate.es, rel=1e-9)


def test_a_hedge_subtracts_and_an_idle_asset_has_a_marginal() -> None:
    """Short what the portfolio holds: a negative component; weight 0: no component, but what a purchase would add."""
    rng = np.random.default_rng(4)
    base = rng.normal(0, 0.01, 2000)
    returns = np.column_stack([base, base + rng.normal(0, 0.002, 2000), base + rng.normal(0, 0.01, 2000)])
    for method in ("historical", "normal"):
        found = contributions(Sample(ReturnPanel.of("ABC", returns), np.array([1.0, -0.5, 0.0])), method)
        assert found.component_es[1] < 0.0
        assert found.component_var[2] == 0.0
        assert found.marginal_var[2] > 0.0


def test_standalone_figures_are_those_of_the_position(panel: ReturnPanel) -> None:
    """Alone, by the same method; together they are more than the portfolio's shortfall."""
    found = contributions(Sample(panel, WEIGHTS), "historical")
    alone = [historical(panel.returns[:, i] * WEIGHTS[i]) for i in range(3)]
    assert found.standalone_var == pytest.approx([var for var, _ in alone])
    assert found.standalone_es.sum() >= found.estimate.es
    z = stats.norm.ppf(0.99)
    normal = contributions(Sample(panel, WEIGHTS), "normal")
    column = panel.returns[:, 2] * WEIGHTS[2]
    assert normal.standalone_var[2] == pytest.approx(z * column.std(ddof=1) - column.mean())
    assert np.isnan(contributions(Sample(panel, WEIGHTS), "fhs").standalone_var).all()


def test_an_infinite_shortfall_is_not_shared() -> None:
    """A tail without a mean has a shortfall that nothing adds to."""
    returns = -np.random.default_rng(0).pareto(0.6, (2000, 1)) * 1e-9
    with pytest.raises(DataError, match="infinite"):
        contributions(Sample(ReturnPanel.of("A", np.maximum(returns, -1.0)), np.ones(1)), "evt")
