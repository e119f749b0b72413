"""What holds of walk-forward folds whatever their parameters."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from trader.core.errors import DataError
from trader.validation.splits import Fold, WalkForward

splitters = st.builds(
    WalkForward,
    n_splits=st.integers(1, 8),
    horizon=st.integers(1, 20),
    embargo=st.integers(0, 20),
    delay=st.integers(0, 3),
    window=st.none() | st.integers(1, 100),
)


def _folds(splitter: WalkForward, n_instants: int) -> list[Fold]:
    try:
        return list(splitter.split(n_instants))
    except DataError:
        assume(False)
        raise


@given(splitters, st.integers(1, 400))
def test_no_train_label_touches_a_test_instant(splitter: WalkForward, n_instants: int) -> None:
    """Label windows, brute force: every price a train label is made of lies before the test and its embargo."""
    for fold in _folds(splitter, n_instants):
        reach = splitter.delay + splitter.horizon
        label_prices = {t + step for t in fold.train.tolist() for step in range(reach + 1)}
        assert label_prices.isdisjoint(fold.test.tolist())
        assert fold.test[0] - max(label_prices) > splitter.embargo


@given(splitters, st.integers(1, 400))
def test_tests_tile_the_end_in_order(splitter: WalkForward, n_instants: int) -> None:
    """Test folds are equally long, adjacent, and end with the last instant."""
    folds = _folds(splitter, n_instants)
    tested = np.concatenate([fold.test for fold in folds])
    assert len(folds) == splitter.n_splits
    assert len({fold.test.size for fold in folds}) == 1
    assert tested.tolist() == list(range(n_instants - tested.size, n_instants))


@given(splitters, st.integers(1, 400))
def test_training_sets_only_move_forward(splitter: WalkForward, n_instants: int) -> None:
    """No fold is empty, later folds end later, and a rolling window is never exceeded."""
    folds = _folds(splitter, n_instants)
    for fold in folds:
        assert fold.train.size >= 1
        assert splitter.window is None or fold.train.size <= splitter.window
    assert all(a.train[-1] < b.train[-1] for a, b in itertools.pairwise(folds))
