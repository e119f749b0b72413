"""Diffs of an order book made by code, and the book that two dictionaries say they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tests.support.live import BEGIN_MS

N_LEVELS = 5
STEP_MS = 4


class MadeDiff(NamedTuple):
    """A diff; the best levels after it, shape (2, N_LEVELS, 2), bids first; and a snapshot taken right after it.

    The size of the best bid is the diff's place, so a quote says which diff it belongs to.
    """

    payload: bytes
    truth: np.ndarray
    snapshot: dict[str, Any]


def make_diffs(n: int, seed: int = 0, *, is_spot: bool = False, symbol: str = "BTCUSDT") -> list[MadeDiff]:
    """`n` diffs of a book whose prices walk; diff 0 sets all of its levels."""
    rng = np.random.default_rng(seed)
    book: dict[str, dict[int, float]] = {"b": {}, "a": {}}
    middle, number, made = 1000, 100, []
    for place in range(n):
        middle += int(rng.integers(-2, 3))
        changes: dict[str, dict[int, float]] = {"b": {}, "a": {}}
        for side, sign in (("b", -1), ("a", 1)):
            crossed = [price for price in book[side] if sign * (price - middle) <= 0]
            changes[side] |= dict.fromkeys(crossed, 0.0)
            for away in range(1, 9) if place == 0 else rng.integers(1, 12, 3).tolist():
                changes[side][middle + sign * away] = float(rng.integers(0, 4) if place and away > 1 else 1)
        # The best bid is always there, and tells the place.
        changes["b"][middle - 1] = place + 1.0
        changes["a"].setdefault(middle + 1, 2.0)
        for side, levels in changes.items():
            book[side] |= levels
            book[side] = {price: size for price, size in book[side].items() if size}
        first, last = number + 1, number + int(rng.integers(1, 9))
        ms = BEGIN_MS + place * STEP_MS
        texts = {side: [[f"{price / 10:.2f}", f"{size:.3f}"] for price, size in changes[side].items()] for side in "ba"}
        data: dict[str, Any] = {"e": "depthUpdate", "E": ms, "s": symbol, "U": first, "u": last, **texts}
        if not is_spot:
            data |= {"T": ms, "pu": number}
        number = last
        bids = sorted(book["b"].items(), reverse=True)
        asks = sorted(book["a"].items())
        truth = np.full((2, N_LEVELS, 2), np.nan)
        for side_id, levels_ in enumerate((bids, asks)):
            for level, (price, size) in enumerate(levels_[:N_LEVELS]):
                truth[side_id, level] = price / 10, size
        snapshot = {
            "lastUpdateId": last,
            "bids": [[f"{price / 10:.2f}", f"{size:.3f}"] for price, size in bids],
            "asks": [[f"{price / 10:.2f}", f"{size:.3f}"] for price, size in asks],
        }
        payload = msgspec.json.encode({"stream": f"{symbol.lower()}@depth@100ms", "data": data})
        made.append(MadeDiff(payload, truth, snapshot))
    return made


def write_book_capture(path: Path, diffs: list[MadeDiff], rest_ms: int = 0) -> Path:
    """A capture of diffs, 2 ms apart by receipt, with a snapshot after the second.

    After the third there is time to fetch it, and `rest_ms` before the last five to come back from trouble.
    """
    lines = []
    for place, diff in enumerate(diffs):
        pauses_ms = (1000 if place > 2 else 0) + (rest_ms if place >= len(diffs) - 5 else 0)
        recv_ns = (BEGIN_MS + 2 * place + pauses_ms) * 1_000_000
        lines.append(b"%d " % recv_ns + diff.payload)
        if place == 1:
            lines.append(b"%d " % (recv_ns + 1) + msgspec.json.encode(diff.snapshot))
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def check_rows(diffs: list[MadeDiff], rows: Any) -> list[int]:
    """Assert that every quote is one that the book had after some diff; return the places of the diffs."""
    places = [int(size) - 1 for size in rows.bid_size.tolist()]
    found = np.stack([rows.bid, rows.bid_size, rows.ask, rows.ask_size], axis=1).reshape(-1, 2, 2)
    expected = np.array([diffs[place].truth[:, 0] for place in places]).reshape(-1, 2, 2)
    np.testing.assert_array_equal(found, expected)
    return places


def check_depth(diffs: list[MadeDiff], depth: Any) -> list[int]:
    """Assert that every state is one that the book had after some diff; return the places of the diffs."""
    places = [int(size) - 1 for size in depth.bid_size[:, 0].tolist()]
    bids = np.stack([depth.bid, depth.bid_size], axis=-1)
    asks = np.stack([depth.ask, depth.ask_size], axis=-1)
    expected = np.array([diffs[place].truth for place in places]).reshape(-1, 2, N_LEVELS, 2)
    np.testing.assert_array_equal(np.stack([bids, asks], axis=1), expected)
    return places
