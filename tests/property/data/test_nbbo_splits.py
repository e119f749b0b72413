"""The national best does not depend on how quotes are batched, and equals what a plain search finds."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.data.nbbo import NbboBatch, NbboBuilder, VenueQuoteBatch

N_SYMBOLS, N_VENUES = 3, 4
ODD = [0.0, math.nan, math.inf, -1.0]


def make_quotes(seed: int, n: int) -> VenueQuoteBatch:
    """Quotes of few prices, so that venues tie, lock and cross; one in eight withdraws."""
    rng = np.random.default_rng(seed)
    side = rng.choice([-1, 1], n)
    price = 10.0 - 0.01 * side + 0.01 * rng.integers(-1, 2, n)
    size = rng.integers(1, 4, n) * 100.0
    out = rng.random(n) < 1 / 8
    price = np.where(out & (rng.random(n) < 0.5), rng.choice(ODD, n), price)
    size = np.where(out & (rng.random(n) < 0.5), rng.choice(ODD, n), size)
    return VenueQuoteBatch(
        np.arange(n), np.arange(n) + 5, rng.integers(0, N_SYMBOLS, n), rng.integers(0, N_VENUES, n), side, price, size
    )


def plainly(quotes: VenueQuoteBatch) -> list[tuple]:
    """Every change as a tuple, by looking at all venues after each quote."""
    held: dict[tuple[int, int, int], tuple[float, float]] = {}
    shown: dict[int, tuple] = {}
    changes = []
    for i in range(len(quotes)):
        symbol, venue, side = int(quotes.symbol_id[i]), int(quotes.venue_id[i]), int(quotes.side[i])
        price, size = float(quotes.price[i]), float(quotes.size[i])
        held.pop((symbol, side, venue), None)
        if 0 < price < math.inf and 0 < size < math.inf:
            held[symbol, side, venue] = price, size
        both = []
        for place in (1, -1):
            at = [quote for (s, d, _), quote in held.items() if (s, d) == (symbol, place)]
            best = (max if place == 1 else min)((p for p, _ in at), default=0.0)
            tied = [z for p, z in at if p == best]
            both += [best, sum(tied), len(tied)]
        if tuple(both) != shown.get(symbol, (0.0, 0, 0, 0.0, 0, 0)):
            shown[symbol] = tuple(both)
            changes.append((i, symbol, *both))
    return changes


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 200), cuts=st.lists(st.integers(0, 200), max_size=20))
def test_any_split_gives_the_plain_answer(seed: int, n: int, cuts: list[int]) -> None:
    """Changes and counts are the same however quotes are cut, with a restart at every cut."""
    quotes = make_quotes(seed, n)
    whole = NbboBuilder(N_SYMBOLS, N_VENUES)
    expected = whole.update(quotes)
    builder, parts = NbboBuilder(N_SYMBOLS, N_VENUES), []
    for start, stop in itertools.pairwise(sorted({0, n, *(cut for cut in cuts if cut < n)})):
        again = NbboBuilder(N_SYMBOLS, N_VENUES)
        again.restore(builder.state())
        builder = again
        parts.append(builder.update(quotes.take(slice(start, stop))))
    assert NbboBatch.concat(parts) == expected
    assert builder.counts == whole.counts

    columns = (
        expected.ts_event_ns, expected.symbol_id,
        np.nan_to_num(expected.bid), expected.bid_size, expected.bid_venues,
        np.nan_to_num(expected.ask), expected.ask_size, expected.ask_venues,
    )  # fmt: skip
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == plainly(quotes)
