"""The sequential bootstrap against the book's example, a plain loop and simulation."""

from __future__ import annotations

import time

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.models.labels import draw_probabilities, sequential_bootstrap


def test_the_books_example() -> None:
    """López de Prado (2018), section 4.5.3: after the second label the chances are 5/14, 3/14 and 6/14."""
    first, last = np.array([0, 2, 4]), np.array([2, 3, 5])
    assert draw_probabilities(first, last, np.array([], int)) == pytest.approx([1 / 3] * 3)
    assert draw_probabilities(first, last, np.array([1])) == pytest.approx([5 / 14, 3 / 14, 6 / 14])


def test_draws_follow_the_chances_of_a_plain_loop() -> None:
    """The same uniform numbers and the chances from scratch after every draw give the same labels."""
    rng = np.random.default_rng(2)
    first = rng.integers(0, 40, 60)
    last = first + rng.integers(0, 9, 60)
    order = np.argsort(first, kind="stable")
    drawn: list[int] = []
    for uniform in np.random.default_rng(9).random(60):
        chances = draw_probabilities(first, last, np.array(drawn, int))[order]
        drawn.append(int(order[np.searchsorted(np.cumsum(chances), uniform, side="right")]))
    assert sequential_bootstrap(first, last, seed=9).tolist() == drawn


def _mean_uniqueness(first: np.ndarray, last: np.ndarray, drawn: np.ndarray) -> float:
    covered = np.zeros(last.max() + 1)
    for label in drawn:
        covered[first[label] : last[label] + 1] += 1
    return float(np.mean([np.mean(1 / covered[first[i] : last[i] + 1]) for i in drawn]))


def test_samples_are_more_unique_than_those_of_the_plain_bootstrap() -> None:
    """The book's experiment: ten labels of up to five bars in a hundred draws, .7 against .6 on average."""
    rng = np.random.default_rng(0)
    sequential, plain = [], []
    for seed in range(300):
        first = rng.integers(0, 100, 10)
        last = first + rng.integers(1, 5, 10)
        sequential.append(_mean_uniqueness(first, last, sequential_bootstrap(first, last, seed=seed)))
        plain.append(_mean_uniqueness(first, last, rng.integers(0, 10, 10)))
    assert np.mean(sequential) > np.mean(plain) + 0.05


def test_seed_decides() -> None:
    """Equal seeds draw the same labels, others do not; as many as asked for."""
    first = np.arange(50)
    last = first + 4
    assert np.array_equal(sequential_bootstrap(first, last, seed=1), sequential_bootstrap(first, last, seed=1))
    assert not np.array_equal(sequential_bootstrap(first, last, seed=1), sequential_bootstrap(first, last, seed=2))
    assert sequential_bootstrap(first, last, seed=1, n_draws=7).shape == (7,)


def test_five_thousand_labels_take_a_second() -> None:
    """Only labels near the one drawn change."""
    first = np.arange(5000)
    sequential_bootstrap(first[:10], first[:10] + 2, seed=0)  # compiles
    started = time.process_time()
    sequential_bootstrap(first, first + 10, seed=0)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(("first", "last"), [([0, 3], [2, 2]), ([-1], [0]), ([], [])])
def test_bad_spans_are_refused(first: list[int], last: list[int]) -> None:
    """Labels end no earlier than they begin, and there is at least one."""
    with pytest.raises(DataError, match="label"):
        sequential_bootstrap(np.array(first, int), np.array(last, int), seed=0)
