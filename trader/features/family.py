"""What a feature family is: the inputs it needs, the features it names, one step and one batch form."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BAR_FIELDS

__all__ = [
    "BUY_VOLUME",
    "CLOSE",
    "COLUMNS",
    "DAY",
    "DAY_FRACTION",
    "HIGH",
    "LOG_BODY",
    "LOG_CLOSE",
    "LOG_DOWN",
    "LOG_RETURN",
    "LOG_UP",
    "LOW",
    "OPEN",
    "PREVIOUS_CLOSE",
    "SPREAD",
    "VOLUME",
    "VWAP",
    "Family",
    "Series",
    "bars_of",
    "stack",
]

FloatArray = NDArray[np.float64]

COLUMNS: tuple[str, ...] = (
    *BAR_FIELDS,
    "log_close",
    "log_return",
    "previous_close",
    "day",
    "day_fraction",
    "log_body",
    "log_up",
    "log_down",
)
"""What a step may read of a bar: its fields, and what the engine derives once for all families."""

_DERIVED_FROM: dict[str, frozenset[str]] = {
    "day": frozenset(),
    "day_fraction": frozenset(),
    **dict.fromkeys(("log_close", "log_return", "previous_close"), frozenset({"close"})),
    "log_body": frozenset({"open", "close"}),
    "log_up": frozenset({"open", "high"}),
    "log_down": frozenset({"open", "low"}),
}


OPEN, HIGH, LOW, CLOSE, VOLUME, VWAP, BUY_VOLUME, SPREAD = range(8)
LOG_CLOSE, LOG_RETURN, PREVIOUS_CLOSE, DAY, DAY_FRACTION, LOG_BODY, LOG_UP, LOG_DOWN = range(8, 16)


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """The bars of one symbol as columns of shape (n_bars,), in order of time.

    `log_return` and `previous_close` refer to the symbol's bar before, NaN at its first; `day` counts days since
    1970 and `day_fraction` is the part of the UTC day gone, both at the last nanosecond of the bar;
    `log_body`, `log_up` and `log_down` are the logs of close, high and low over open.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    buy_volume: FloatArray
    spread: FloatArray
    log_close: FloatArray
    log_return: FloatArray
    previous_close: FloatArray
    day: FloatArray
    day_fraction: FloatArray
    log_body: FloatArray
    log_up: FloatArray
    log_down: FloatArray

    def __len__(self) -> int:
        return int(self.close.size)

    def take(self, rows: NDArray[np.bool_]) -> Self:
        """Return the bars chosen by a mask."""
        return type(self)(**{name: getattr(self, name)[rows] for name in COLUMNS})


class Family(abc.ABC):
    """Features that share inputs and state.

    The incremental form is `step`, a compiled function `step(bar, mem, at, row, column)`: it reads a bar (an
    array ordered as `COLUMNS`), updates the symbol's memory block that begins at `mem[at]`, and writes its
    features to `row[column:]`. `row` is NaN before; what is undefined or not warm yet is left so. A block begins
    with the family's parameters, which a step does not change.

    A bar in which an input is NaN is skipped: it changes nothing, and the family's features are NaN at it.

    Parameters
    ----------
    bars_per_day : float
        Scales the windows, which are stated in days.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    """The `COLUMNS` that must be present."""

    names: tuple[str, ...]
    """Features, in order."""
    warmup: int
    """Bars until all features are finite on ordinary data."""
    block: FloatArray
    """Memory of a symbol at the start."""

    @abc.abstractmethod
    def __init__(self, bars_per_day: float) -> None: ...

    def _describe(self, names: Sequence[str], warmup: int, parameters: Sequence[float], memory: int) -> None:
        """Set the features, the warm-up and the block: parameters, then `memory` zeros."""
        self.names = tuple(names)
        self.warmup = warmup
        self.block = np.concatenate((np.asarray(parameters, np.float64), np.zeros(memory)))

    @classmethod
    def needs(cls) -> frozenset[str]:
        """Return the `BAR_FIELDS` without which the family cannot be computed; a bar without a close is none."""
        return frozenset({"close"}).union(*(_DERIVED_FROM.get(name, frozenset({name})) for name in cls.inputs))

    @abc.abstractmethod
    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch, shape (n_bars, n_features); no input of `bars` is NaN."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(names={self.names})"


def bars_of(days: float, bars_per_day: float, least: int = 1) -> int:
    """Return the length of a window of days in bars, at least `least`.

    >>> bars_of(21, 1.0), bars_of(2, 390.0), bars_of(1, 0.2)
    (21, 780, 1)
    """
    return max(least, round(days * bars_per_day))


def stack(*columns: Any) -> FloatArray:
    """Return features of shape (n_bars,) side by side."""
    return np.column_stack(columns)
