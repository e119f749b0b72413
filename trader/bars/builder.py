"""The bar builder: ticks in, completed bars out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trader.bars import kernels
from trader.core.errors import DataError, SettingsError
from trader.core.market import BarBatch, QuoteBatch, TradeBatch

__all__ = ["BAR_KINDS", "BarBuilder", "BarKind"]

BarKind = Literal["time", "tick", "volume", "dollar"]
BAR_KINDS: tuple[BarKind, ...] = get_args(BarKind)


class BarBuilder:
    """Builds the bars of many symbols from their trades and quotes.

    Any split of the same ticks into batches gives the same bars, bit for bit.

    Parameters
    ----------
    n_symbols : int
        Ticks may name the symbols 0 to `n_symbols - 1`.
    kind : {"time", "tick", "volume", "dollar"}
        What fills a bar.
    size : float
        How much of it: seconds, ticks, units or currency.
    max_late_ns : int
        How far, in nanoseconds of event time, a symbol's tick may lag behind its newest one.

    Raises
    ------
    SettingsError
        If an argument is out of range.

    Notes
    -----
    *Time bars* cover the UTC-aligned multiples of `size`, start included and end excluded, and are stamped with
    their end. A symbol's bar closes with its first tick at or after end + `max_late_ns`, or when `advance` says
    that this time has passed. A time without ticks has no bar.

    *Tick, volume and dollar bars* close with the trade that reaches `size`; a trade is never split. They are
    stamped with the latest event time in them; if the symbol's previous bar has that stamp or a later one, with
    one nanosecond more than the previous.

    *Late ticks.* A tick of a time bar that is closed, or one more than `max_late_ns` older than the symbol's
    last closed bar of the other kinds, is counted in `late` and left out of all bars. Other ticks that come out
    of order join their bar: `open` and `close` go by event time, ties by order of receipt.

    *Trades and quotes.* Prices come from trades. A symbol that has not traded yet has bars of its mid price
    instead, with NaN `volume`, `vwap` and `buy_volume` (tick bars then count quotes, volume and dollar bars
    never fill). `spread` is the mean ask - bid of the quotes in the bar, NaN without any. A trade of unknown
    side counts as bought after an uptick, as sold after a downtick, like the change before it after none, and
    as half bought before the first change (the tick test of Lee and Ready, *Journal of Finance* 46, 1991).

    Examples
    --------
    >>> import numpy as np
    >>> from trader.core.market import TradeBatch
    >>> ts = np.array([0, 4, 10]) * 100_000_000
    >>> one = np.ones(3)
    >>> trades = TradeBatch(ts, ts, 0 * ts, np.array([5.0, 7.0, 6.0]), one, one)
    >>> builder = BarBuilder(1, "time", 1.0)
    >>> bars = builder.update(trades)
    >>> bars.ts_ns.tolist(), bars.open.tolist(), bars.close.tolist(), bars.volume.tolist()
    ([1000000000], [5.0], [7.0], [2.0])
    >>> builder.finish().close.tolist()
    [6.0]
    """

    def __init__(self, n_symbols: int, kind: BarKind, size: float, *, max_late_ns: int = 0) -> None:
        if n_symbols < 1:
            raise SettingsError(f"n_symbols={n_symbols}; at least 1 is needed")
        if kind not in BAR_KINDS:
            raise SettingsError(f"kind={kind!r}; allowed are {', '.join(BAR_KINDS)}")
        smallest = {"time": 1e-9, "tick": 1.0}.get(kind, 0.0)
        if not (np.isfinite(size) and size >= smallest and size > 0):
            raise SettingsError(f"size={size} of {kind} bars; a finite number above {smallest:g} is needed")
        if max_late_ns < 0:
            raise SettingsError(f"max_late_ns={max_late_ns}; it may not be negative")
        self._kind = BAR_KINDS.index(kind)
        self._size = float(size)
        self._size_ns = round(size * 1e9) if kind == "time" else 1
        self._late_ns = int(max_late_ns)
        n_places = 1 + -(-self._late_ns // self._size_ns) if kind == "time" else 1
        self._bars = np.zeros((n_symbols, n_places), kernels.BAR_DTYPE)
        self._bars["first_ns"] = kernels.UNSET
        self._symbols = np.zeros(n_symbols, kernels.SYMBOL_DTYPE)
        for name in ("closed_ns", "start_ns", "quick_ns", "stamp_ns"):
            self._symbols[name] = kernels.UNSET
        self._symbols["last_price"] = np.nan
        self._symbols["direction"] = 0.5
        self._nothing = BarBatch.empty()
        self._out = np.empty(self._bars.size, BarBatch.record_dtype())

    @property
    def late(self) -> int:
        """How many ticks came too late and are in no bar."""
        return int(self._symbols["late"].sum())

    def update(self, batch: TradeBatch | QuoteBatch) -> BarBatch:
        """Add ticks and return the bars that they complete, in the order in which they do.

        Raises
        ------
        DataError
            If a symbol is unknown; then no tick of the batch was added.
        """
        n_ticks = batch.symbol_id.size
        if self._out.size < self._bars.size + n_ticks:
            self._out = np.empty(self._bars.size + n_ticks, BarBatch.record_dtype())
        n_bars = self._add_trades(batch) if isinstance(batch, TradeBatch) else self._add_quotes(batch)
        if n_bars < 0:
            known = (batch.symbol_id >= 0) & (batch.symbol_id < self._symbols.size)
            wrong = int(batch.symbol_id[np.argmin(known)])
            raise DataError(f"symbol_id={wrong} in a tick; allowed are 0 to {self._symbols.size - 1}")
        return self._take(n_bars)

    def _add_trades(self, batch: TradeBatch) -> int:
        ticks = _plain(batch.ts_event_ns, batch.symbol_id, batch.price, batch.size, batch.side)
        if self._kind == 0:
            n_bars = kernels.time_trades(*ticks, self._bars, self._symbols, self._size_ns, self._late_ns, self._out)
        else:
            n_bars = kernels.event_trades(
                *ticks, self._bars, self._symbols, self._kind, self._size, self._late_ns, self._out
            )
        return int(n_bars)

    def _add_quotes(self, batch: QuoteBatch) -> int:
        ticks = _plain(batch.ts_event_ns, batch.symbol_id, batch.bid, batch.ask)
        if self._kind == 0:
            n_bars = kernels.time_quotes(*ticks, self._bars, self._symbols, self._size_ns, self._late_ns, self._out)
        else:
            n_bars = kernels.event_quotes(
                *ticks, self._bars, self._symbols, self._kind, self._size, self._late_ns, self._out
            )
        return int(n_bars)

    def advance(self, watermark_ns: int) -> BarBatch:
        """Close the time bars that end by `watermark_ns - max_late_ns`, in order of close, then of symbol.

        Ticks of these bars are late from now on, of quiet symbols too. Bars of other kinds do not close by time.
        """
        if self._kind != 0:
            return self._nothing
        boundary = (watermark_ns - self._late_ns) // self._size_ns * self._size_ns
        n_bars = kernels.close_until(boundary, self._bars, self._symbols, self._size_ns, self._late_ns, self._out)
        return self._take_sorted(n_bars)

    def finish(self) -> BarBatch:
        """Return what the open bars hold, in order of close, then of symbol, and count these bars as closed.

        A time bar keeps the stamp of its end, though that may lie after the last tick.
        """
        return self._take_sorted(kernels.close_all(self._kind, self._bars, self._symbols, self._size_ns, self._out))

    def _take(self, n_bars: int) -> BarBatch:
        return BarBatch.from_records(self._out[:n_bars].copy()) if n_bars else self._nothing

    def _take_sorted(self, n_bars: int) -> BarBatch:
        if n_bars > 1:
            rows = self._out[:n_bars]
            rows[:] = rows[np.argsort(rows["ts_ns"], kind="stable")]
        return self._take(n_bars)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything needed to go on, as arrays by name."""
        return {
            "settings": self._settings(),
            **{f"bar.{name}": self._bars[name].copy() for name in self._bars.dtype.names or ()},
            **{f"symbol.{name}": self._symbols[name].copy() for name in self._symbols.dtype.names or ()},
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        DataError
            If it belongs to a builder of another kind, size, lateness or number of symbols.
        """
        if not np.array_equal(state["settings"], self._settings()):
            raise DataError(
                f"state of a builder with (n_symbols, kind, size, max_late_ns) = {state['settings'].tolist()}; "
                f"this one has {self._settings().tolist()}"
            )
        for name in self._bars.dtype.names or ():
            self._bars[name] = state[f"bar.{name}"]
        for name in self._symbols.dtype.names or ():
            self._symbols[name] = state[f"symbol.{name}"]

    def _settings(self) -> NDArray[np.float64]:
        return np.array([self._symbols.size, self._kind, self._size, self._late_ns], np.float64)


def _plain(*columns: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the columns as the one layout that the kernels are compiled for: contiguous and read-only."""
    return tuple(column if column.flags.c_contiguous else _read_only(column.copy()) for column in columns)


def _read_only(column: NDArray[Any]) -> NDArray[Any]:
    column.flags.writeable = False
    return column
