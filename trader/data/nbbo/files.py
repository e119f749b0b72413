"""The national best bid and offer from a file of venues' quotes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import Universe
from trader.data.nbbo.builder import NbboBuilder, NbboCounts
from trader.data.nbbo.messages import NbboBatch, VenueQuoteBatch
from trader.data.reading.marks import VENUES, mark_column, suspicious
from trader.data.reading.names import SYMBOL_ALIASES, find_layout
from trader.data.reading.rows import ABSENT, Rows, long_rows
from trader.data.reading.stamps import MISSING
from trader.data.reading.tables import open_table
from trader.data.reading.values import read_symbols
from trader.data.sessions import local_days

__all__ = ["NbboFile", "national_quotes"]

_AS_TEXT = SYMBOL_ALIASES | frozenset(VENUES)


class NbboFile(NamedTuple):
    """What a file came to: changes of the national quotes, symbols, venues, counts, and rows left out by reason."""

    data: NbboBatch
    universe: Universe
    venues: tuple[str, ...]
    counts: NbboCounts
    left_out: dict[str, int]


def national_quotes(
    path: Path,
    *,
    rows: Literal["venue", "best"] = "venue",
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    symbols: Sequence[str] = (),
) -> NbboFile:
    """Build the national best bid and offer from a CSV or Parquet file of quotes that name their venue.

    Columns are found as `read_market_file` finds those of quotes; the venue's is called venue, exch, exchange, mic, ex
    or x. Rows whose column `susp` or `suspicious` is not zero are left out. If no row of the file has both a bid and an
    ask, a row speaks for the side that it has, and one with neither withdraws both; otherwise a row speaks for
    both, and a price or size of zero or NaN withdraws that side. Quotes do not outlive the day in `timezone`.

    Parameters
    ----------
    path : Path
    rows : {"venue", "best"}, default="venue"
        What a row holds: the quote of its venue, or the national best, with the venue that set it. The latter replaces
        the side, whoever set it before.
    columns : mapping of str to str, optional
        Our column name to the file's; `venue` too.
    timezone : str, default="UTC"
        IANA zone of stamps that carry none, and of days.
    symbols : sequence of str, default=()
        As of `read_market_file`.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    DataError
        If it cannot be read, a column is missing, or no row is usable.
    """
    file, mapping = Path(path), dict(columns or {})
    told_venue = mapping.pop("venue", None)
    table = open_table(file, _AS_TEXT)
    _, found = find_layout(file.name, table.column_names, frozenset(), "quotes", mapping)
    venue_ids, venues = read_symbols(table[mark_column(file.name, table.column_names, VENUES, told_venue)])
    read = long_rows(table, "quotes", found, timezone, symbols, file)
    reasons = {
        "missing_time": (read.ts == MISSING) & (read.ids >= ABSENT),
        "missing_symbol": read.ids == ABSENT,
        "missing_venue": venue_ids < 0,
        "suspicious": suspicious(table),
    }
    good, left_out = read.ids >= 0, {}
    for reason, bad in reasons.items():
        count = int(np.count_nonzero(bad & (good | (read.ids == ABSENT))))
        good &= ~bad
        if count:
            left_out[reason] = count
    kept = np.flatnonzero(good)
    if not kept.size:
        raise DataError(f"file {file} holds no usable row: {', '.join(f'{n} {why}' for why, n in left_out.items())}")
    kept = kept[np.argsort(read.ts_recv[kept], kind="stable")]
    places = venue_ids if rows == "venue" else np.zeros_like(venue_ids)
    quotes = _one_sided(read, places, kept)
    builder = NbboBuilder(len(read.names), len(venues) if rows == "venue" else 1)
    data = NbboBatch.concat(_by_day(builder, quotes, timezone))
    return NbboFile(data, Universe(read.names), venues, builder.counts, left_out)


def _one_sided(read: Rows, venue_ids: NDArray[np.int32], kept: NDArray[np.intp]) -> VenueQuoteBatch:
    """Return a row a side, bids first, of those that rows speak for."""
    prices = np.stack([read.fields["bid"], read.fields["ask"]], axis=1)[kept]
    # A file without sizes has quotes all the same; with sizes of 1 they count venues.
    unknown = np.ones(read.ids.size)
    sizes = np.stack([read.fields.get(name, unknown) for name in ("bid_size", "ask_size")], axis=1)
    has = prices > 0
    speaks = np.ones_like(has) if has.all(axis=1).any() else has | ~has.any(axis=1, keepdims=True)
    row, side = np.nonzero(speaks)
    at = kept[row]
    return VenueQuoteBatch(
        ts_event_ns=read.ts[at],
        ts_recv_ns=read.ts_recv[at],
        symbol_id=read.ids[at],
        venue_id=venue_ids[at],
        side=np.where(side == 0, 1, -1),
        price=prices[row, side],
        size=sizes[at, side],
    )


def _by_day(builder: NbboBuilder, quotes: VenueQuoteBatch, timezone: str) -> list[NbboBatch]:
    days = local_days(quotes.ts_recv_ns, timezone)
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(quotes)]
    parts = []
    for start, stop in itertools.pairwise(edges):
        builder.clear()
        parts.append(builder.update(quotes.take(slice(start, stop))))
    return parts
