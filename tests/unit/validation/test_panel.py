"""Panel estimates against scikit-learn, scipy and simulated coverage."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from trader.core.errors import DataError
from trader.validation.bootstrap import bootstrap_interval, resampled_counts, stationary_indices
from trader.validation.ic import hit_rate, ic_summary, information_coefficient
from trader.validation.panel import auc_estimate, hit_estimate, ic_estimate, ratio_estimate


def _panel(n: int, m: int, skill: float, seed: int, common: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and returns of that correlation; `common` is the share of variance that an instant's symbols share."""
    rng = np.random.default_rng(seed)

    def draw() -> np.ndarray:
        return math.sqrt(common) * rng.normal(size=(n, 1)) + math.sqrt(1 - common) * rng.normal(size=(n, m))

    scores = draw()
    return scores, skill * scores + math.sqrt(1 - skill**2) * draw()


@pytest.mark.parametrize("decimals", [9, 1])
def test_auc_is_that_of_scikit_learn(decimals: int) -> None:
    """With and without ties, and with unknown rows left out."""
    scores, returns = _panel(80, 6, 0.3, seed=1)
    scores = scores.round(decimals)
    up = (returns > 0).astype(float)
    scores[3], up[5, :3] = np.nan, np.nan
    known = np.isfinite(scores) & np.isfinite(up)
    found = auc_estimate(scores, up, n_resamples=50)
    assert found.value == pytest.approx(roc_auc_score(up[known], scores[known]))
    assert (found.base, found.n_instants) == (0.5, 79)


def test_resampled_auc_is_that_of_drawn_rows() -> None:
    """The interval from counts is the interval of the same resamples, gathered row by row."""
    scores, returns = _panel(60, 4, 0.3, seed=2)
    up = (returns > 0).astype(float)
    drawn = stationary_indices(60, 1.0, 256, np.random.default_rng(4))
    expected = [roc_auc_score(up[rows].ravel(), scores[rows].ravel()) for rows in drawn]
    found = auc_estimate(scores, up, n_resamples=256, seed=4, level=0.9)
    # The block length is estimated: for independent instants it is close to 1, not exactly.
    assert (found.low, found.high) == pytest.approx(np.quantile(expected, [0.05, 0.95]), abs=0.02)


def test_counts_are_those_of_the_indices() -> None:
    """The same seed draws the same positions, in parts of any size."""
    indices = stationary_indices(30, 4.0, 20, np.random.default_rng(7))
    counts = np.concatenate(list(resampled_counts(30, 4.0, 20, seed=7)))
    assert counts.tolist() == [np.bincount(row, minlength=30).tolist() for row in indices]
    assert sum(part.shape[0] for part in resampled_counts(30, 4.0, 700, seed=7)) == 700


def test_auc_of_normal_scores_is_the_closed_form() -> None:
    """Two normals a distance d apart have an AUC of Phi(d / sqrt 2), inside the interval."""
    rng = np.random.default_rng(3)
    up = (rng.random((400, 10)) < 0.5).astype(float)
    found = auc_estimate(0.5 * up + rng.normal(size=up.shape), up)
    assert found.low < norm.cdf(0.5 / math.sqrt(2)) < found.high
    assert found.skilled


def test_intervals_cover_the_truth_of_correlated_symbols() -> None:
    """At 90 %, of scores without skill whose symbols move together; the binomial interval covers far less."""
    covered = np.zeros(3)
    for seed in range(80):
        # Symbols share nine tenths of their variance: an instant is worth little more than one row.
        scores, returns = _panel(120, 10, 0.0, seed, common=0.9)
        auc = auc_estimate(scores, (returns > 0).astype(float), level=0.9, n_resamples=150)
        hits = hit_estimate(scores, returns, level=0.9, n_resamples=150)
        reach = norm.ppf(0.95) * math.sqrt(0.25 / scores.size)
        covered += auc.low <= 0.5 <= auc.high, hits.low <= 0.5 <= hits.high, abs(hits.value - 0.5) <= reach
    assert (covered[:2] / 80 > 0.8).all()
    assert covered[2] / 80 < 0.6


