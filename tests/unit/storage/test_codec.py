"""Values survive their way into a column and back."""

from __future__ import annotations

import numpy as np
import pytest

from trader.storage.codec import from_json, names_json, null_nan, pack, to_json


def test_pack_is_little_endian_float64() -> None:
    """1.0 is the eight bytes that IEEE 754 gives it, least significant first, whatever the dtype was."""
    assert pack(np.array([1.0])) == bytes.fromhex("000000000000f03f")
    assert pack(np.array([1.0], ">f8")) == bytes.fromhex("000000000000f03f")
    assert pack(np.array([1], np.int32)) == bytes.fromhex("000000000000f03f")


def test_pack_is_in_c_order() -> None:
    """A transposed array is written row by row, as it is read."""
    array = np.arange(6.0).reshape(2, 3).T
    assert pack(array) == pack(np.ascontiguousarray(array))


def test_nan_becomes_null() -> None:
    """Only NaN becomes None; infinities stay."""
    assert null_nan(np.array([1.0, np.nan, -np.inf])) == [1.0, None, -np.inf]
    assert null_nan(np.array([])) == []


def test_json_takes_numpy_and_refuses_objects() -> None:
    """Numpy values become numbers and lists; anything else is refused by its type."""
    assert from_json(to_json({"a": np.arange(2), "b": np.bool_(True)})) == {"a": [0, 1], "b": True}
    with pytest.raises(TypeError, match="a set cannot be stored as JSON"):
        to_json({"a": {1}})


def test_names_json() -> None:
    """Names come back in order."""
    assert from_json(names_json(("b@2", "a@1"))) == ["b@2", "a@1"]
