"""Combinatorial purged folds against skfolio's, and against every price of every label."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.combinatorial import CombinatorialFold, CombinatorialPurged


@pytest.mark.parametrize(("n_groups", "n_test"), [(6, 2), (5, 3), (10, 8)])
@pytest.mark.parametrize(("horizon", "delay", "embargo"), [(1, 0, 0), (3, 1, 0), (2, 1, 4)])
def test_folds_and_paths_are_those_of_skfolio(
    n_groups: int, n_test: int, horizon: int, delay: int, embargo: int
) -> None:
    """Its purge of `delay + horizon` on both sides and embargo after give the same sets and the same paths."""
    from skfolio.model_selection import CombinatorialPurgedCV

    n = 20 * n_groups + 7
    ours = CombinatorialPurged(n_groups, n_test, horizon, embargo, delay)
    theirs = CombinatorialPurgedCV(n_groups, n_test, purged_size=delay + horizon, embargo_size=embargo)
    assert (ours.n_splits, ours.n_paths) == (theirs.n_splits, theirs.n_test_paths)
    path_ids = theirs.get_path_ids()
    folds = list(ours.split(n))
    for number, (fold, (train, tests)) in enumerate(zip(folds, theirs.split(np.zeros((n, 1))), strict=True)):
        assert np.array_equal(fold.train, train)
        assert all(np.array_equal(own, other) for own, other in zip(fold.tests, tests, strict=True))
        assert fold.paths == tuple(path_ids[number])


def test_the_books_example_has_fifteen_splits_and_five_paths() -> None:
    """López de Prado (2018), section 12.4: six groups, two of them tested."""
    splitter = CombinatorialPurged(6, 2, horizon=1)
    assert (splitter.n_splits, splitter.n_paths) == (15, 5)


@pytest.mark.parametrize("n_groups", [3, 8])
@pytest.mark.parametrize("n_test", [1, 2])
@pytest.mark.parametrize(("horizon", "delay", "embargo"), [(1, 0, 0), (4, 1, 3), (40, 2, 5)])
def test_no_label_shares_a_price_with_a_test_label(
    n_groups: int, n_test: int, horizon: int, delay: int, embargo: int
) -> None:
    """All prices of all labels, one by one, even where the purge is longer than a group."""
    n = 280
    for fold in CombinatorialPurged(n_groups, n_test, horizon, embargo, delay).split(n):
        tested = np.concatenate(fold.tests)
        prices = {t + step for t in tested for step in range(delay + horizon + 1)}
        forbidden = set(tested) | {t for t in range(n) if prices & set(range(t, t + delay + horizon + 1))}
        last_prices = {max(test) + delay + horizon for test in fold.tests}
        after = {price + k for price in last_prices for k in range(1, embargo + 1)}
        assert not (forbidden | after) & set(fold.train)
        # Nothing is thrown away without a reason; embargoes count only behind the last of adjacent groups.
        ends = {max(test) + 1 for test in fold.tests} - {min(test) for test in fold.tests}
        behind = {end - 1 + delay + horizon + k for end in ends for k in range(1, embargo + 1)}
        assert set(fold.train) == set(range(n)) - forbidden - behind


def test_every_path_covers_the_history_once_out_of_sample() -> None:
    """Predictions that name their split fill every path without a hole, each group by another split a path."""
    splitter = CombinatorialPurged(5, 2, horizon=1)
    numbers = iter(range(splitter.n_splits))

    def predict(fold: CombinatorialFold) -> np.ndarray:
        tested = np.concatenate(fold.tests)
        return np.stack([tested, np.full(tested.size, next(numbers))], axis=1).astype(float)

    paths = splitter.paths(53, predict)
    assert paths.shape == (4, 53, 2)
    assert np.array_equal(paths[:, :, 0], np.tile(np.arange(53.0), (4, 1)))
    for instant in range(53):
        assert np.unique(paths[:, instant, 1]).size == 4


def test_paths_of_a_memorising_model_are_noise() -> None:
    """A model that remembers the labels it saw knows nothing of test labels: their overlap has been purged."""
    rng = np.random.default_rng(0)
    returns = rng.normal(size=500)
    labels = np.array([returns[t + 2 : t + 5].sum() for t in range(495)])

    def nearest(fold: CombinatorialFold) -> np.ndarray:
        tested = np.concatenate(fold.tests)
        return labels[fold.train[np.abs(fold.train[None, :] - tested[:, None]).argmin(axis=1)]]

    purged = CombinatorialPurged(10, 2, horizon=3, delay=1).paths(495, nearest)
    correlation = [np.corrcoef(path, labels)[0, 1] for path in purged]
    assert abs(np.mean(correlation)) < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_groups": 1}, "n_groups=1"),
        ({"n_test": 0}, "n_test=0"),
        ({"n_test": 6}, "n_test=6"),
        ({"horizon": 0}, "horizon=0"),
        ({"embargo": -1}, "embargo=-1"),
        ({"n_groups": 30, "n_test": 15}, "155,117,520 splits"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, int], message: str) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=message):
        CombinatorialPurged(**{"n_groups": 6, "n_test": 2, "horizon": 1} | arguments)


def test_too_few_instants_are_refused() -> None:
    """Groups must hold instants, and some must be left to train."""
    with pytest.raises(DataError, match="4 instants are too few for n_groups=6"):
        list(CombinatorialPurged(6, 2, horizon=1).split(4))
    with pytest.raises(DataError, match="leave none to train on"):
        list(CombinatorialPurged(3, 2, horizon=9).split(12))


def test_a_wrong_prediction_is_refused() -> None:
    """A prediction has one row a test instant."""
    with pytest.raises(DataError, match=r"predict returned shape \(3,\)"):
        CombinatorialPurged(3, 1, horizon=1).paths(30, lambda fold: np.zeros(3))
    assert math.comb(3, 1) == CombinatorialPurged(3, 1, horizon=1).n_splits
