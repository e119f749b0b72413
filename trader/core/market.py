"""Market data messages: trades, quotes, bars, and the panel of bars that the decision loop reads.

Times are UTC nanoseconds since 1970, prices in quote currency, sizes in units. `symbol_id` is the position of
a symbol in the run's `Universe`. A missing number is NaN, never zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.columns import Columns
from trader.core.errors import DataError

__all__ = [
    "BAR_FIELDS",
    "BarBatch",
    "BarPanel",
    "MarketSlice",
    "QuoteBatch",
    "TradeBatch",
    "Universe",
]

BAR_FIELDS: tuple[str, ...] = ("open", "high", "low", "close", "volume", "vwap", "buy_volume", "spread")
"""The numeric fields a bar may carry; a source that lacks one leaves it NaN and does not declare it."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Universe:
    """The symbols of a run; the position of a symbol is its `symbol_id`.

    Raises
    ------
    DataError
        If a symbol is empty or occurs twice.
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if not all(self.symbols):
            raise DataError(f"symbols={self.symbols!r} holds an empty name")
        if len(set(self.symbols)) != len(self.symbols):
            twice = sorted({s for s in self.symbols if self.symbols.count(s) > 1})
            raise DataError(f"symbols hold {twice} more than once; every symbol may occur once")

    def __len__(self) -> int:
        return len(self.symbols)

    def id_of(self, symbol: str) -> int:
        """Return the id of `symbol`; an unknown one raises DataError naming the known ones."""
        try:
            return self.symbols.index(symbol)
        except ValueError:
            known = ", ".join(self.symbols[:8]) + (" …" if len(self) > 8 else "")
            raise DataError(f"symbol {symbol!r} is unknown; known are {known}") from None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TradeBatch(Columns):
    """Trades in order of receipt. `side` is +1 buyer-initiated, -1 seller-initiated, 0 unknown."""

    ts_event_ns: IntArray
    ts_recv_ns: IntArray
    symbol_id: NDArray[np.int32]
    price: FloatArray
    size: FloatArray
    side: NDArray[np.int8]

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "ts_event_ns": np.int64,
        "ts_recv_ns": np.int64,
        "symbol_id": np.int32,
        "price": np.float64,
        "size": np.float64,
        "side": np.int8,
    }


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class QuoteBatch(Columns):
    """Best bid and offer updates in order of receipt."""

    ts_event_ns: IntArray
    ts_recv_ns: IntArray
    symbol_id: NDArray[np.int32]
    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "ts_event_ns": np.int64,
        "ts_recv_ns": np.int64,
        "symbol_id": np.int32,
        "bid": np.float64,
        "ask": np.float64,
        "bid_size": np.float64,
        "ask_size": np.float64,
    }


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class BarBatch(Columns):
    """Bars in order of their close.

    `ts_ns` is the close stamp: nothing in the bar was known later. `ts_open_ns` is the time of the first price
    (`open`); a source that knows closes only sets it to `ts_ns`. `vwap` is the volume-weighted price,
    `buy_volume` the buyer-initiated part of `volume`, `spread` the mean quoted spread in price units.
    """

    ts_open_ns: IntArray
    ts_ns: IntArray
    symbol_id: NDArray[np.int32]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    buy_volume: FloatArray
    spread: FloatArray
    n_trades: IntArray

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "ts_open_ns": np.int64,
        "ts_ns": np.int64,
        "symbol_id": np.int32,
        **dict.fromkeys(BAR_FIELDS, np.float64),
        "n_trades": np.int64,
    }


@dataclasses.dataclass(frozen=True, slots=True)
class MarketSlice:
    """All bars that close at one instant; every array has shape (n_symbols,), NaN where a symbol has no bar."""

    ts_ns: int
    ts_open_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    spread: FloatArray


@dataclasses.dataclass(frozen=True, slots=True)
class BarPanel:
    """Bars of many instants and all symbols as dense arrays.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_slices,)
        Close stamps, strictly increasing.
    ts_open_ns : ndarray of shape (n_slices, n_symbols)
        Time of the first price of each bar; equal to the close stamp where there is no bar.
    open, high, low, close, volume, vwap, buy_volume, spread : ndarray of shape (n_slices, n_symbols)
        NaN where a symbol has no bar at that instant or the source does not carry the field.
    """

    ts_ns: IntArray
    ts_open_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    buy_volume: FloatArray
    spread: FloatArray

    def __len__(self) -> int:
        return int(self.ts_ns.size)

    @property
    def n_symbols(self) -> int:
        """The number of columns."""
        return int(self.close.shape[1])

    def slice_at(self, row: int) -> MarketSlice:
        """Return the bars of one instant, as views."""
        return MarketSlice(
            int(self.ts_ns[row]),
            self.ts_open_ns[row],
            self.open[row],
            self.high[row],
            self.low[row],
            self.close[row],
            self.volume[row],
            self.spread[row],
        )

    def rows(self, start: int, stop: int) -> Self:
        """Return the instants `start` to `stop` (exclusive), as views."""
        return type(self)(**{f.name: getattr(self, f.name)[start:stop] for f in dataclasses.fields(self)})

    def columns_of(self, symbol_ids: NDArray[np.integer]) -> Self:
        """Return the same instants for some symbols only."""
        picked = {f.name: getattr(self, f.name)[:, symbol_ids] for f in dataclasses.fields(self)[1:]}
        return type(self)(ts_ns=self.ts_ns, **picked)

    def blocks(self, n_slices: int) -> Iterator[Self]:
        """Yield consecutive panels of at most `n_slices` instants."""
        for start in range(0, len(self), n_slices):
            yield self.rows(start, start + n_slices)

    @classmethod
    def concat(cls, panels: Sequence[Self]) -> Self:
        """Return the instants of at least one panel, in the order given."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in panels]) for f in dataclasses.fields(cls)})

    @classmethod
    def from_bars(cls, bars: BarBatch, n_symbols: int) -> Self:
        """Arrange bars as a panel, one row per distinct close stamp.

        A symbol with two bars of the same close stamp keeps the later one (aggregators never make two).
        """
        ts_ns, row = np.unique(bars.ts_ns, return_inverse=True)
        shape = (ts_ns.size, n_symbols)
        ts_open = np.repeat(ts_ns[:, None], n_symbols, axis=1)
        ts_open[row, bars.symbol_id] = bars.ts_open_ns
        fields: dict[str, FloatArray] = {}
        for name in BAR_FIELDS:
            dense = np.full(shape, np.nan)
            dense[row, bars.symbol_id] = getattr(bars, name)
            fields[name] = dense
        return cls(ts_ns=ts_ns, ts_open_ns=ts_open, **fields)

    def to_bars(self) -> BarBatch:
        """Return the bars that exist (finite close), ordered by close stamp then symbol."""
        row, symbol_id = np.nonzero(np.isfinite(self.close))
        return BarBatch(
            ts_open_ns=self.ts_open_ns[row, symbol_id],
            ts_ns=self.ts_ns[row],
            symbol_id=symbol_id.astype(np.int32),
            n_trades=np.zeros(row.size, np.int64),
            **{name: getattr(self, name)[row, symbol_id] for name in BAR_FIELDS},
        )
