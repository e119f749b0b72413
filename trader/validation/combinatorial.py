"""Combinatorial purged cross-validation: many backtest paths out of one history."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["CombinatorialFold", "CombinatorialPurged"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOST_SPLITS = 10_000


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CombinatorialFold:
    """One choice of test groups, as positions of instants.

    Parameters
    ----------
    train : ndarray of shape (n_train,)
        Increasing; on both sides of the test groups.
    tests : tuple of ndarray
        The instants of each test group, in order of time.
    paths : tuple of int
        The backtest path that each test group belongs to.
    """

    train: IntArray
    tests: tuple[IntArray, ...]
    paths: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class CombinatorialPurged:
    """Every choice of `n_test` of `n_groups` groups is once tested on, the others train [1]_.

    Each group is tested on in `n_paths` splits; the k-th time belongs to path k, so that every path covers the
    whole history once, out of sample. Unlike a walk-forward, training sets hold the future of the test groups: it
    is a test of how stable a method is, not of what a trader could have earned.

    The label of instant t is made of prices up to ``t + delay + horizon``. An instant does not train if its label
    and that of a test instant share a price (purge, on both sides), nor on the `embargo` instants that follow the
    last label of a test group, whose features still remember it.

    Parameters
    ----------
    n_groups : int
        Groups of consecutive instants, equally long; the last one takes what is left over. At least 2.
    n_test : int
        Groups tested on at once; 1 gives purged k-fold cross-validation, with one path.
    horizon : int
        Instants that the label looks ahead of its entry; at least 1.
    embargo : int, default=0
    delay : int, default=1
        Instants between a signal and its entry.

    References
    ----------
    .. [1] López de Prado (2018), "Advances in Financial Machine Learning", chapter 12.

    Examples
    --------
    >>> splitter = CombinatorialPurged(n_groups=4, n_test=2, horizon=1, delay=0)
    >>> splitter.n_splits, splitter.n_paths
    (6, 3)
    >>> fold = next(iter(splitter.split(16)))
    >>> fold.train.tolist(), [test.tolist() for test in fold.tests], fold.paths
    ([9, 10, 11, 12, 13, 14, 15], [[0, 1, 2, 3], [4, 5, 6, 7]], (0, 0))
    """

    n_groups: int
    n_test: int
    horizon: int
    embargo: int = 0
    delay: int = 1

    def __post_init__(self) -> None:
        least = {"n_groups": 2, "n_test": 1, "horizon": 1, "embargo": 0, "delay": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DataError(f"{name}={getattr(self, name)} is not allowed; it must be at least {bound}")
        if self.n_test >= self.n_groups:
            raise DataError(f"n_test={self.n_test} is not allowed; it must be below n_groups={self.n_groups}")
        if self.n_splits > _MOST_SPLITS:
            raise DataError(
                f"n_groups={self.n_groups} with n_test={self.n_test} make {self.n_splits:,} splits; "
                f"at most {_MOST_SPLITS:,} are allowed"
            )

    @property
    def n_splits(self) -> int:
        """Choices of test groups."""
        return math.comb(self.n_groups, self.n_test)

    @property
    def n_paths(self) -> int:
        """Backtest paths: how often each group is tested on."""
        return math.comb(self.n_groups - 1, self.n_test - 1)

    def split(self, n_instants: int) -> Iterator[CombinatorialFold]:
        """Yield the folds of `n_instants` instants, in lexicographic order of their test groups.

        Raises
        ------
        DataError
            If there are too few instants for every fold to train and test on at least one.
        """
        bounds = self._bounds(n_instants)
        met = [0] * self.n_groups
        for chosen in itertools.combinations(range(self.n_groups), self.n_test):
            train = np.ones(n_instants, dtype=bool)
            reach = self.delay + self.horizon
            for group in chosen:
                train[max(bounds[group] - reach, 0) : bounds[group + 1]] = False
                if group + 1 not in chosen:
                    train[bounds[group + 1] : bounds[group + 1] + reach + self.embargo] = False
            if not train.any():
                raise DataError(f"{n_instants} instants are too few: test groups {chosen} leave none to train on")
            yield CombinatorialFold(
                _frozen(np.flatnonzero(train)),
                tuple(_frozen(np.arange(bounds[group], bounds[group + 1])) for group in chosen),
                tuple(met[group] for group in chosen),
            )
            for group in chosen:
                met[group] += 1

    def paths(self, n_instants: int, predict: Callable[[CombinatorialFold], FloatArray]) -> FloatArray:
        """Return the out-of-sample predictions of every path.

        Parameters
        ----------
        n_instants : int
        predict : callable
            From a fold to predictions of its test instants, concatenated in order of time; shape (n_test, …).

        Returns
        -------
        ndarray of shape (n_paths, n_instants, …)
        """
        result: FloatArray | None = None
        for fold in self.split(n_instants):
            found = np.asarray(predict(fold), dtype=np.float64)
            n_tested = sum(test.size for test in fold.tests)
            if found.shape[:1] != (n_tested,):
                raise DataError(f"predict returned shape {found.shape}; the fold tests {n_tested} instants")
            if result is None:
                result = np.full((self.n_paths, n_instants, *found.shape[1:]), np.nan)
            done = 0
            for path, test in zip(fold.paths, fold.tests, strict=True):
                result[path, test] = found[done : done + test.size]
                done += test.size
        assert result is not None  # noqa: S101 - there is at least one fold
        return result

    def _bounds(self, n_instants: int) -> list[int]:
        size = n_instants // self.n_groups
        if size < 1:
            raise DataError(f"{n_instants} instants are too few for n_groups={self.n_groups}")
        return [*range(0, size * self.n_groups, size), n_instants]


def _frozen(positions: NDArray[np.integer]) -> IntArray:
    frozen = positions.astype(np.int64)
    frozen.flags.writeable = False
    return frozen
