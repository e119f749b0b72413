"""A seeded market: the truth about it is known, so what is measured on it can be checked."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import BAR_FIELDS, BarBatch, BarPanel, Universe
from trader.core.protocols import FeedBatch, FeedInfo
from trader.data.datasets import SESSION_OPEN
from trader.data.numbering import BatchPlan
from trader.data.sessions import MINUTE_NS, NEW_YORK, local_time_ns
from trader.data.simulation.blocks import Block, BlockState, draw_block
from trader.data.simulation.law import DayShape, MarketLaw, draw_symbols, generator
from trader.settings import SimulationSettings

__all__ = ["SimulatedMarket", "session_stamps"]

FloatArray = NDArray[np.float64]

_FIRST_DAY = np.datetime64("2015-01-02")
_BARS_PER_BLOCK = 1 << 18
_SYMBOLS, _REGIMES, _BLOCK = 0, 1, 2
_VERSION = 1
"""Part of the fingerprint; goes up when the same seed gives other prices."""


class SimulatedMarket:
    """A `Feed` of simulated bars: regimes, jumps, fat tails, a U-shaped day, correlated symbols.

    Weekdays from 2015-01-02 on, 9:30 to 16:00 New York time. Bars are drawn in blocks of days; a block is drawn when it
    is first needed and only the last one is kept, so memory does not grow with the number of days.

    With `planted_ic = rho`, a symbol's next log return r has the correlation rho with its *buy-volume imbalance*
    ``2 buy_volume / volume - 1`` of the bar just closed; within one part of the day the correlation is exactly rho,
    and over all bars the correlation of r with `oracle` is. `oracle` is the mean of r given the past, so a trader
    that goes long where it is positive and short where it is negative earns a mean log return of
    ``rho * s * E|z|`` a bar (`MEAN_ABSOLUTE_SIGNAL`), before drift and costs.

    Parameters
    ----------
    settings : SimulationSettings
        Size of the market and strength of the planted signal.
    seed : int
        Equal seeds and settings give bit-identical bars.
    batch_slices : int, default=1
        Instants of a batch after `start_ns`; before, batches hold `WARMUP_INSTANTS`.
    start_ns, end_ns : int, optional
        First instant of trading; first instant that is left out.
    symbols : tuple of str, optional
        Deliver these only; the others still exist.

    Raises
    ------
    DataError
        If a symbol does not exist, or `end_ns` leaves nothing.
    """

    def __init__(
        self,
        settings: SimulationSettings,
        *,
        seed: int,
        batch_slices: int = 1,
        start_ns: int | None = None,
        end_ns: int | None = None,
        symbols: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings
        self._seed = seed
        self._law = MarketLaw()
        self._day = DayShape.of(settings.bar_minutes, self._law.overnight_share)
        self._symbols = draw_symbols(settings.n_symbols, generator(seed, _SYMBOLS))
        width = max(2, len(str(settings.n_symbols - 1)))
        everyone = Universe(tuple(f"SIM{i:0{width}d}" for i in range(settings.n_symbols)))
        self._picked = np.array([everyone.id_of(s) for s in symbols], np.int64) if symbols else None
        self._ts_open, self._ts = session_stamps(settings.n_days, self._day)
        n_instants = self._ts.size if end_ns is None else int(np.searchsorted(self._ts, end_ns))
        if n_instants == 0:
            raise DataError(f"the simulated market begins on {_FIRST_DAY}; the end leaves nothing of it")
        self._ts_open, self._ts = self._ts_open[:n_instants], self._ts[:n_instants]
        n_warmup = 0 if start_ns is None else int(np.searchsorted(self._ts, start_ns))
        self._plan = BatchPlan(n_instants, n_warmup, batch_slices)
        self._days_per_block = max(1, _BARS_PER_BLOCK // (self._day.variance_share.size * settings.n_symbols))
        self._multipliers = self._law.daily_multipliers(settings.n_days, generator(seed, _REGIMES))
        first = BlockState(np.log(self._symbols.first_price), np.zeros(settings.n_symbols))
        self._states = [first]
        self._drawn: tuple[int, Block] | None = None
        universe = Universe(symbols) if symbols else everyone
        self._info = FeedInfo(
            name="simulated",
            universe=universe,
            kind="bars",
            fields=frozenset(BAR_FIELDS),
            fingerprint=self._fingerprint(universe, n_instants),
            span_ns=(int(self._ts[0]), int(self._ts[-1])),
        )

    @property
    def info(self) -> FeedInfo:
        """What it delivers."""
        return self._info

    @property
    def expected_ic(self) -> float:
        """The correlation of `oracle` with the next log return, over all bars of a symbol (drift aside)."""
        return self._settings.planted_ic

    @functools.cached_property
    def oracle(self) -> FloatArray:
        """The mean log return of the bar after each instant, given the past; shape (n_instants, n_symbols).

        Row t is known at the close of bar t. The last row is NaN: nothing follows.
        """
        expected = [block.expected for block in self._all_blocks()]
        rows = np.vstack(expected)[: self._ts.size]
        following = np.vstack([rows[1:], np.full((1, rows.shape[1]), np.nan)])
        return following if self._picked is None else following[:, self._picked]

    def panel(self) -> BarPanel:
        """Return the whole market at once."""
        n_symbols = len(self._info.universe)
        return BarPanel.from_bars(self._bars(0, self._ts.size), n_symbols)

    def __len__(self) -> int:
        return len(self._plan)

    def batches(self, from_seq: int = 0) -> Iterator[FeedBatch]:
        """Yield the batches from number `from_seq` on; the first restart has to draw the blocks before it."""
        if from_seq < 0:
            raise ValueError(f"from_seq={from_seq}; 0 or more is allowed")
        for seq in range(from_seq, len(self._plan)):
            first, stop = self._plan.bounds(seq)
            yield FeedBatch(seq, int(self._ts[stop - 1]), self._bars(first, stop))

    def rejected(self) -> Mapping[str, int]:
        """Return how many rows were refused: none."""
        return {}

    def _bars(self, first: int, stop: int) -> BarBatch:
        per_block = self._days_per_block * self._day.variance_share.size
        parts = []
        for number in range(first // per_block, (stop - 1) // per_block + 1):
            base = number * per_block
            rows = slice(max(first - base, 0), min(stop - base, per_block))
            parts.append(self._bars_of(self._block(number), rows, base))
        return BarBatch.concat(parts)

    def _bars_of(self, block: Block, rows: slice, base: int) -> BarBatch:
        columns = slice(None) if self._picked is None else self._picked
        picked = {name: getattr(block, name)[rows][:, columns] for name in (*BAR_FIELDS, "n_trades")}
        n_instants, n_symbols = picked["close"].shape
        instants = slice(base + rows.start, base + rows.start + n_instants)
        return BarBatch(
            ts_open_ns=np.repeat(self._ts_open[instants], n_symbols),
            ts_ns=np.repeat(self._ts[instants], n_symbols),
            symbol_id=np.tile(np.arange(n_symbols, dtype=np.int32), n_instants),
            **{name: values.ravel() for name, values in picked.items()},
        )

    def _block(self, number: int) -> Block:
        if self._drawn is None or self._drawn[0] != number:
            for missing in range(len(self._states) - 1, number):
                self._states.append(self._draw(missing).end)
            self._drawn = number, self._draw(number)
        return self._drawn[1]

    def _draw(self, number: int) -> Block:
        days = slice(number * self._days_per_block, (number + 1) * self._days_per_block)
        return draw_block(
            generator(self._seed, _BLOCK, number),
            self._states[number],
            self._multipliers[days],
            market=self._law,
            symbols=self._symbols,
            day=self._day,
            planted_ic=self._settings.planted_ic,
        )

    def _all_blocks(self) -> Iterator[Block]:
        per_block = self._days_per_block * self._day.variance_share.size
        for number in range(-(-self._ts.size // per_block)):
            yield self._block(number)

    def _fingerprint(self, universe: Universe, n_instants: int) -> str:
        made_of = (
            f"{_VERSION}|{self._seed}|{self._settings.model_dump_json()}|{universe.symbols}|{n_instants}|{self._law}"
        )
        return hashlib.sha256(made_of.encode()).hexdigest()


def session_stamps(n_days: int, day: DayShape) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return opening and closing stamps of all bars of `n_days` weekdays, each of shape (n_days * n_bars,)."""
    days = np.busday_offset(_FIRST_DAY, np.arange(n_days), roll="forward")
    opening = local_time_ns(days, SESSION_OPEN, NEW_YORK)
    edges = (day.edges * MINUTE_NS).astype(np.int64)
    return (opening[:, None] + edges[:-1]).ravel(), (opening[:, None] + edges[1:]).ravel()
