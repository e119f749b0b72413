"""The national best bid and offer of many symbols, kept from quote to quote."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, SettingsError
from trader.data.nbbo.kernels import BEST_DTYPE, update_best
from trader.data.nbbo.messages import CROSSED, LOCKED, NORMAL, ONE_SIDED, NbboBatch, VenueQuoteBatch

__all__ = ["NbboBuilder", "NbboCounts"]


@dataclasses.dataclass(frozen=True, slots=True)
class NbboCounts:
    """Quotes taken in, withdrawals among them, changes given out, and in what state the national quote was then."""

    quotes: int = 0
    withdrawn: int = 0
    changes: int = 0
    locked: int = 0
    crossed: int = 0
    one_sided: int = 0


class NbboBuilder:
    """Builds the highest bid and the lowest ask of all venues.

    Any split of the same quotes into batches gives the same changes. A venue's quote holds until the venue replaces or
    withdraws it. Sizes are summed over the venues at the best price, for that is what an order can meet there without
    paying more; the consolidated tape prints the size of the first of them alone.

    A *locked* (bid = ask) or *crossed* (bid > ask) national quote is given out as it is, marked and counted: it is real
    when venues are slow to see each other, and a sign of stale quotes when it lasts.

    Parameters
    ----------
    n_symbols, n_venues : int
        Quotes may name the symbols 0 to `n_symbols - 1`, and venues likewise.

    Examples
    --------
    >>> one, ts = np.ones(3), np.arange(3)
    >>> quotes = VenueQuoteBatch(ts, ts, 0 * ts, [0, 1, 1], [1, 1, -1], [9.9, 9.9, 10.0], [100, 300, 200])
    >>> changes = NbboBuilder(1, 2).update(quotes)
    >>> changes.bid_size.tolist(), changes.ask.tolist()
    ([100.0, 400.0, 400.0], [nan, nan, 10.0])
    """

    def __init__(self, n_symbols: int, n_venues: int) -> None:
        for name, value in (("n_symbols", n_symbols), ("n_venues", n_venues)):
            if value < 1:
                raise SettingsError(f"{name}={value}; at least 1 is needed")
        self._prices = np.zeros((n_symbols, 2, n_venues))
        self._sizes = np.zeros((n_symbols, 2, n_venues))
        self._best = np.zeros((n_symbols, 2), BEST_DTYPE)
        self._counts = NbboCounts()

    @property
    def counts(self) -> NbboCounts:
        """What came in and went out so far."""
        return self._counts

    def update(self, batch: VenueQuoteBatch) -> NbboBatch:
        """Take in quotes and return the changes of price, size or number of venues of the national quote.

        Raises
        ------
        DataError
            If a symbol, venue or side is not allowed; then no quote of the batch was taken in.
        """
        self._check(batch)
        rows = np.empty(len(batch), np.int64)
        found = np.empty((len(batch), 2), BEST_DTYPE)
        columns = (batch.symbol_id, batch.venue_id, batch.side, batch.price, batch.size)
        plain = [np.ascontiguousarray(column) for column in columns]
        n, withdrawn = update_best(*plain, self._prices, self._sizes, self._best, rows, found)
        changes = _changes(batch, rows[:n], found[:n])
        self._count(len(batch), withdrawn, changes.state)
        return changes

    def clear(self) -> None:
        """Forget every quote, as at the start of a day; the counts stay."""
        for table in (self._prices, self._sizes, self._best):
            table[:] = np.zeros((), table.dtype)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of everything needed to go on, as arrays by name."""
        return {
            "prices": self._prices.copy(),
            "sizes": self._sizes.copy(),
            "best": self._best.copy(),
            "counts": np.array(dataclasses.astuple(self._counts), np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned; a builder of another shape raises DataError."""
        if state["prices"].shape != self._prices.shape:
            raise DataError(
                f"state of a builder of shape {state['prices'].shape}; this one has {self._prices.shape}: "
                "symbols, sides, venues"
            )
        self._prices[:], self._sizes[:], self._best[:] = state["prices"], state["sizes"], state["best"]
        self._counts = NbboCounts(*state["counts"].tolist())

    def _check(self, batch: VenueQuoteBatch) -> None:
        n_symbols, _, n_venues = self._prices.shape
        for name, ids, allowed in (("symbol_id", batch.symbol_id, n_symbols), ("venue_id", batch.venue_id, n_venues)):
            wrong = (ids < 0) | (ids >= allowed)
            if wrong.any():
                raise DataError(f"{name}={ids[wrong][0]} in a quote; allowed are 0 to {allowed - 1}")
        wrong = np.abs(batch.side) != 1
        if wrong.any():
            raise DataError(f"side={batch.side[wrong][0]} in a quote; allowed are 1 (bid) and -1 (ask)")

    def _count(self, quotes: int, withdrawn: int, state: NDArray[np.int8]) -> None:
        _, locked, crossed, one_sided = np.bincount(state, minlength=4).tolist()
        added = (quotes, withdrawn, state.size, locked, crossed, one_sided)
        self._counts = NbboCounts(*(a + b for a, b in zip(dataclasses.astuple(self._counts), added, strict=True)))


def _changes(batch: VenueQuoteBatch, rows: NDArray[np.int64], found: NDArray[np.void]) -> NbboBatch:
    price = np.where(found["venues"] > 0, found["price"], np.nan)
    bid, ask = price[:, 0], price[:, 1]
    state = np.full(rows.size, NORMAL, np.int8)
    state[bid == ask] = LOCKED
    state[bid > ask] = CROSSED
    state[np.isnan(bid) | np.isnan(ask)] = ONE_SIDED
    return NbboBatch(
        ts_event_ns=batch.ts_event_ns[rows],
        ts_recv_ns=batch.ts_recv_ns[rows],
        symbol_id=batch.symbol_id[rows],
        bid=bid,
        ask=ask,
        bid_size=found["size"][:, 0],
        ask_size=found["size"][:, 1],
        bid_venues=found["venues"][:, 0],
        ask_venues=found["venues"][:, 1],
        state=state,
    )
