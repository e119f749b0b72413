from __future__ import annotations

import math

import numpy as np
import pytest

from trader.core.errors import DataError, SettingsError
from trader.data.boundary import validate_quotes
from trader.data.nbbo import NbboBatch, NbboBuilder, VenueQuoteBatch
from trader.data.nbbo.messages import CROSSED, LOCKED, NORMAL, ONE_SIDED

BID, ASK = 1, -1


def quotes(*rows: tuple[int, int, float, float]) -> VenueQuoteBatch:
    """One symbol's quotes from (venue, side, price, size)."""
    venue, side, price, size = (np.array(column) for column in zip(*rows, strict=True))
    ts = np.arange(len(rows))
    return VenueQuoteBatch(ts, ts, 0 * ts, venue, side, price, size)


@pytest.mark.parametrize("gone", [(0.0, 100.0), (9.9, 0.0), (math.nan, 100.0), (9.9, math.nan)])
def test_a_venue_that_withdraws_leaves_the_best(gone: tuple[float, float]) -> None:
    """The next venue's price and size come back; when the last one goes, the side is NaN and size 0."""
    builder = NbboBuilder(1, 2)
    builder.update(quotes((0, BID, 9.8, 300), (1, BID, 9.9, 100), (0, ASK, 10.0, 200)))
    back = builder.update(quotes((1, BID, *gone)))
    assert (back.bid.tolist(), back.bid_size.tolist(), back.state.tolist()) == ([9.8], [300.0], [NORMAL])
    left = builder.update(quotes((0, BID, 0.0, 0.0)))
    assert math.isnan(left.bid[0])
    assert (left.bid_size[0], left.bid_venues[0], left.ask[0], left.state[0]) == (0.0, 0, 10.0, ONE_SIDED)
    assert builder.counts.withdrawn == 2


def test_locked_and_crossed_are_given_out_marked_and_counted() -> None:
    """Nothing is hidden; the boundary of quotes refuses the crossed and the one-sided, and keeps the locked."""
    builder = NbboBuilder(1, 3)
    made = builder.update(
        quotes((0, BID, 9.9, 100), (0, ASK, 10.0, 100), (1, BID, 10.0, 100), (2, BID, 10.1, 100), (2, BID, 9.8, 100))
    )
    assert made.state.tolist() == [ONE_SIDED, NORMAL, LOCKED, CROSSED, LOCKED]
    counts = builder.counts
    assert (counts.quotes, counts.changes, counts.one_sided, counts.locked, counts.crossed) == (5, 5, 1, 2, 1)
    kept, refused = validate_quotes(made.quotes())
    assert (len(kept), refused) == (3, {"price_not_finite": 1, "crossed_quote": 1})


def test_a_quote_behind_the_best_changes_nothing() -> None:
    """Sizes of venues at the best price add up; others do not show."""
    builder = NbboBuilder(1, 3)
    made = builder.update(quotes((0, ASK, 10.0, 100), (1, ASK, 10.0, 250), (2, ASK, 10.1, 900), (2, ASK, 10.2, 1)))
    assert (made.ask_size.tolist(), made.ask_venues.tolist()) == ([100.0, 350.0], [1, 2])


def test_clear_forgets_quotes_but_not_counts() -> None:
    """After a day's end the first quote is the best whatever was before."""
    builder = NbboBuilder(1, 2)
    builder.update(quotes((0, BID, 9.9, 100)))
    builder.clear()
    assert builder.update(quotes((1, BID, 9.0, 100))).bid.tolist() == [9.0]
    assert builder.counts.changes == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((2, BID, 9.9, 1), "venue_id=2 in a quote; allowed are 0 to 1"),
        ((0, 0, 9.9, 1), "side=0 in a quote; allowed are 1"),
    ],
)
def test_unknown_ids_are_refused_before_anything_is_taken_in(row: tuple, message: str) -> None:
    """A batch is taken in whole or not at all."""
    builder = NbboBuilder(1, 2)
    with pytest.raises(DataError, match=message):
        builder.update(quotes((0, BID, 9.9, 100), row))
    assert builder.counts.quotes == 0
    assert len(builder.update(quotes((0, BID, 9.9, 100)))) == 1


def test_bad_arguments() -> None:
    """Errors name the argument and the value."""
    with pytest.raises(SettingsError, match="n_venues=0; at least 1 is needed"):
        NbboBuilder(1, 0)
    with pytest.raises(DataError, match=r"state of a builder of shape \(1, 2, 2\)"):
        NbboBuilder(1, 3).restore(NbboBuilder(1, 2).state())


def test_no_quotes_no_changes() -> None:
    """An empty batch is allowed."""
    assert NbboBuilder(1, 1).update(VenueQuoteBatch.empty()) == NbboBatch.empty()
