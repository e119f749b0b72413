"""Information coefficients against scipy, their errors against arch and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.ic import hit_rate, ic_by_month, ic_summary, information_coefficient, newey_west_error


@pytest.fixture(scope="module")
def panel() -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties and holes, and returns related to them."""
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=(60, 12)), 1)
    returns = np.round(0.5 * scores + rng.normal(size=scores.shape), 1)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    returns[rng.random(scores.shape) < 0.1] = np.nan
    return scores, returns


@pytest.mark.parametrize("method", ["rank", "pearson"])
def test_ic_is_that_of_scipy(panel: tuple[np.ndarray, np.ndarray], method: str) -> None:
    """Ties and missing symbols included, each instant's IC is scipy's correlation of the known pairs."""
    from scipy import stats

    scores, returns = panel
    found = information_coefficient(scores, returns, method)
    oracle = stats.spearmanr if method == "rank" else stats.pearsonr
    for t in range(scores.shape[0]):
        known = np.isfinite(scores[t]) & np.isfinite(returns[t])
        assert found[t] == pytest.approx(oracle(scores[t, known], returns[t, known]).statistic, abs=1e-12)


def test_undefined_instants_are_nan() -> None:
    """Too few symbols, or a side that does not vary, give no IC."""
    moving = np.arange(6.0)
    scores = np.array([moving, np.full(6, 0.1), moving, np.where(moving < 4, moving, np.nan)])
    returns = np.array([moving, moving, np.full(6, 0.3), moving])
    for method in ("rank", "pearson"):
        assert information_coefficient(scores, returns, method).tolist() == pytest.approx(
            [1.0, math.nan, math.nan, math.nan], nan_ok=True
        )


def test_newey_west_without_lags_is_the_plain_error() -> None:
    """With no lag it is the standard deviation (n) over the root of n."""
    series = np.random.default_rng(1).normal(size=500)
    assert newey_west_error(series, 0) == pytest.approx(series.std() / math.sqrt(500))


def test_newey_west_agrees_with_arch() -> None:
    """The Bartlett long-run variance of arch, over n, is the squared error."""
    from arch.covariance.kernel import Bartlett

    series = np.cumsum(np.random.default_rng(2).normal(size=300)) * 0.05
    kernel = Bartlett(series, bandwidth=9, df_adjust=0, center=True)
    expected = math.sqrt(float(kernel.cov.long_run.item()) / 300)
    assert newey_west_error(series, 9) == pytest.approx(expected, rel=1e-9)


def test_interval_of_overlapping_labels_covers_zero_as_often_as_it_says() -> None:
    """For moving sums of five independent terms, 95 % intervals with five lags miss 0 in 3 to 12 % of cases."""
    rng = np.random.default_rng(3)
    missed = [0.0, 0.0]
    for _ in range(500):
        series = np.convolve(rng.normal(size=604), np.ones(5), mode="valid")
        for position, lags in enumerate((5, 0)):
            summary = ic_summary(series, lags=lags)
            missed[position] += (summary.low > 0 or summary.high < 0) / 500
    assert 0.03 <= missed[0] <= 0.12
    assert missed[1] > 0.3


def test_summary_by_hand() -> None:
    """Mean, deviation and share of positive instants; NaN instants are left out."""
    summary = ic_summary(np.array([0.1, np.nan, -0.1, 0.3, 0.1]), lags=0)
    assert summary.mean == pytest.approx(0.1)
    assert summary.std == pytest.approx(math.sqrt(0.08 / 3))
    assert summary.positive == 0.75
    assert summary.n_instants == 4
    assert summary.high - summary.mean == pytest.approx(1.959964 * math.sqrt(0.08) / 4, rel=1e-6)
    assert summary.t_stat == pytest.approx(summary.mean / summary.error)


@pytest.mark.parametrize("ic", [np.zeros(0), np.full(3, np.nan), np.array([0.2])])
def test_summary_of_too_little_has_no_interval(ic: np.ndarray) -> None:
    """Fewer than two instants give NaN bounds."""
    summary = ic_summary(ic)
    assert math.isnan(summary.low)
    assert summary.n_instants == np.isfinite(ic).sum()


def test_by_month() -> None:
    """Instants are averaged within UTC months; months without one are absent."""
    days = np.array(["2016-01-04", "2016-01-29", "2016-02-01", "2016-04-01"], dtype="datetime64[ns]")
    ic = np.array([0.1, 0.3, np.nan, -0.5])
    assert ic_by_month(ic, days.astype(np.int64)) == pytest.approx({"2016-01": 0.2, "2016-04": -0.5})


def test_hit_rate_counts_only_what_has_a_sign() -> None:
    """Zeros and unknowns are no hits and no misses; nothing left is NaN."""
    scores = np.array([[1.0, -1.0, 0.0], [np.nan, 2.0, -3.0]])
    returns = np.array([[0.1, 0.1, 0.1], [0.1, 0.0, -0.2]])
    assert hit_rate(scores, returns) == pytest.approx(2 / 3)
    assert math.isnan(hit_rate(np.zeros(3), np.ones(3)))


def test_mismatched_shapes_are_refused() -> None:
    """Scores and returns must be panels of one shape."""
    with pytest.raises(DataError, match=r"\(2, 3\).*\(3, 2\)"):
        information_coefficient(np.zeros((2, 3)), np.zeros((3, 2)))
