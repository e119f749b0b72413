"""Walk-forward folds: examples worked by hand, and refusals."""

from __future__ import annotations

import pytest

from trader.core.errors import DataError
from trader.validation.splits import WalkForward


def test_expanding_folds_by_hand() -> None:
    """Ten instants per fold; the last train label (delay 1 + horizon 2) ends 3 instants before the test."""
    folds = list(WalkForward(n_splits=2, horizon=2, embargo=3).split(30))
    assert [(f.train[0], f.train[-1], f.test[0], f.test[-1]) for f in folds] == [(0, 3, 10, 19), (0, 13, 20, 29)]


def test_rolling_window_forgets() -> None:
    """A rolling window keeps the latest instants that may train."""
    folds = list(WalkForward(n_splits=2, horizon=1, window=4).split(30))
    assert [f.train.tolist() for f in folds] == [[4, 5, 6, 7], [14, 15, 16, 17]]


def test_folds_are_read_only() -> None:
    """A fold cannot be changed by whoever gets it."""
    fold = next(WalkForward(n_splits=1, horizon=1).split(10))
    with pytest.raises(ValueError, match="read-only"):
        fold.train[0] = 5


@pytest.mark.parametrize(
    ("field", "value"), [("n_splits", 0), ("horizon", 0), ("embargo", -1), ("delay", -1), ("window", 0)]
)
def test_bad_arguments_are_named(field: str, value: int) -> None:
    """A refused argument is named with its value."""
    arguments = {"n_splits": 2, "horizon": 1} | {field: value}
    with pytest.raises(DataError, match=f"{field}={value}"):
        WalkForward(**arguments)


@pytest.mark.parametrize(("n_instants", "horizon"), [(0, 1), (5, 1), (12, 6), (60, 9)])
def test_too_few_instants_are_refused(n_instants: int, horizon: int) -> None:
    """The first fold must have something to train on."""
    with pytest.raises(DataError, match=f"{n_instants} instants are too few"):
        list(WalkForward(n_splits=5, horizon=horizon).split(n_instants))
