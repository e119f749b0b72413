"""Walk-forward folds over instants, purged and embargoed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["Fold", "WalkForward"]

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Positions of instants; all symbols of an instant are on the same side.

    Parameters
    ----------
    train, test : ndarray of shape (n_train,), (n_test,)
        Increasing; every train position is before every test position.
    """

    train: IntArray
    test: IntArray


@dataclasses.dataclass(frozen=True, slots=True)
class WalkForward:
    """Train on the past, test on what follows, move on [1]_.

    The last `n_splits / (n_splits + 1)` of the instants, or those from `first_test` on, are cut into `n_splits` test
    folds of equal length; what that leaves over is tested by none, at the beginning of the span. The
    label of instant t is made of prices up to ``t + delay + horizon``; an instant trains only if that is before
    the first test instant (purge) by more than `embargo` further instants, which lets features with a long
    memory decay. Nothing after a test fold ever trains for it.

    Parameters
    ----------
    n_splits : int
        At least 1.
    horizon : int
        Instants that the label looks ahead of its entry; at least 1.
    embargo : int, default=0
        Instants between the last train label and the first test instant.
    delay : int, default=1
        Instants between a signal and its entry.
    window : int, optional
        Longest training set, in instants (rolling); None takes all of the past (expanding).
    first_test : int, optional
        Position from which instants are tested.

    References
    ----------
    .. [1] López de Prado (2018), "Advances in Financial Machine Learning", chapter 7.

    Examples
    --------
    >>> for fold in WalkForward(n_splits=2, horizon=1, embargo=1).split(12):
    ...     print(fold.train.tolist(), fold.test.tolist())
    [0] [4, 5, 6, 7]
    [0, 1, 2, 3, 4] [8, 9, 10, 11]
    """

    n_splits: int
    horizon: int
    embargo: int = 0
    delay: int = 1
    window: int | None = None
    first_test: int | None = None

    def __post_init__(self) -> None:
        least = {"n_splits": 1, "horizon": 1, "embargo": 0, "delay": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DataError(f"{name}={getattr(self, name)} is not allowed; it must be at least {bound}")
        if self.window is not None and self.window < 1:
            raise DataError(f"window={self.window} is not allowed; it must be at least 1, or None")

    def split(self, n_instants: int) -> Iterator[Fold]:
        """Yield the folds of `n_instants` instants, in order of time.

        Raises
        ------
        DataError
            If there are too few instants for every fold to train and test on at least one.
        """
        if self.first_test is None:
            size = n_instants // (self.n_splits + 1)
        else:
            size = (n_instants - self.first_test) // self.n_splits
        gap = self.delay + self.horizon + self.embargo
        first = n_instants - self.n_splits * size
        if size < 1 or first <= gap:
            raise DataError(
                f"{n_instants} instants are too few for n_splits={self.n_splits} with a gap of {gap} "
                f"(delay + horizon + embargo) before each test fold"
            )
        for start in range(first, n_instants, size):
            stop = start - gap
            begin = 0 if self.window is None else max(0, stop - self.window)
            yield Fold(_frozen(begin, stop), _frozen(start, start + size))


def _frozen(start: int, stop: int) -> IntArray:
    positions = np.arange(start, stop, dtype=np.int64)
    positions.flags.writeable = False
    return positions
