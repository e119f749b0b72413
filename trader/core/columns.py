"""Immutable tables of numpy columns: how data moves between the parts."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["Columns"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Base of the columnar messages: equal-length, one-dimensional, read-only arrays.

    Subclasses are frozen dataclasses whose fields are all arrays, and name the dtype of each in `DTYPES`.
    The constructor converts to that dtype without copying where it can, so a message that crosses a process
    boundary stays as cheap as its arrays.

    Raises
    ------
    DataError
        If a column is not one-dimensional, or the columns differ in length.
    """

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {}
    _FIRST: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls._FIRST = next(iter(cls.DTYPES))

    def __post_init__(self) -> None:
        length: int | None = None
        for name, dtype in self.DTYPES.items():
            column = np.asarray(getattr(self, name), dtype=dtype)
            if column.ndim != 1:
                raise DataError(f"{type(self).__name__}.{name} has {column.ndim} dimensions; one is allowed")
            if length is None:
                length = column.size
            elif column.size != length:
                raise DataError(f"{type(self).__name__}.{name} has {column.size} rows; the others have {length}")
            if column.flags.writeable:
                column = column.view()
                column.flags.writeable = False
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        length: int = getattr(self, self._FIRST).size
        return length

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
            for a, b in zip(self.columns().values(), other.columns().values(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        # Messages are pickled for every call between actors; going through the fields by name costs more than
        # the arrays themselves.
        return _rebuild, (type(self), *(getattr(self, name) for name in self.DTYPES))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name, in declaration order, without copying."""
        return {name: getattr(self, name) for name in self.DTYPES}

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice) -> Self:
        """Return the rows chosen by a mask, an index array or a slice (a slice does not copy)."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    @classmethod
    def record_dtype(cls) -> np.dtype[np.void]:
        """Return the structured dtype of one row: what a kernel fills before `from_records` makes the columns."""
        return np.dtype([(name, np.dtype(dtype)) for name, dtype in cls.DTYPES.items()], align=True)

    @classmethod
    def from_records(cls, records: NDArray[np.void]) -> Self:
        """Return rows of `record_dtype` as columns: strided views of the records, which become read-only.

        The caller gives the records away: one that fills a buffer again passes a copy. They are right by
        construction, so the checks of the constructor are left out: hot paths make one or two small tables per
        decision.
        """
        records.setflags(write=False)
        table = object.__new__(cls)
        for name, set_column in _column_setters(cls):  # type: ignore[arg-type]  # the class is hashable, its tables are not
            set_column(table, records[name])
        return table

    def records(self) -> NDArray[np.void]:
        """Return a copy of the rows as records of `record_dtype`."""
        records = np.empty(len(self), self.record_dtype())
        for name, column in self.columns().items():
            records[name] = column
        return records

    @classmethod
    def empty(cls) -> Self:
        """Return a table of no rows."""
        return cls(**{name: np.empty(0, dtype) for name, dtype in cls.DTYPES.items()})

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return the rows of all parts, in order; no parts give an empty table."""
        tables: Sequence[Self] = [part for part in parts if len(part)]
        if not tables:
            return cls.empty()
        if len(tables) == 1:
            return tables[0]
        return cls(**{name: np.concatenate([getattr(t, name) for t in tables]) for name in cls.DTYPES})


@functools.cache
def _column_setters(table: type[Columns]) -> tuple[tuple[str, Callable[[Columns, NDArray[Any]], None]], ...]:
    """Return what writes each slot of a frozen table, for `from_records` alone."""
    return tuple((name, getattr(table, name).__set__) for name in table.DTYPES)


def _rebuild(table: type[Columns], *columns: NDArray[Any]) -> Columns:
    """Return a pickled table; its columns passed the checks when it was made."""
    rebuilt = object.__new__(table)
    for (_, set_column), column in zip(_column_setters(table), columns, strict=True):  # type: ignore[arg-type]
        column.flags.writeable = False
        set_column(rebuilt, column)
    return rebuilt
