"""HAC and bootstrap tests against statsmodels, arch, closed forms and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from trader.core.errors import DataError
from trader.validation.experiments import (
    bartlett_lag,
    bootstrap_test,
    hac_test,
    long_run_variance,
    variance_inflation,
)


@pytest.fixture(scope="module")
def series(autoregression: Callable[..., np.ndarray]) -> np.ndarray:
    return 0.1 + autoregression(1, 400, seed=5)[0]


@pytest.mark.parametrize("lag", [0, 3, 12])
def test_long_run_variance_is_statsmodels(series: np.ndarray, lag: int) -> None:
    """The HAC covariance of a regression on a constant, over n."""
    from statsmodels.regression.linear_model import OLS

    fit = OLS(series, np.ones(400)).fit(cov_type="HAC", cov_kwds={"maxlags": lag})
    assert long_run_variance(series, lag) / 400 == pytest.approx(fit.cov_params()[0, 0])


def test_cosine_test_by_its_definition(series: np.ndarray) -> None:
    """Squared projections on the cosines, averaged, with as many degrees of freedom."""
    n, n_terms = 400, int(0.41 * 400 ** (2 / 3))
    time = (np.arange(n) + 0.5) / n
    terms = [math.sqrt(2 / n) * series @ np.cos(math.pi * j * time) for j in range(1, n_terms + 1)]
    error = math.sqrt(np.mean(np.square(terms)) / n)
    found = hac_test(series, null=0.02)
    assert found.degrees == n_terms
    assert found.statistic == pytest.approx((series.mean() - 0.02) / error)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.statistic), n_terms))
    assert found.high == pytest.approx(series.mean() + stats.t.isf(0.025, n_terms) * error)


def test_andrews_lag_by_hand(series: np.ndarray) -> None:
    """The plug-in of a first-order autoregression."""
    x = series - series.mean()
    rho = x[1:] @ x[:-1] / (x @ x)
    bandwidth = 1.1447 * (4 * rho**2 / (1 - rho**2) ** 2 * 400) ** (1 / 3)
    assert bartlett_lag(series) < bandwidth <= bartlett_lag(series) + 1


def test_variance_inflation_of_a_long_autoregression(autoregression: Callable[..., np.ndarray]) -> None:
    """AR(.6) makes four observations worth one."""
    assert variance_inflation(autoregression(1, 200_000, seed=3)[0]) == pytest.approx(4.0, rel=0.06)
    assert variance_inflation(np.random.default_rng(0).normal(size=50_000)) == pytest.approx(1.0, abs=0.03)


def test_false_positives_under_dependence(autoregression: Callable[..., np.ndarray]) -> None:
    """On AR(.6), n=500, the cosine kernel stays near 5 % where the usual one does not."""
    x = autoregression(800, 500, seed=6)
    cosine = np.mean([hac_test(row).p_value < 0.05 for row in x])
    bartlett = np.mean([hac_test(row, kernel="bartlett").p_value < 0.05 for row in x])
    assert cosine < 0.085
    assert cosine < bartlett < 0.16


def test_bootstrap_agrees_with_the_cosine_test(series: np.ndarray) -> None:
    """Interval and p-value are close where both are adequate; the interval is that of `bootstrap_interval`."""
    found, other = bootstrap_test(series, seed=1), hac_test(series)
    assert found.high - found.low == pytest.approx(other.high - other.low, rel=0.3)
    assert found.p_value == pytest.approx(other.p_value, abs=0.15)
    assert found == bootstrap_test(series, seed=1)
    assert bootstrap_test(series + 5.0, n_resamples=99).p_value == 0.01


def test_bootstrap_false_positives(autoregression: Callable[..., np.ndarray]) -> None:
    """On AR(.6), n=400, the stationary bootstrap rejects too often, but far less than a plain t test."""
    x = autoregression(60, 400, seed=9)
    rate = np.mean([bootstrap_test(row, n_resamples=199, block_length=20.0).p_value < 0.05 for row in x])
    assert rate < 0.25


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 20, [0.1] * 20])
def test_nothing_to_test(values: list[float]) -> None:
    """Short or constant series are undefined, not significant."""
    assert math.isnan(hac_test(values).p_value)
    assert math.isnan(hac_test(values, kernel="bartlett").p_value)
    assert math.isnan(variance_inflation(values))
    assert bartlett_lag(values) == 0


def test_bad_input_is_named(series: np.ndarray) -> None:
    """The argument, its value and what is allowed."""
    with pytest.raises(DataError, match="lag=400 is not allowed"):
        long_run_variance(series, 400)
    with pytest.raises(DataError, match="kernel='flat'"):
        hac_test(series, kernel="flat")
