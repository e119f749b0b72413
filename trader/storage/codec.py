"""How values lie in a column: arrays as little-endian float64, mappings as JSON text."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ITEM_SIZE", "from_json", "names_json", "null_nan", "pack", "to_json", "unpack"]

_F8 = np.dtype("<f8")

ITEM_SIZE = _F8.itemsize
"""Bytes that `pack` makes of a number."""


def pack(values: NDArray[np.float64]) -> bytes:
    """Return an array's numbers as bytes, in C order.

    >>> unpack([pack(np.array([1.5, np.nan]))], (1, 2))
    array([[1.5, nan]])
    """
    return np.asarray(values, _F8).tobytes()


def unpack(blobs: Sequence[bytes], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what `pack` made of the parts of an array of `shape`, read-only."""
    return np.frombuffer(b"".join(blobs), _F8).reshape(shape).astype(np.float64, copy=False)


def null_nan(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers for a nullable column: NaN becomes None, as SQLite would make it."""
    column: list[float | None] = values.tolist()
    return [None if value != value else value for value in column] if np.isnan(values).any() else column


def to_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return JSON text that gives the same numbers back, NaN and infinities included.

    The standard library's encoder is used for that: orjson writes NaN as null.
    """
    return _ENCODER.encode(value)


def from_json(text: str) -> Any:
    """Return what `to_json` was given, with lists for tuples."""
    return json.loads(text)


@functools.lru_cache(maxsize=256)
def names_json(names: tuple[str, ...]) -> str:
    """Return a tuple of names as JSON text; the same few tuples are asked for again and again."""
    return to_json(names)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be stored as JSON; numbers, texts, lists and mappings can")


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain)
