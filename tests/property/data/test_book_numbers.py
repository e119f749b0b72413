"""Whatever becomes of the diffs on their way, no quote tells of a book that never was."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.books import N_LEVELS, STEP_MS, check_depth, check_rows, make_diffs
from tests.support.live import BEGIN_MS
from trader.core.market import QuoteBatch, Universe
from trader.data.live.binance_book import BinanceBookDecoder
from trader.data.live.depth_log import DepthLog

N = 25
MADE = {is_spot: make_diffs(N, seed=5, is_spot=is_spot) for is_spot in (False, True)}
EVENTS = [(BEGIN_MS + place * STEP_MS) * 1_000_000 for place in range(N)]


@settings(max_examples=60, deadline=None)
@given(
    is_spot=st.booleans(),
    fates=st.lists(st.sampled_from("ooooooooodxr"), min_size=N, max_size=N),
    snapshots=st.lists(st.integers(-6, 0) | st.none(), min_size=2 * N, max_size=2 * N),
    breaks=st.sets(st.integers(0, N - 1), max_size=2),
)
def test_no_quote_is_of_a_book_that_never_was(
    is_spot: bool, fates: list[str], snapshots: list[int | None], breaks: set[int]
) -> None:
    """Diffs dropped (x), doubled (d) and late (r), snapshots of now or older, and connections that end."""
    diffs = MADE[is_spot]
    decoder, log = BinanceBookDecoder(Universe(("BTCUSDT",))), DepthLog(N_LEVELS)
    decoder.keep_depth(log)
    order: list[int] = []
    late: list[int] = []
    for place, fate in enumerate(fates):
        if fate == "r":
            late.append(place)
            continue
        order += [place] * {"o": 1, "d": 2, "x": 0}[fate] + late
        late = []
    recv_ns, newest = 2 * 10**18, 0
    for step, place in enumerate(order):
        recv_ns += 10**6
        newest = max(newest, place)
        if step in breaks:
            decoder.forget()
        decoder.on_message(diffs[place].payload, recv_ns)
        age = snapshots[step % len(snapshots)]
        if decoder.wanted() and age is not None:
            found = diffs[max(0, newest + age)].snapshot
            sides = [[(float(price), float(size)) for price, size in found[side]] for side in ("bids", "asks")]
            decoder.on_snapshot("BTCUSDT", found["lastUpdateId"], *sides, recv_ns + 5)
    rows = decoder.take(recv_ns + 10)
    assert isinstance(rows, QuoteBatch)
    assert rows.ts_recv_ns.tolist() == sorted(set(rows.ts_recv_ns.tolist()))
    places = check_rows(diffs, rows)
    assert rows.ts_event_ns.tolist() == [EVENTS[place] for place in places]
    assert places == sorted(set(places))
    assert set(places) <= set(check_depth(diffs, log.take().depth))
    counts = decoder.counts()
    if not counts.get("book_gap") and not breaks:
        assert np.all(np.diff(places) == 1)