def test_ic_is_that_of_the_summary() -> None:
    """The mean is that of `ic_summary`, and for independent instants its interval is the normal one."""
    scores, returns = _panel(800, 12, 0.1, seed=5)
    returns[40:60] = np.nan
    summary = ic_summary(information_coefficient(scores, returns), lags=0)
    found = ic_estimate(scores, returns, n_resamples=4000)
    assert found.value == pytest.approx(summary.mean)
    assert (found.low, found.high) == pytest.approx((summary.low, summary.high), abs=0.004)
    assert (found.n_instants, found.base) == (780, 0.0)
    assert found.skilled


def test_overlapping_labels_widen_the_interval() -> None:
    """Labels of ten bars that overlap make instants dependent, and blocks see it."""
    rng = np.random.default_rng(6)
    scores = np.repeat(rng.normal(size=(80, 12)), 10, axis=0)
    one_bar = rng.normal(size=(809, 12))
    summed = np.lib.stride_tricks.sliding_window_view(one_bar, 10, axis=0).sum(axis=-1)
    found = ic_estimate(scores, summed)
    narrow = ic_summary(information_coefficient(scores, summed), lags=0)
    assert found.high - found.low > 1.8 * (narrow.high - narrow.low)


def test_hits_are_beside_the_more_frequent_direction() -> None:
    """Of rising returns, always long is right as often as they rise: no skill."""
    returns = np.random.default_rng(7).normal(0.3, 1.0, size=(300, 5))
    found = hit_estimate(np.ones((300, 5)), returns)
    assert found.value == hit_rate(np.ones((300, 5)), returns) == found.base
    assert found.base == pytest.approx(norm.cdf(0.3), abs=0.03)
    assert not found.skilled
    assert hit_estimate(-np.ones((300, 5)), returns).base == found.base


def test_ratio_interval_is_that_of_the_bootstrap() -> None:
    """Counts and gathered rows give the same percentile interval of a ratio of sums."""
    rng = np.random.default_rng(8)
    top, bottom = rng.normal(1.0, 1.0, 200), rng.integers(1, 9, 200).astype(float)
    found = ratio_estimate(top, bottom, base=0.0, n_resamples=500, seed=3)
    data = np.stack([top, bottom], axis=1)

    def ratio(sample: np.ndarray) -> float:
        return float(sample[:, 0].sum() / sample[:, 1].sum())

    assert found.value == ratio(data)
    expected = bootstrap_interval(ratio, data, n_resamples=500, seed=3, block_length=1.0)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.03)


def test_nothing_to_judge_is_unknown() -> None:
    """No rows, one instant, or one outcome only: NaN, not a number that looks measured."""
    nothing = np.full((5, 3), np.nan)
    for found in (ic_estimate(nothing, nothing), hit_estimate(nothing, nothing), auc_estimate(nothing, nothing)):
        assert math.isnan(found.value)
        assert math.isnan(found.low)
        assert found.n_instants == 0
        assert not found.skilled
    assert math.isnan(auc_estimate(np.arange(12.0).reshape(4, 3), np.ones((4, 3))).value)
    alone = hit_estimate(np.ones((1, 3)), np.ones((1, 3)))
    assert (alone.value, math.isnan(alone.low)) == (1.0, True)
    assert alone.to_dict()["low"] is None


def test_auc_of_a_hundred_thousand_rows_takes_seconds() -> None:
    """Five thousand instants of twenty symbols, five hundred resamples: at most 3 s of CPU time."""
    scores, returns = _panel(5000, 20, 0.05, seed=9)
    up = (returns > 0).astype(float)
    auc_estimate(scores[:20], up[:20], n_resamples=10)  # compiles
    started = time.process_time()
    auc_estimate(scores, up, n_resamples=500)
    assert time.process_time() - started < 3.0


def test_bad_arguments_are_named() -> None:
    """Shapes that differ, outcomes that are none, levels that cannot be."""
    with pytest.raises(DataError, match=r"\(3, 2\) and \(2, 2\)"):
        hit_estimate(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(DataError, match="other than 0, 1 and NaN"):
        auc_estimate(np.ones((3, 2)), np.full((3, 2), 0.5))
    with pytest.raises(DataError, match="level=95"):
        auc_estimate(np.ones((3, 2)), np.ones((3, 2)), level=95)
    with pytest.raises(DataError, match="level=0"):
        ic_estimate(np.ones((3, 6)), np.arange(18.0).reshape(3, 6), level=0)
