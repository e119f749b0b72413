from __future__ import annotations

import json

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.snapshot import pack, restore_into, unpack

RECORD = np.dtype([("id", np.int64), ("price", np.float64)], align=True)


@pytest.mark.parametrize(
    "array",
    [
        np.array([0.1, np.nan, -np.inf, 5e-324]),
        np.arange(6, dtype=np.int64).reshape(2, 3) << 50,
        np.zeros((0, 3)),
        np.array([(1, 0.1), (2, np.nan)], RECORD),
        np.arange(10.0)[::3],
    ],
    ids=["floats", "integers", "empty", "records", "strided"],
)
def test_arrays_come_back_bit_for_bit(array: np.ndarray) -> None:
    """Through JSON, with shape, as a writable array of its own."""
    back = unpack(json.loads(json.dumps(pack(array))), array.dtype)
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable


def test_restoring_overwrites_in_place() -> None:
    """Views of the array see the new values."""
    array = np.zeros(3)
    view = array[1:]
    restore_into(array, pack(np.array([1.0, 2.0, 3.0])), "x")
    assert view.tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    "packed", [{}, {"shape": [2], "data": "AAAA"}, {"shape": [1], "data": "?"}, {"shape": ["a"], "data": ""}]
)
def test_what_is_no_array_is_refused(packed: dict[str, object]) -> None:
    """With an error of ours."""
    with pytest.raises(DataError, match="state holds no array of float64"):
        unpack(packed, np.float64)


def test_another_shape_is_refused() -> None:
    """Naming both shapes."""
    with pytest.raises(DataError, match=r"state.x has shape \(2,\); \(3,\) is needed"):
        restore_into(np.zeros(3), pack(np.zeros(2)), "x")
