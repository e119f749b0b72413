"""Sharpe statistics against published examples, another library and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.sharpe import (
    deflated_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
    sharpe_confidence,
    sharpe_ratio,
)


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    return 0.0006 + 0.01 * np.random.default_rng(3).standard_t(4, size=900)


def test_published_deflated_sharpe() -> None:
    """Bailey and López de Prado (2014): SR 2.5 a year, 1,250 days, skew -3, kurtosis 10, 100 trials: 0.9004."""
    benchmark = expected_maximum_sharpe(100, 0.5 / 250)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    found = sharpe_confidence(2.5 / math.sqrt(250), 1250, skewness=-3, kurtosis=10, benchmark=benchmark)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_published_deflated_sharpe_with_fewer_trials() -> None:
    """The same paper: with 46 trials the same strategy passes at 0.9505."""
    benchmark = expected_maximum_sharpe(46, 0.5 / 250)
    found = sharpe_confidence(2.5 / math.sqrt(250), 1250, skewness=-3, kurtosis=10, benchmark=benchmark)
    assert found == pytest.approx(0.9505, abs=5e-4)


def test_probabilistic_sharpe_agrees_with_skfolio(returns: np.ndarray) -> None:
    """An independent implementation gives the same probability but for its choice of moment estimators."""
    from skfolio.measures import probabilistic_sharpe_ratio

    assert probabilistic_sharpe(returns) == pytest.approx(float(probabilistic_sharpe_ratio(returns)), abs=2e-3)
    assert probabilistic_sharpe(returns, 0.05) == pytest.approx(
        float(probabilistic_sharpe_ratio(returns, benchmark_sharpe_ratio=0.05)), abs=2e-3
    )


def test_deflated_sharpe_agrees_with_skfolio(returns: np.ndarray) -> None:
    """Given the trials' Sharpe ratios, the deflated one is skfolio's."""
    from skfolio.measures import deflated_sharpe_ratio

    trials = np.random.default_rng(0).normal(0.0, 0.03, size=40)
    expected = float(deflated_sharpe_ratio(returns, trials))
    assert deflated_sharpe(returns, 40, trials_variance=float(trials.var(ddof=1))) == pytest.approx(expected, abs=2e-3)


def test_expected_maximum_is_that_of_simulated_trials() -> None:
    """The formula is within 2 % of the mean maximum of 200 normal trials."""
    best = np.random.default_rng(1).normal(0.0, 0.1, size=(4000, 200)).max(axis=1)
    assert expected_maximum_sharpe(200, 0.01) == pytest.approx(best.mean(), rel=0.02)


def test_deflated_sharpe_of_the_best_of_many_is_uncertain() -> None:
    """The best of 100 worthless strategies looks certain on its own and is not once deflated."""
    rng = np.random.default_rng(5)
    trials = rng.normal(0.0, 0.01, size=(200, 100, 500))
    best = np.array([max(batch, key=sharpe_ratio) for batch in trials])
    naive = np.mean([probabilistic_sharpe(series) for series in best])
    deflated = np.mean([deflated_sharpe(series, 100) for series in best])
    assert naive > 0.98
    assert 0.4 < deflated < 0.6


def test_one_trial_deflates_nothing(returns: np.ndarray) -> None:
    """With a single trial the deflated Sharpe ratio is the probabilistic one."""
    assert deflated_sharpe(returns, 1) == probabilistic_sharpe(returns)


def test_sharpe_ratio_by_hand_and_annualised() -> None:
    """Mean 2, standard deviation 1 (n - 1), times the root of the periods."""
    assert sharpe_ratio(np.array([1.0, 2.0, 3.0]), periods_per_year=4) == pytest.approx(4.0)


def test_nan_periods_are_left_out(returns: np.ndarray) -> None:
    """Unknown returns change nothing."""
    holed = np.insert(returns, [3, 400], np.nan)
    assert sharpe_ratio(holed) == sharpe_ratio(returns)
    assert deflated_sharpe(holed, 10) == deflated_sharpe(returns, 10)


@pytest.mark.parametrize("still", [np.zeros(0), np.zeros(1), np.zeros(9), np.full(9, 0.1)])
def test_undefined_ratios_are_nan(still: np.ndarray) -> None:
    """Too short or constant returns have no Sharpe ratio, and no probability."""
    assert math.isnan(sharpe_ratio(still))
    assert math.isnan(probabilistic_sharpe(still))
    assert math.isnan(deflated_sharpe(still, 3))


@pytest.mark.parametrize(("n_trials", "variance", "name"), [(0, 1.0, "n_trials=0"), (2, -1.0, "variance=-1.0")])
def test_bad_trials_are_named(n_trials: float, variance: float, name: str) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=name):
        expected_maximum_sharpe(n_trials, variance)
