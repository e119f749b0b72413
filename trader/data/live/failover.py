"""Which of several sources each symbol is taken from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.market import QuoteBatch, TradeBatch
from trader.data.live.overlap import Overlap
from trader.data.live.troubles import Trouble, Troubles
from trader.data.ring import RingBuffers
from trader.settings.live import LiveSettings

__all__ = ["Emit", "Failover"]

Rows = TradeBatch | QuoteBatch
Emit = Callable[[Rows, int, int], None]
"""Given rows, or none; the watermark; and how far event times were moved back. Times in nanoseconds."""
_NEVER = -(2**62)
_SAME_NS = 100_000_000
"""A source is behind another one if its newest event is older than the other's by more than this."""


class Failover:
    """Takes every symbol from one source at a time, and from another one when that falls behind.

    All sources are connected; of those that a symbol is not taken from, its newest `standby_rows` are kept. A source
    owes a symbol what another one brought that is newer than all of its own, trades that a rule left out of its own
    included. When the source that a symbol is taken from has owed for `switch_after_s`, the first that owes nothing
    takes over, beginning with what it has brought since the last row passed on. A source of higher priority takes
    over again when it has owed nothing for `return_after_s`. What both brought around a switch is passed on once
    (`Overlap`).

    Parameters
    ----------
    names : sequence of str
        Sources in the order of their priority.
    symbols : sequence of str
    settings : LiveSettings
    emit : callable
    troubles : Troubles
        Told of switches.
    """

    def __init__(
        self, names: Sequence[str], symbols: Sequence[str], settings: LiveSettings, emit: Emit, troubles: Troubles
    ) -> None:
        self._names = names
        self._symbols = symbols
        self._emit = emit
        self._troubles = troubles
        self._switch_ns = int(settings.switch_after_s * 1e9)
        self._return_ns = int(settings.return_after_s * 1e9)
        shape = (len(names), len(symbols))
        self._active = np.full(len(symbols), -1)
        self._event_ns = np.full(shape, _NEVER)
        self._come_ns = np.full(shape, _NEVER)
        self._owed_ns = np.full(shape, _NEVER)
        self._well_ns = np.full(shape, _NEVER)
        self._watermark_ns = np.full(len(names), _NEVER)
        self._told_ns = self._received_ns = _NEVER
        self._ahead_ns = [0 for _ in names]
        self._standby_rows = settings.standby_rows
        self._held: list[RingBuffers[Any] | None] = [None for _ in names]
        self._overlap = Overlap(3 * self._switch_ns)
        self.switches = 0
        """How often a symbol went from one source to another."""

    def active(self) -> dict[str, str]:
        """Return the source of each symbol; empty before one brought it."""
        names = [*self._names, ""]
        return {symbol: names[place] for symbol, place in zip(self._symbols, self._active.tolist(), strict=True)}

    def place_of(self, symbol_id: int) -> int:
        """Return the position of a symbol's source; 0 before one brought it."""
        return max(0, int(self._active[symbol_id]))

    def health(self, now_ns: int) -> dict[str, float]:
        """Return the share of symbols of which each source owes nothing, among those that any has brought."""
        known = (self._event_ns > _NEVER).any(axis=0)
        well = known & (self._event_ns > _NEVER) & ~self._is_behind(now_ns)
        return dict(zip(self._names, (well.sum(axis=1) / max(1, known.sum())).tolist(), strict=True))

    def counts(self) -> dict[str, int]:
        """Return how many rows were left out around switches, by reason."""
        found = {"other_source": self._overlap.duplicates, "superseded": self._overlap.superseded}
        return {reason: n for reason, n in found.items() if n}

    def put(self, place: int, rows: Rows, watermark_ns: int, ahead_ns: int) -> None:
        """Take in rows of a source, or none; its watermark; and how far its event times were moved back."""
        if len(self._names) == 1:
            self._emit(rows, watermark_ns, ahead_ns)
            return
        # Until a switch is due, rows of another source may still be those of an open but mute one.
        self._watermark_ns[place] = watermark_ns if len(rows) else watermark_ns - self._switch_ns
        self._ahead_ns[place] = ahead_ns
        if len(rows):
            self._note(place, rows)
            is_taken = self._active[rows.symbol_id] == place
            if not is_taken.all():
                self._hold(place, rows.take(~is_taken))
            rows = self._overlap.new_of(rows.take(is_taken), ahead_ns)
        self._pass_on(rows, ahead_ns)

    def note_barred(self, place: int, come_ns: Mapping[int, int]) -> None:
        """Take in how far symbols of a source have come, by the vendor's stamps, of which it left trades out by a rule.

        It owes nothing up to there, and others do not owe what it left out.
        """
        if len(self._names) == 1:
            return
        here = np.array(list(come_ns))
        self._come_ns[place, here] = np.maximum(self._come_ns[place, here], list(come_ns.values()))
        owes = self._come_ns[place, here] < self._event_ns[:, here].max(axis=0) - _SAME_NS
        self._owed_ns[place, here[~owes]] = _NEVER

    def look(self, now_ns: int) -> None:
        """Switch what has to be; to be called every few milliseconds."""
        if len(self._names) == 1:
            return
        behind = self._is_behind(now_ns)
        well = ~behind & (self._event_ns > _NEVER)
        self._well_ns = np.where(well, np.where(self._well_ns == _NEVER, now_ns, self._well_ns), _NEVER)
        returned = well & (now_ns - self._well_ns >= self._return_ns)
        for symbol_id in np.flatnonzero(self._active >= 0).tolist():
            active = self._active[symbol_id]
            usable = well[:, symbol_id] if behind[active, symbol_id] else returned[:active, symbol_id]
            if usable.any() and int(usable.argmax()) != active:
                self._switch(symbol_id, int(usable.argmax()), now_ns)

    def _is_behind(self, now_ns: int) -> NDArray[np.bool_]:
        return (self._owed_ns > _NEVER) & (now_ns - self._owed_ns > self._switch_ns)

    def _note(self, place: int, rows: Rows) -> None:
        """Write down what the source has brought, and what the others owe now, by the vendors' own stamps."""
        now_ns = int(rows.ts_recv_ns[-1])
        newest = np.full(len(self._symbols), _NEVER)
        np.maximum.at(newest, rows.symbol_id, self._stamps(rows, place))
        here = np.flatnonzero(newest > _NEVER)
        self._event_ns[place, here] = np.maximum(self._event_ns[place, here], newest[here])
        self._come_ns[place, here] = np.maximum(self._come_ns[place, here], newest[here])
        self._active[here[self._active[here] < 0]] = place
        owes = self._come_ns[:, here] < self._event_ns[:, here].max(axis=0) - _SAME_NS
        owed = self._owed_ns[:, here]
        self._owed_ns[:, here] = np.where(owes, np.where(owed == _NEVER, now_ns, owed), _NEVER)

    def _switch(self, symbol_id: int, to: int, now_ns: int) -> None:
        before = int(self._active[symbol_id])
        self._active[symbol_id] = to
        self.switches += 1
        why = f"{self._names[to]} is well again" if to < before else f"{self._names[before]} is behind"
        detail = f"from {self._names[before]} to {self._names[to]}: {why}"
        self._troubles.add(Trouble(now_ns, "source_switched", detail, self._symbols[symbol_id], source=self._names[to]))
        self._overlap.begin(symbol_id)
        held = self._held[to]
        if held is None:
            return
        waiting = held.last(symbol_id, self._standby_rows)
        newest_ns = self._event_ns[before, symbol_id]
        if held.discard(symbol_id) == self._standby_rows and self._stamps(waiting, to).min() > newest_ns:
            detail = (
                f"feed.live.standby_rows={self._standby_rows} rows of {self._names[to]} do not reach back far enough"
            )
            self._troubles.add(Trouble(now_ns, "gap", detail, self._symbols[symbol_id], source=self._names[to]))
        late = self._overlap.new_of(waiting, self._ahead_ns[to])
        if len(late):
            self._pass_on(late, self._ahead_ns[to])

    def _stamps(self, rows: Rows, place: int) -> NDArray[np.int64]:
        """Return the vendor's own stamps."""
        return rows.ts_event_ns + self._ahead_ns[place]

    def _hold(self, place: int, rows: Rows) -> None:
        """Keep rows that are not taken; the oldest of a symbol are overwritten when there is no more room."""
        held = self._held[place]
        if held is None:
            held = self._held[place] = RingBuffers(type(rows), len(self._symbols), self._standby_rows)
        held.append(rows)

    def _pass_on(self, rows: Rows, ahead_ns: int) -> None:
        active = np.unique(self._active[self._active >= 0])
        # No active source has more to tell of the time before.
        watermark_ns = int(self._watermark_ns[active].min()) if active.size else _NEVER
        if len(rows):
            # Receipt here is what orders rows of several sources.
            begin_ns = max(self._received_ns + 1, int(rows.ts_recv_ns[0]))
            received = np.maximum(rows.ts_recv_ns, begin_ns + np.arange(len(rows)))
            self._received_ns = int(received[-1])
            rows = type(rows)(**(rows.columns() | {"ts_recv_ns": received}))
        elif watermark_ns <= self._told_ns:
            return
        self._told_ns = max(self._told_ns, watermark_ns)
        self._emit(rows, self._told_ns, ahead_ns)
