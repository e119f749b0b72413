"""Arrays as JSON-ready values that come back bit for bit: how parts write down their state."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trader.core.errors import DataError

__all__ = ["pack", "restore_into", "unpack"]


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array's shape and bytes (base64); the reader knows the dtype.

    JSON has no NaN, and decimal text of large arrays is slow; bytes are exact, small and fast.

    >>> unpack(pack(np.array([0.1, np.nan])), np.float64)
    array([0.1, nan])
    """
    return {"shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode("ascii")}


def unpack(packed: Mapping[str, Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return what `pack` was given, as a new writable array.

    Raises
    ------
    DataError
        If the bytes do not make an array of that shape and dtype.
    """
    try:
        flat = np.frombuffer(base64.b64decode(packed["data"], validate=True), dtype)
        return flat.reshape(packed["shape"]).copy()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"state holds no array of {np.dtype(dtype)}: {error}") from error


def restore_into(array: NDArray[Any], packed: Mapping[str, Any], name: str) -> None:
    """Overwrite `array` with what `pack` made of one of the same shape and dtype.

    Raises
    ------
    DataError
        If the shapes differ: the state is that of another universe.
    """
    values = unpack(packed, array.dtype)
    if values.shape != array.shape:
        raise DataError(f"state.{name} has shape {values.shape}; {array.shape} is needed: was the universe another?")
    array[...] = values
