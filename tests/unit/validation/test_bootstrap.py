"""The stationary bootstrap against arch, the closed form and simulated coverage."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.bootstrap import bootstrap_interval, optimal_block_length, stationary_indices
from trader.validation.sharpe import sharpe_ratio


def _autoregressive(phi: float, n: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    series = np.zeros(n)
    for t in range(1, n):
        series[t] = phi * series[t - 1] + noise[t]
    return series


@pytest.mark.parametrize("phi", [-0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [30, 250, 1760])
def test_block_length_is_that_of_arch(phi: float, n: int) -> None:
    """The automatic block length equals arch's, which is never raised to the least of 1 there."""
    from arch.bootstrap import optimal_block_length as oracle

    series = _autoregressive(phi, n, seed=n)
    expected = max(1.0, float(oracle(series)["stationary"].iloc[0]))
    assert optimal_block_length(series) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("series", [np.zeros(0), np.ones(3), np.full(50, 0.1)])
def test_block_length_of_nothing_is_one(series: np.ndarray) -> None:
    """Short or constant series have no dependence to keep."""
    assert optimal_block_length(series) == 1.0


def test_block_length_of_rare_events_is_finite() -> None:
    """A series that is still for all but a few values has no autocorrelation there, and gives no warning."""
    series = np.zeros(20)
    series[:3] = 0.7, 0.7, -0.3
    assert 1.0 <= optimal_block_length(series) <= 7.0


def test_blocks_are_geometric_and_contiguous() -> None:
    """Positions follow each other but for a share 1/length of fresh starts; the end wraps to the beginning."""
    indices = stationary_indices(100, 8.0, 3000, np.random.default_rng(0))
    steps = (indices[:, 1:] - indices[:, :-1]) % 100
    assert indices.min() == 0
    assert indices.max() == 99
    # A fresh start falls on the next position by chance in one of a hundred cases.
    assert np.mean(steps != 1) == pytest.approx(0.99 / 8.0, rel=0.02)


def test_every_position_is_equally_likely() -> None:
    """Wrapping makes the bootstrap mean unbiased: no position is drawn less than others."""
    indices = stationary_indices(20, 5.0, 20_000, np.random.default_rng(1))
    share = np.bincount(indices.ravel()) / indices.size
    assert share == pytest.approx(np.full(20, 1 / 20), rel=0.03)


def test_interval_of_a_mean_is_the_normal_one() -> None:
    """For independent data the interval of the mean is mean ± 1.96 standard errors."""
    data = np.random.default_rng(2).normal(1.0, 2.0, size=1000)
    low, high = bootstrap_interval(np.mean, data, 0.95, 4000, seed=0, block_length=1.0)
    reach = 1.96 * data.std() / math.sqrt(1000)
    assert (low, high) == pytest.approx((data.mean() - reach, data.mean() + reach), abs=0.1 * reach)


def test_interval_covers_the_truth_of_dependent_data() -> None:
    """90 % intervals of an AR(1) mean cover 0 in about 90 % of simulations; blocks of one cover far less."""

    def coverage(block_length: float | None) -> float:
        hits = 0
        for seed in range(150):
            low, high = bootstrap_interval(np.mean, _autoregressive(0.7, 300, seed), 0.9, 200, seed, block_length)
            hits += low <= 0.0 <= high
        return hits / 150

    assert 0.78 <= coverage(None) <= 0.97
    assert coverage(1.0) < 0.65


def test_series_are_drawn_together() -> None:
    """Two equal columns stay equal in every resample."""
    data = np.random.default_rng(3).normal(size=(200, 1)).repeat(2, axis=1)
    interval = bootstrap_interval(lambda pair: float(np.abs(pair[:, 0] - pair[:, 1]).max()), data, n_resamples=50)
    assert interval == (0.0, 0.0)


def test_seed_decides() -> None:
    """Equal seeds give equal intervals, others do not."""
    data = np.random.default_rng(4).normal(size=300)
    assert bootstrap_interval(np.mean, data, seed=1) == bootstrap_interval(np.mean, data, seed=1)
    assert bootstrap_interval(np.mean, data, seed=1) != bootstrap_interval(np.mean, data, seed=2)


def test_undefined_statistics_give_nan() -> None:
    """Too little data, or a statistic that is never defined, give NaN bounds."""
    assert all(math.isnan(bound) for bound in bootstrap_interval(np.mean, np.ones(1)))
    assert all(math.isnan(bound) for bound in bootstrap_interval(sharpe_ratio, np.ones(50), n_resamples=20))


def test_sharpe_interval_of_seven_years_takes_half_a_second() -> None:
    """1,760 days and 2,000 resamples: at most 0.5 s of CPU time."""
    data = np.random.default_rng(5).normal(0.0004, 0.01, size=1760)
    started = time.process_time()
    low, high = bootstrap_interval(lambda sample: sharpe_ratio(sample, 252), data, 0.95, 2000, seed=0)
    assert time.process_time() - started < 0.5
    assert low < sharpe_ratio(data, 252) < high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"level": 1.0}, "level=1.0"), ({"n_resamples": 0}, "n_resamples=0"), ({"block_length": 0.5}, "block_length=0.5")],
)
def test_bad_arguments_are_named(arguments: dict[str, float], message: str) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=message):
        bootstrap_interval(np.mean, np.arange(10.0), **arguments)
