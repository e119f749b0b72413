"""Columns beside prices: of what venue a row is, under what conditions, and whether it is suspicious."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.data.reading.values import read_numbers

__all__ = ["CONDITIONS", "VENUES", "mark_column", "suspicious"]

VENUES = ("venue", "exch", "exchange", "mic", "ex", "x")
CONDITIONS = ("conditions", "condition", "cond", "conds", "sale_condition", "sale_conditions", "c")
_SUSPICIOUS = ("susp", "suspicious")


def mark_column(file: str, names: Sequence[str], aliases: Sequence[str], told: str | None) -> str:
    """Return the column that the user named, or the one that is called one of the aliases; none raises DataError."""
    wanted = aliases if told is None else (told.lower(),)
    found = next((name for alias in wanted for name in names if name.lower() == alias), None)
    if found is None:
        what = f"of {aliases[0]}" if told is None else repr(told)
        raise DataError(
            f"file {file} has no column {what}; it has {', '.join(names)}; map one, as in {aliases[0]}={names[-1]}"
        )
    return found


def suspicious(table: Any) -> NDArray[np.bool_]:
    """Return which rows a column `susp` or `suspicious` marks with a number that is not zero, shape (n_rows,)."""
    marked = np.zeros(table.num_rows, np.bool_)
    for name in table.column_names:
        if name.lower() in _SUSPICIOUS:
            marked |= np.nan_to_num(read_numbers(table[name], name)) != 0
    return marked
