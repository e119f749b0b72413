"""Concurrency, uniqueness, attribution and decay against plain loops and the examples of the book."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trader.core.errors import DataError
from trader.models.labels import (
    average_uniqueness,
    concurrency,
    return_attribution,
    sample_weights,
    time_decay,
    vertical_touch,
)


def _labels(seed: int, n: int = 120, m: int = 2, delay: int = 1) -> np.ndarray:
    """Touches 1 to 8 bars after the entry, with holes."""
    rng = np.random.default_rng(seed)
    touch = np.arange(n)[:, None] + delay + rng.integers(1, 9, (n, m))
    return np.where((touch < n) & (rng.random((n, m)) > 0.3), touch, -1)


def _bars(touch: np.ndarray, delay: int) -> dict[tuple[int, int], range]:
    """The bars of every label, by instant and symbol."""
    cells = np.argwhere(touch >= 0)
    return {(t, s): range(t + delay + 1, touch[t, s] + 1) for t, s in cells}


@pytest.fixture(params=[(0, 0), (1, 1), (2, 3)])
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, int]:
    seed, delay = request.param
    return _labels(seed, delay=delay), delay


def test_concurrency_counts_labels(case: tuple[np.ndarray, int]) -> None:
    """Every bar is counted once a label of the same symbol that holds it."""
    touch, delay = case
    expected = np.zeros(touch.shape, int)
    for (_, s), bars in _bars(touch, delay).items():
        expected[list(bars), s] += 1
    assert np.array_equal(concurrency(touch, delay), expected)


def test_uniqueness_is_the_mean_share_of_a_bar(case: tuple[np.ndarray, int]) -> None:
    """One over the concurrency, averaged over the label's bars."""
    touch, delay = case
    counts = concurrency(touch, delay)
    expected = np.full(touch.shape, np.nan)
    for (t, s), bars in _bars(touch, delay).items():
        expected[t, s] = np.mean([1 / counts[i, s] for i in bars])
    assert average_uniqueness(touch, delay) == pytest.approx(expected, nan_ok=True)


def test_the_books_example_of_uniqueness() -> None:
    """Labels of bars 0-2, 2-3 and 4-5: 5/6, 3/4 and 1 (López de Prado 2018, section 4.5.3)."""
    # A bar later, for with delay 0 a label begins on the bar after its instant.
    touch = np.array([3, -1, 4, -1, 6, -1, -1])[:, None]
    assert concurrency(touch, delay=0)[:, 0].tolist() == [0, 1, 1, 2, 1, 1, 1]
    assert average_uniqueness(touch, delay=0)[[0, 2, 4], 0] == pytest.approx([5 / 6, 3 / 4, 1.0])


def test_fixed_horizons_share_each_bar_horizon_times() -> None:
    """Daily labels of five bars: in the middle every bar serves five of them, and uniqueness is a fifth."""
    touch = vertical_touch(np.arange(100)[:, None] < 94, horizon=5)
    assert touch[0, 0] == 6
    assert (touch[94:] == -1).all()
    assert average_uniqueness(touch)[20:70, 0] == pytest.approx(np.full(50, 0.2))


def test_attribution_is_the_books_formula(case: tuple[np.ndarray, int]) -> None:
    """The absolute sum of log returns over concurrency (snippet 4.10), scaled to a mean of one."""
    touch, delay = case
    closes = np.exp(np.cumsum(0.01 * np.random.default_rng(5).normal(size=touch.shape), axis=0))
    closes[40:43, 0] = np.nan
    returns = np.log(pd.DataFrame(closes).ffill()).diff().fillna(0.0).to_numpy()
    counts = concurrency(touch, delay)
    expected = np.full(touch.shape, np.nan)
    for (t, s), bars in _bars(touch, delay).items():
        expected[t, s] = abs(sum(returns[i, s] / counts[i, s] for i in bars))
    found = return_attribution(closes, touch, delay)
    assert found == pytest.approx(expected / np.nanmean(expected), nan_ok=True)
    assert np.nanmean(found) == pytest.approx(1.0)


@pytest.mark.parametrize("oldest", [1.0, 0.75, 0.5, 0.0, -0.25, -0.5])
def test_decay_is_the_books_snippet(oldest: float) -> None:
    """Snippet 4.11 of the book, on the labels of one symbol."""
    uniqueness = pd.Series(np.random.default_rng(1).random(30))
    weights = uniqueness.sort_index().cumsum()
    slope = (1.0 - oldest) / weights.iloc[-1] if oldest >= 0 else 1.0 / ((oldest + 1) * weights.iloc[-1])
    const = 1.0 - slope * weights.iloc[-1]
    weights = const + slope * weights
    weights[weights < 0] = 0
    found = time_decay(uniqueness.to_numpy()[:, None], oldest)[:, 0]
    assert found == pytest.approx(weights.to_numpy(), abs=1e-12)


def test_labels_of_an_instant_are_equally_old() -> None:
    """Symbols share the clock of decay, and a missing label has no factor."""
    uniqueness = average_uniqueness(_labels(3), delay=1)
    decay = time_decay(uniqueness, 0.2)
    for row, known in zip(decay, np.isfinite(uniqueness), strict=True):
        assert np.unique(row[known]).size <= 1
        assert np.isnan(row[~known]).all()


def test_sample_weights_are_ready_to_fit_with() -> None:
    """Mean one over the labels, zero elsewhere, in proportion to uniqueness or attribution times decay."""
    touch = _labels(4)
    closes = np.exp(np.cumsum(0.01 * np.random.default_rng(6).normal(size=touch.shape), axis=0))
    known = touch >= 0
    for weights, base in (
        (sample_weights(touch, oldest=0.5), average_uniqueness(touch)),
        (sample_weights(touch, closes=closes, oldest=0.5), return_attribution(closes, touch)),
    ):
        expected = base * time_decay(average_uniqueness(touch), 0.5)
        assert weights[known].mean() == pytest.approx(1.0)
        assert (weights[~known] == 0).all()
        assert weights[known] == pytest.approx(expected[known] / np.nanmean(expected))


def test_prices_that_stand_still_weigh_labels_alike() -> None:
    """There is nothing to attribute."""
    touch = _labels(5)
    assert (return_attribution(np.ones(touch.shape), touch)[touch >= 0] == 1.0).all()


def test_no_labels_no_weights() -> None:
    """A panel without a label has zero weights and no factor."""
    touch = np.full((5, 2), -1)
    assert not sample_weights(touch).any()
    assert np.isnan(average_uniqueness(touch)).all()


@pytest.mark.parametrize("touch", [[1, -1, -1], [5, -1, -1]])
def test_touches_outside_are_refused(touch: list[int]) -> None:
    """A label ends after its entry and inside the panel."""
    with pytest.raises(DataError, match="touch must lie after the entry, 1 bars after"):
        concurrency(np.array(touch)[:, None])


def test_bad_decay_is_named() -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=r"oldest=-1\.0"):
        time_decay(np.ones((3, 1)), -1.0)
