"""The deflated Sharpe ratio of searches: published and simulated trials, and how many are independent."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.sharpe import deflated_sharpe, expected_maximum_sharpe, probabilistic_sharpe, sharpe_ratio
from trader.validation.trials import (
    average_correlation_trials,
    cluster_trials,
    deflate_search,
    deflate_sharpe,
)


def _families(n_periods: int, n_families: int, n_each: int, correlation: float, seed: int) -> np.ndarray:
    """Worthless trials of which those of one family are correlated."""
    rng = np.random.default_rng(seed)
    ideas = np.repeat(rng.normal(size=(n_periods, n_families)), n_each, axis=1)
    own = rng.normal(size=(n_periods, n_families * n_each))
    return 0.01 * (math.sqrt(correlation) * ideas + math.sqrt(1 - correlation) * own)


def test_it_agrees_with_skfolio() -> None:
    """An independent implementation on the same trials gives the same, but for its estimators of moments."""
    from skfolio.measures import deflated_sharpe_ratio

    rng = np.random.default_rng(0)
    returns = 0.0008 + 0.01 * rng.standard_t(4, size=900)
    sharpes = rng.normal(0.0, 0.03, size=40)
    found = deflate_sharpe(returns, sharpes)
    assert found.probability == pytest.approx(float(deflated_sharpe_ratio(returns, sharpes)), abs=2e-3)
    assert found.probability == deflated_sharpe(returns, 40, trials_variance=float(sharpes.var(ddof=1)))
    assert found.benchmark == expected_maximum_sharpe(40, found.variance)
    assert found.sharpe == sharpe_ratio(returns)


def test_published_benchmark() -> None:
    """Bailey and López de Prado (2014): trials with a variance of 1/2 a year, 100 of them: 0.1132 a day."""
    sharpes = np.random.default_rng(1).normal(size=100)
    sharpes *= math.sqrt(0.5 / 250) / sharpes.std(ddof=1)
    found = deflate_sharpe(np.random.default_rng(2).normal(size=500), sharpes)
    assert found.benchmark == pytest.approx(0.1132, abs=5e-5)


def test_failed_trials_still_count() -> None:
    """A trial without a Sharpe ratio was tried all the same; it has no part in the variance."""
    returns = np.random.default_rng(3).normal(0.05, 1.0, size=500)
    sharpes = np.random.default_rng(4).normal(0.0, 0.05, size=20)
    found = deflate_sharpe(returns, np.append(sharpes, [np.nan] * 10))
    assert (found.n_trials, found.n_effective) == (30, 30.0)
    assert found.variance == pytest.approx(sharpes.var(ddof=1))
    assert found.probability < deflate_sharpe(returns, sharpes).probability


def test_one_trial_deflates_nothing() -> None:
    """Against 0, with the sampling variance in place of one that cannot be known."""
    returns = np.random.default_rng(5).normal(0.05, 1.0, size=500)
    found = deflate_sharpe(returns, np.array([0.05]))
    assert found.benchmark == 0.0
    assert found.probability == probabilistic_sharpe(returns)
    assert found.variance == 1 / 499


@pytest.mark.parametrize(("n_families", "n_each"), [(4, 10), (10, 5), (3, 3)])
def test_families_are_found(n_families: int, n_each: int) -> None:
    """Variants of one idea are one cluster."""
    labels = cluster_trials(_families(750, n_families, n_each, 0.8, seed=n_each))
    truth = np.repeat(np.arange(n_families), n_each)
    assert np.unique(labels).size == n_families
    assert np.unique(np.stack([labels, truth]), axis=1).shape[1] == n_families


def test_unlike_trials_are_all_different() -> None:
    """Independent trials are not clustered, and opposite ones are not alike."""
    noise = np.random.default_rng(7).normal(size=(750, 12))
    assert np.unique(cluster_trials(noise)).size == 12
    assert np.unique(cluster_trials(np.hstack([noise[:, :2], -noise[:, :2]]))).size == 4
    assert np.unique(cluster_trials(noise[:, :2])).size == 2
    assert cluster_trials(noise[:, :1]).tolist() == [0]


def test_what_counts_as_alike_can_be_chosen() -> None:
    """Variants with a correlation of .6 are one idea by default, and three where only .9 is alike."""
    returns = _families(750, 2, 3, 0.6, seed=0)
    assert np.unique(cluster_trials(returns)).size == 2
    assert np.unique(cluster_trials(returns, alike=0.9)).size == 6
    with pytest.raises(DataError, match=r"alike=1\.5"):
        cluster_trials(returns, alike=1.5)


def test_deflation_is_right_for_families() -> None:
    """The best of 5 families of 12 is above its benchmark half of the time; counting 60 is too hard on it."""
    found = [deflate_search(_families(500, 5, 12, 0.9, seed)) for seed in range(60)]
    assert {result.n_trials for result in found} == {60}
    assert np.median([result.n_effective for result in found]) == 5
    clustered = np.mean([result.probability for result in found])
    every = np.mean(
        [deflated_sharpe(max(_families(500, 5, 12, 0.9, seed).T, key=sharpe_ratio), 60) for seed in range(60)]
    )
    assert 0.4 < clustered < 0.7
    assert every < clustered - 0.1


def test_the_chosen_trial_can_be_named() -> None:
    """By default the best is judged; another one if it is named."""
    returns = _families(300, 2, 3, 0.5, seed=1)
    sharpes = [sharpe_ratio(trial) for trial in returns.T]
    assert deflate_search(returns).sharpe == max(sharpes)
    assert deflate_search(returns, chosen=4).sharpe == sharpes[4]


@pytest.mark.parametrize(("correlation", "expected"), [(0.0, 40.0), (0.5, 20.5), (1.0, 1.0)])
def test_average_correlation_rule(correlation: float, expected: float) -> None:
    """Forty trials of one family: between one and forty independent ones."""
    returns = _families(20_000, 1, 40, correlation, seed=3)
    assert average_correlation_trials(returns) == pytest.approx(expected, rel=0.05)


def test_trials_that_never_traded_are_of_a_kind() -> None:
    """Flat trials are alike and unlike all others; one trial is one."""
    returns = np.hstack([np.random.default_rng(8).normal(size=(400, 1)), np.zeros((400, 3))])
    labels = cluster_trials(returns)
    assert np.unique(labels[1:]).size == 1
    assert labels[0] != labels[1]
    assert average_correlation_trials(returns[:, :1]) == 1.0


def test_result_is_ready_for_json() -> None:
    """Plain values, undefined ones null."""
    content = deflate_sharpe(np.ones(9), np.array([0.1, 0.2])).to_dict()
    assert json.loads(json.dumps(content))["probability"] is None


@pytest.mark.parametrize("n_effective", [0.5, 3.0])
def test_bad_effective_numbers_are_named(n_effective: float) -> None:
    """It lies between one and the number of trials."""
    with pytest.raises(DataError, match=f"n_effective={n_effective}"):
        deflate_sharpe(np.arange(9.0), np.array([0.1, 0.2]), n_effective=n_effective)


def test_bad_trials_are_refused() -> None:
    """Shapes and values that cannot be."""
    with pytest.raises(DataError, match=r"trial_sharpes have shape \(0,\)"):
        deflate_sharpe(np.arange(9.0), np.zeros(0))
    with pytest.raises(DataError, match="not finite"):
        cluster_trials(np.full((9, 4), np.nan))
    with pytest.raises(DataError, match=r"returns have shape \(9,\)"):
        average_correlation_trials(np.zeros(9))
    with pytest.raises(DataError, match="no trial has a Sharpe ratio"):
        deflate_search(np.zeros((9, 4)))
