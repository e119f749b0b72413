"""The order book: levels, its agreement with the venue's numbers, and what it says."""

from trader.data.book.book import Depth, OrderBook
from trader.data.book.features import imbalance, microprice, mid, pressure, queue_slope, spread
from trader.data.book.sync import BookDiff, BookSync

__all__ = [
    "BookDiff",
    "BookSync",
    "Depth",
    "OrderBook",
    "imbalance",
    "microprice",
    "mid",
    "pressure",
    "queue_slope",
    "spread",
]
