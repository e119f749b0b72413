"""Keeping a book in step with Binance's numbered diffs.

A diff carries the numbers of its first and last update, `U` and `u`; on the futures markets also `pu`, the last
update of the diff before. Diffs are held until a snapshot comes, those that end before it are old, and the first one
applied must span it. From then on `pu` must be the `u` of the diff before (spot: `U` the one after it). Otherwise
something is missing: the book is thrown away and a new snapshot asked for.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from trader.data.book.book import OrderBook

__all__ = ["BookDiff", "BookSync", "Outcome"]

Outcome = Literal["applied", "held", "old", "gap"]
"""What became of a diff: applied to the book; held until a snapshot comes; older than the book, and left out; or not
the next one, and held until a snapshot comes."""
_HELD = 10_000


class BookDiff(NamedTuple):
    """Changed levels, rows of price and size, shape (n, 2), and their numbers; `previous` is None on spot markets.

    `event_ns` is when they changed, for those who want to know; the book does not.
    """

    first: int
    last: int
    previous: int | None
    bids: ArrayLike
    asks: ArrayLike
    event_ns: int = 0


class BookSync:
    """An order book that knows whether it is complete.

    Parameters
    ----------
    held : int, default=10_000
        Largest number of diffs kept while there is no snapshot; the oldest go first, and are counted in `overflowed`.

    Examples
    --------
    >>> sync = BookSync()
    >>> sync.on_diff(BookDiff(5, 8, 4, [(9.0, 1.0)], []))
    'held'
    >>> sync.on_snapshot(6, [(9.0, 3.0)], [(10.0, 2.0)])
    True
    >>> sync.on_diff(BookDiff(11, 12, 10, [], [])), sync.needs_snapshot
    ('gap', True)
    """

    def __init__(self, held: int = _HELD) -> None:
        if held < 1:
            raise ValueError(f"held={held}; 1 or more is allowed")
        self.book = OrderBook()
        self.gaps = 0
        """How often the book was thrown away."""
        self.old = 0
        """Diffs left out because the book had them, repeats among them."""
        self.overflowed = 0
        """Held diffs let go of, because no snapshot came."""
        self.crossed = 0
        """Times the book was thrown away because its sides crossed."""
        self._held: collections.deque[BookDiff] = collections.deque()
        self._capacity = held
        self._last: int | None = None
        self._bridging = False

    @property
    def needs_snapshot(self) -> bool:
        """Whether the book is not to be used until `on_snapshot` has returned True."""
        return self._last is None

    @property
    def n_held(self) -> int:
        """Diffs that wait for a snapshot."""
        return len(self._held)

    @property
    def last(self) -> int | None:
        """Number of the last update that the book holds; None while it needs a snapshot."""
        return self._last

    def on_diff(self, diff: BookDiff) -> Outcome:
        """Take a diff in, in the order of receipt."""
        if self._last is None:
            self._hold(diff)
            return "held"
        outcome = self._apply(diff)
        if outcome == "gap":
            self._throw_away()
            self._hold(diff)
        return outcome

    def on_snapshot(
        self, last: int, bids: ArrayLike, asks: ArrayLike, on_applied: Callable[[BookDiff], None] | None = None
    ) -> bool:
        """Begin with a snapshot whose last update is `last`, and the held diffs; return whether the book is complete.

        A snapshot older than the held diffs does not reach them: False, and a newer one is needed. `on_applied` is
        told of each held diff that was applied, while the book is as it left it.
        """
        self.book.clear()
        self.book.update(bids, asks)
        self._last, self._bridging = last, True
        held, self._held = self._held, collections.deque()
        while held:
            diff = held.popleft()
            outcome = self._apply(diff)
            if outcome == "applied" and on_applied is not None:
                on_applied(diff)
            if outcome == "gap":
                self._last = None
                self.book.clear()
                self._held = collections.deque([diff, *held])
                return False
        return True

    def reset(self) -> None:
        """Throw the book away, as after a reconnect."""
        self._last = None
        self._held.clear()
        self.book.clear()

    def _apply(self, diff: BookDiff) -> Outcome:
        assert self._last is not None  # noqa: S101 - both callers have made sure
        is_spot = diff.previous is None
        if diff.last < self._last or (diff.last == self._last and (is_spot or not self._bridging)):
            self.old += 1
            return "old"
        if self._bridging:
            follows = diff.first <= self._last + (1 if is_spot else 0) or diff.previous == self._last
        else:
            follows = diff.first == self._last + 1 if is_spot else diff.previous == self._last
        if not follows:
            return "gap"
        self.book.update(diff.bids, diff.asks)
        self._last, self._bridging = diff.last, False
        if self.book.is_crossed:
            self.crossed += 1
            return "gap"
        return "applied"

    def _throw_away(self) -> None:
        self.gaps += 1
        self.reset()

    def _hold(self, diff: BookDiff) -> None:
        if len(self._held) >= self._capacity:
            self._held.popleft()
            self.overflowed += 1
        # Views of a reused buffer would change under us.
        self._held.append(diff._replace(bids=np.array(diff.bids), asks=np.array(diff.asks)))
