"""Number, side and symbol columns of a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["pick_symbols", "read_numbers", "read_sides", "read_symbols"]

_BUY = {"b", "buy", "buyer", "bid", "1", "+1", "1.0"}
_SELL = {"s", "sell", "seller", "ask", "a", "-1", "-1.0"}


def read_numbers(column: Any, name: str) -> NDArray[np.float64]:
    """Return the column as float64, shape (n_rows,); absent values are NaN. Text that is no number is refused."""
    import pyarrow as pa
    from pyarrow import compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if not pa.types.is_string(column.type):
            raise DataError(f"column {name!r} holds {column.type}; numbers are allowed") from None
    wrong = pc.invert(
        pc.match_substring_regex(pc.fill_null(column, "0"), r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
    )
    row = pc.index(wrong, True).as_py()
    raise DataError(f"column {name!r} holds {column[max(row, 0)].as_py()!r} in row {row + 1}; a number is allowed")


def read_sides(column: Any) -> NDArray[np.int8]:
    """Return +1 for buyers, -1 for sellers and 0 for anything else, shape (n_rows,)."""
    import pyarrow as pa

    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    words = [str(word).strip().lower() for word in encoded.dictionary.to_pylist()]
    codes = np.array([1 if w in _BUY else -1 if w in _SELL else 0 for w in words] + [0], np.int8)
    return np.asarray(codes[encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)], np.int8)


def read_symbols(column: Any) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return the id of each row's symbol, -1 where it is absent, and the symbols in order of first appearance."""
    import pyarrow as pa

    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    words = [str(word).strip() for word in encoded.dictionary.to_pylist()]
    names = tuple(dict.fromkeys(word for word in words if word))
    ids = np.array([names.index(word) if word else -1 for word in words] + [-1], np.int32)
    return ids[encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)], names


def pick_symbols(wanted: Sequence[str], known: Sequence[str], file: str) -> NDArray[np.int32]:
    """Return the new id of every known symbol, -1 where it is not wanted; an unknown one raises DataError."""
    for symbol in wanted:
        if symbol not in known:
            near = difflib.get_close_matches(symbol, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known[:8])}"
            raise DataError(f"symbol {symbol!r} is not in {file}; {hint}{' …' if not near and len(known) > 8 else ''}")
    new_id = {symbol: i for i, symbol in enumerate(dict.fromkeys(wanted))}
    return np.array([new_id.get(symbol, -1) for symbol in known], np.int32)
