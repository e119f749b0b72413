"""Features of a book against figures worked out by hand."""

from __future__ import annotations

import numpy as np

from trader.data.book import Depth, imbalance, microprice, mid, pressure, queue_slope, spread

NAN = np.nan
DEPTH = Depth(
    bid=np.array([[99.0, 98.0], [99.0, NAN], [NAN, NAN]]),
    bid_size=np.array([[3.0, 1.0], [2.0, NAN], [NAN, NAN]]),
    ask=np.array([[101.0, 103.0], [101.0, 102.0], [101.0, NAN]]),
    ask_size=np.array([[1.0, 4.0], [2.0, 1.0], [2.0, NAN]]),
)


def test_top_of_book() -> None:
    """Mid, spread, imbalance and microprice of three instants, the last without bids."""
    np.testing.assert_allclose(mid(DEPTH), [100.0, 100.0, NAN])
    np.testing.assert_allclose(spread(DEPTH), [2.0, 2.0, NAN])
    np.testing.assert_allclose(imbalance(DEPTH), [0.5, 0.0, NAN])
    np.testing.assert_allclose(microprice(DEPTH), [(99 * 1 + 101 * 3) / 4, 100.0, NAN])


def test_depth() -> None:
    """Imbalance and pressure of both levels: far ones weigh less."""
    np.testing.assert_allclose(imbalance(DEPTH, 2), [(4 - 5) / 9, (2 - 3) / 5, NAN])
    first = (3 + 1 / 2) - (1 + 4 / 3)
    np.testing.assert_allclose(pressure(DEPTH)[:2], [first / (3.5 + 7 / 3), (2 - 2.5) / 4.5])
    assert np.isnan(pressure(DEPTH)[2])


def test_queue_slope() -> None:
    """The line through the origin by least squares, against numpy's own solver."""
    bids, asks = queue_slope(DEPTH)
    for found, distance, size in ((bids[0], [100.0, 200.0], [3.0, 4.0]), (asks[0], [100.0, 300.0], [1.0, 5.0])):
        solved = np.linalg.lstsq(np.array(distance)[:, None], np.array(size), rcond=None)[0][0]
        np.testing.assert_allclose(found, solved)
    np.testing.assert_allclose(bids[1], 2 / 100)
    assert np.isnan(bids[2])
