"""Rolling statistics neither drift nor remember what has left the window."""

from __future__ import annotations

import math

import numba
import numpy as np

from trader.features.rolling import (
    HIGHEST_HEAD,
    MOMENTS,
    ROLLING_MOMENTS,
    ROLLING_SUM,
    exact_variance,
    highest_age,
    roll_exact_moments,
    roll_highest,
    roll_sum,
)


@numba.njit
def sums(x, window):
    mem = np.zeros(ROLLING_SUM + window)
    out = np.empty(x.size)
    for i in range(x.size):
        out[i] = roll_sum(mem, 0, window, x[i])
    return out


@numba.njit
def variances(x, window):
    mem = np.zeros(ROLLING_MOMENTS + window)
    out = np.full(x.size, np.nan)
    for i in range(x.size):
        if roll_exact_moments(mem, 0, window, x[i]):
            out[i] = exact_variance(mem, 0, MOMENTS, window, 1.0)
    return out


@numba.njit
def highest(x, window):
    mem = np.zeros(HIGHEST_HEAD + 2 * window)
    out = np.empty((x.size, 2))
    for i in range(x.size):
        out[i, 0] = roll_highest(mem, 0, window, x[i])
        out[i, 1] = highest_age(mem, 0, window)
    return out


def test_a_sum_does_not_drift():
    """After a million values of very different size, the sum of the last 50 is exact to the last digit but one."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=1_000_000) * 10.0 ** rng.integers(-6, 7, 1_000_000)
    window = x[-50:]
    assert abs(sums(x, 50)[-1] - math.fsum(window)) <= 4e-16 * np.abs(window).sum()


def test_an_outlier_leaves_no_trace():
    """A value of 1e12 among ones is forgotten once it has left: a plain running sum would keep 1e-4 of it."""
    x = np.full(500, 0.1)
    x[100] = 1e12
    np.testing.assert_allclose(sums(x, 20)[-1], 2.0, rtol=1e-15)


def test_variance_of_prices_does_not_cancel():
    """A spread of 1e-7 of the level, drifting over a million bars, is measured to nine digits."""
    rng = np.random.default_rng(2)
    x = 1e5 + 1e-2 * rng.normal(size=1_000_000)
    window = x[-30:] - x[-30]
    np.testing.assert_allclose(variances(x, 30)[-1], window.var(ddof=1), rtol=1e-9)


def test_variance_of_equal_values_is_zero():
    """However they are written in binary, equal values have no variance, also after others have left."""
    x = np.concatenate((np.random.default_rng(3).normal(50, 9, 300), np.full(40, 0.1)))
    assert variances(x, 30)[-1] == 0.0


def test_highest_and_its_age_by_brute_force():
    """The highest of each window and its age (the newest of equals) are those found by looking at all of it."""
    x = np.random.default_rng(4).integers(0, 12, 3000).astype(float)
    for window in (1, 2, 7, 64):
        found = highest(x, window)
        for end in range(window, x.size + 1):
            values = x[end - window : end]
            assert found[end - 1, 0] == values.max()
            assert found[end - 1, 1] == np.argmax(values[::-1])


def test_lowest_is_the_highest_of_negatives():
    """Negated values give the lowest, though memory starts at zero."""
    x = np.random.default_rng(5).random(200) + 1.0
    np.testing.assert_array_equal(-highest(-x, 10)[9:, 0], np.lib.stride_tricks.sliding_window_view(x, 10).min(axis=1))
