"""The helpers that cheat on purpose do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.guards import leak_tomorrow, shuffle_labels


def test_shuffling_keeps_the_values_and_the_holes() -> None:
    """The same known values, NaN in the same places, another order, the input untouched."""
    target = np.random.default_rng(0).normal(size=(50, 4))
    target[::7, 2] = np.nan
    before = target.copy()
    shuffled = shuffle_labels(target, seed=1)
    assert np.array_equal(np.isnan(shuffled), np.isnan(target))
    assert np.array_equal(np.sort(shuffled, axis=None), np.sort(target, axis=None), equal_nan=True)
    assert np.isclose(shuffled, target).mean() < 0.1
    assert np.array_equal(target, before, equal_nan=True)


def test_shuffling_is_decided_by_the_seed() -> None:
    """Equal seeds shuffle alike."""
    target = np.arange(30.0)
    assert np.array_equal(shuffle_labels(target, 5), shuffle_labels(target, 5))
    assert not np.array_equal(shuffle_labels(target, 5), shuffle_labels(target, 6))


def test_leak_is_the_last_column() -> None:
    """The features stay as they are, the future comes after them."""
    features, future = np.zeros((3, 2, 4)), np.arange(6.0).reshape(3, 2)
    leaked = leak_tomorrow(features, future)
    assert leaked.shape == (3, 2, 5)
    assert np.array_equal(leaked[..., -1], future)
    assert np.array_equal(leaked[..., :-1], features)


def test_leak_of_another_shape_is_refused() -> None:
    """Returns must match the features' instants and symbols."""
    with pytest.raises(DataError, match=r"\(2, 3\)"):
        leak_tomorrow(np.zeros((3, 2, 4)), np.zeros((2, 3)))
