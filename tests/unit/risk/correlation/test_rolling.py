"""Rolling and live correlations beside pandas, numpy and the formula itself."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.correlation.monitor import CorrelationMonitor, read_matrix
from risk.correlation.rolling import matrix_of, pair_indices, rolling_correlations, rolling_means
from trader.core.errors import DataError

NAMES = tuple("ABCDEF")


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    rng = np.random.default_rng(3)
    return 0.01 * rng.standard_t(3, (400, 6)) + 0.01 * rng.standard_t(3, (400, 1)) + 0.002


def test_as_pandas(returns: np.ndarray) -> None:
    """Within 1e-10 of the rolling correlations of pandas, pair by pair."""
    ours = rolling_correlations(returns, 60)
    cube = pd.DataFrame(returns).rolling(60).corr().to_numpy().reshape(400, 6, 6)
    first, second = pair_indices(6)
    np.testing.assert_allclose(ours, cube[59:, first, second], atol=1e-10)
    np.testing.assert_allclose(rolling_means(returns, 60), ours.mean(axis=1), atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    window=st.integers(3, 40),
    level=st.sampled_from([0.0, 1.0, 1e4, -1e6]),
    outlier=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
)
def test_outliers_and_levels_leave_nothing_behind(seed: int, window: int, level: float, outlier: float) -> None:
    """Each window equals two-pass correlations of its own rows, whatever level it is on and whatever was before it."""
    rng = np.random.default_rng(seed)
    values = level + 0.01 * rng.normal(size=(120, 4))
    values[rng.integers(0, 120, 2)] += outlier
    found = rolling_correlations(values, window)
    first, second = pair_indices(4)
    for k in range(len(found)):
        expected = np.corrcoef(values[k : k + window].T)[first, second]
        np.testing.assert_allclose(found[k], expected, atol=1e-8, rtol=0)


def test_a_series_that_jumps_and_then_hardly_moves() -> None:
    """A move of 1 followed by moves of 1e-9: the tiny ones still have their own correlation."""
    rng = np.random.default_rng(1)
    values = 1e-9 * rng.normal(size=(90, 2))
    values[:20, 0] += 1.0
    found = rolling_correlations(values, 30)[25]
    assert found[0] == pytest.approx(np.corrcoef(values[25:55].T)[0, 1], abs=1e-6)


def test_a_constant_series_has_no_correlation(returns: np.ndarray) -> None:
    """NaN in the windows in which it stands still, and only for its own pairs; known again afterwards."""
    values = returns[:200].copy()
    values[50:120, 2] = 0.1234567
    found = rolling_correlations(values, 30)
    first, second = pair_indices(6)
    own = (first == 2) | (second == 2)
    still = slice(50, 91)
    assert np.isnan(found[still][:, own]).all()
    assert np.isfinite(found[still][:, ~own]).all()
    assert np.isfinite(found[:50]).all()
    assert np.isfinite(found[91:]).all()
    assert np.isfinite(rolling_means(values, 30)).all()


def test_live_equals_batch_to_the_bit_across_a_restart(returns: np.ndarray) -> None:
    """Row by row, with the state written as JSON and read in the middle of a block."""
    batch = rolling_correlations(returns[:150], 40)
    monitor = CorrelationMonitor(NAMES, 40)
    for t in range(150):
        if t == 97:
            written = json.dumps(monitor.state())
            monitor = CorrelationMonitor(NAMES, 40)
            monitor.restore(json.loads(written))
        pairs = monitor.update(returns[t])
        if t < 39:
            assert np.isnan(pairs).all()
        else:
            assert (pairs == batch[t - 39]).all()
    assert monitor.n_seen == 150
    assert monitor.pair("B", "A") == batch[-1][0]


def test_exponential_weights(returns: np.ndarray) -> None:
    """The weighted sums written out, after a restart."""
    monitor = CorrelationMonitor(NAMES, decay=0.97)
    monitor.extend(returns[:100])
    other = CorrelationMonitor(NAMES, decay=0.97)
    other.restore(json.loads(json.dumps(monitor.state())))
    other.extend(returns[100:])
    weights = 0.97 ** np.arange(399, -1, -1)
    moments = (returns * weights[:, None]).T @ returns
    scale = np.sqrt(np.diag(moments))
    np.testing.assert_allclose(other.matrix(), moments / np.outer(scale, scale), atol=1e-12)


def test_a_reading_of_equal_correlations() -> None:
    """Closed forms: eigenvalues 1 + (n - 1) rho and 1 - rho."""
    n, rho = 10, 0.4
    reading = read_matrix(np.full((n, n), rho) + (1 - rho) * np.eye(n), [str(i) for i in range(n)])
    shares = np.array([1 + (n - 1) * rho, *[1 - rho] * (n - 1)]) / n
    assert reading.mean == pytest.approx(rho)
    assert reading.largest_share == pytest.approx(shares[0])
    assert reading.effective_rank == pytest.approx(np.prod(shares**-shares))
    assert reading.diversification_ratio == pytest.approx(np.sqrt(n / (1 + (n - 1) * rho)))
    identity = read_matrix(np.eye(4), "ABCD")
    assert identity.effective_rank == pytest.approx(4.0)
    assert identity.diversification_ratio == pytest.approx(2.0)


def test_a_reading_names_what_stands_still() -> None:
    """Constant assets are left out and named; fewer than two that vary leave NaN."""
    reading = read_matrix(matrix_of(np.array([0.5, np.nan, np.nan]), 3), "ABC")
    assert (reading.n_assets, reading.mean) == (2, 0.5)
    assert reading.warnings == ("C did not vary; left out",)
    assert np.isnan(CorrelationMonitor("AB").reading().mean)


def test_errors_name_what_is_allowed(returns: np.ndarray) -> None:
    for call, match in (
        (lambda: rolling_correlations(returns, 2), "window=2"),
        (lambda: rolling_correlations(returns[:10], 60), "3 to 10"),
        (lambda: rolling_correlations(returns[:, :1]), "2 or more assets"),
        (lambda: rolling_correlations([[0.0, np.nan]] * 5, 3), "NaN"),
        (lambda: CorrelationMonitor("A"), "2 or more"),
        (lambda: CorrelationMonitor("AB", 2), "window=2"),
        (lambda: CorrelationMonitor("AB", decay=1.0), "decay=1.0"),
        (lambda: CorrelationMonitor("AB").update(np.array([0.1, np.nan])), "finite"),
        (lambda: CorrelationMonitor("AB").update(np.zeros(3)), "2 finite"),
        (lambda: CorrelationMonitor("AB").pair("A", "C"), "'C'"),
        (lambda: CorrelationMonitor("AB").restore(CorrelationMonitor("AC").state()), "state is of"),
        (lambda: CorrelationMonitor("AB", 5).restore(CorrelationMonitor("AB", 6).state()), "rows"),
    ):
        with pytest.raises(DataError, match=match):
            call()
