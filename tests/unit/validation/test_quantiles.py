"""Quantile forecasts against scikit-learn, the normal distribution and simulated coverage."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import kstest, norm
from sklearn.metrics import mean_pinball_loss

from trader.core.errors import DataError
from trader.validation.quantiles import judge_quantiles, pit_values

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _forecasts(n: int, m: int, seed: int, width: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Normal outcomes with known means and volatilities, and quantiles that are `width` times as wide as theirs."""
    rng = np.random.default_rng(seed)
    mean, scale = rng.normal(size=(n, m)), np.exp(0.5 * rng.normal(size=(n, m)))
    quantiles = mean[..., None] + width * scale[..., None] * norm.ppf(LEVELS)
    return quantiles, mean + scale * rng.normal(size=(n, m))


def test_losses_are_those_of_scikit_learn() -> None:
    """Each level's pinball loss, unknown rows left out."""
    quantiles, target = _forecasts(150, 4, seed=1)
    quantiles[3, 1, 2], target[8] = np.nan, np.nan
    known = np.isfinite(quantiles).all(axis=2) & np.isfinite(target)
    found = judge_quantiles(quantiles, LEVELS, target, n_resamples=50)
    assert found.n_rows == known.sum() == 595
    for place, level in enumerate(LEVELS):
        expected = mean_pinball_loss(target[known], quantiles[known][:, place], alpha=level)
        assert found.pinball[place] == pytest.approx(expected)
        constant = np.full(595, np.quantile(target[known], level))
        assert found.base_pinball[place] == pytest.approx(mean_pinball_loss(target[known], constant, alpha=level))


def test_true_quantiles_cover_what_they_say() -> None:
    """Levels lie in the intervals, losses are below the base; narrow forecasts cover too little."""
    found = judge_quantiles(*_split(_forecasts(3000, 5, seed=2)))
    assert ((found.low <= found.levels) & (found.levels <= found.high)).sum() >= 4
    assert found.coverage == pytest.approx(np.array(LEVELS), abs=0.01)
    assert (found.pinball < found.base_pinball).all()
    narrow = judge_quantiles(*_split(_forecasts(3000, 5, seed=2, width=0.5)))
    assert narrow.low[0] > 0.05
    assert narrow.high[-1] < 0.95
    assert (narrow.pinball[[0, -1]] > found.pinball[[0, -1]]).all()


def _split(forecasts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    return forecasts[0], LEVELS, forecasts[1]


def test_shares_are_the_histogram_of_the_transform() -> None:
    """Between the levels as many outcomes as their difference, and the shares sum to one."""
    quantiles, target = _forecasts(2000, 5, seed=3)
    found = judge_quantiles(quantiles, LEVELS, target, n_resamples=10)
    assert found.shares.sum() == pytest.approx(1.0)
    assert found.shares == pytest.approx(np.diff([0.0, *LEVELS, 1.0]), abs=0.02)
    pit = pit_values(quantiles, LEVELS, target)
    counted = np.histogram(pit, [0.0, *LEVELS, 1.0])[0] / pit.size
    assert counted == pytest.approx(found.shares, abs=1e-9)


def test_transform_of_many_true_quantiles_is_uniform() -> None:
    """With two hundred levels the PIT of normal outcomes is that of the normal distribution function."""
    levels = tuple(np.linspace(0.005, 0.995, 199))
    target = np.random.default_rng(4).normal(size=(500, 3))
    quantiles = np.broadcast_to(norm.ppf(levels), (500, 3, 199))
    pit = pit_values(quantiles, levels, target)
    assert pit == pytest.approx(norm.cdf(target), abs=0.003)
    assert kstest(pit.ravel(), "uniform").pvalue > 0.01


def test_transform_at_the_quantiles_is_their_level() -> None:
    """Exactly there; the middle of the tail beyond; NaN where anything is unknown."""
    quantiles = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]] * 9)
    target = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, -9.0, 9.0, -1.5, np.nan])
    expected = [*LEVELS, 0.025, 0.975, 0.15, np.nan]
    assert pit_values(quantiles, LEVELS, target) == pytest.approx(expected, nan_ok=True)
    quantiles[0, 4] = np.nan
    assert np.isnan(pit_values(quantiles, LEVELS, target)[0])


def test_equal_quantiles_are_no_division_by_zero() -> None:
    """An outcome on a step of the distribution function has the level of its lowest quantile there."""
    quantiles = np.array([[0.0, 0.0, 0.0, 1.0, 1.0]] * 3)
    assert pit_values(quantiles, LEVELS, np.array([0.0, 0.5, 1.0])) == pytest.approx([0.05, 0.625, 0.75])
    assert pit_values(np.zeros((1, 1)), (0.5,), np.zeros(1)).tolist() == [0.5]


def test_intervals_know_that_symbols_share_an_instant() -> None:
    """Ten symbols with one outcome are no more than one."""
    quantiles, target = _forecasts(400, 1, seed=5)
    alone = judge_quantiles(quantiles, LEVELS, target)
    shared = judge_quantiles(np.repeat(quantiles, 10, axis=1), LEVELS, np.repeat(target, 10, axis=1))
    assert shared.high - shared.low == pytest.approx(alone.high - alone.low)


def test_report_is_ready_for_json() -> None:
    """Plain values, lists for arrays."""
    content = judge_quantiles(*_split(_forecasts(30, 2, seed=6)), n_resamples=10).to_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["levels"] == list(LEVELS)


@pytest.mark.parametrize("levels", [(0.5, 0.25), (0.0, 0.5), (0.5, 1.0), ()])
def test_bad_levels_are_named(levels: tuple[float, ...]) -> None:
    """They rise inside (0, 1)."""
    with pytest.raises(DataError, match="levels="):
        judge_quantiles(np.zeros((4, 2, len(levels))), levels, np.zeros((4, 2)))


def test_bad_forecasts_are_refused() -> None:
    """Shapes that do not agree, quantiles that cross, nothing known."""
    with pytest.raises(DataError, match=r"quantiles have shape \(4, 2, 2\)"):
        judge_quantiles(np.zeros((4, 2, 2)), LEVELS, np.zeros((4, 2)))
    with pytest.raises(DataError, match="fall along the last axis"):
        judge_quantiles(np.array([[[1.0, 0.0]]]), (0.2, 0.8), np.zeros((1, 1)))
    with pytest.raises(DataError, match="no row has both"):
        judge_quantiles(np.full((1, 1, 5), np.nan), LEVELS, np.zeros((1, 1)))
