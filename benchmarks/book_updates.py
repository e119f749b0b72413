"""An order book kept up to date by diffs, its ten best levels read after each: ours beside two sorted dictionaries."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sortedcontainers import SortedDict

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, alternate, in_process
from trader.data.book import BookDiff, BookSync
from trader.data.live.capture import read_capture

__all__ = ["run"]

_SHARED = Path(os.environ.get("TRADER_SHARED_DATA", Path(__file__).parents[2] / "shared/data"))
_CAPTURE = _SHARED / "lob/binance_usdm_btcusdt_20240808.gz"
_LEVELS = 10
_PASSES = 3
_SEED = 7


class Replay(NamedTuple):
    """A snapshot and the diffs after it; rows of price and size."""

    name: str
    last: int
    bids: NDArray[np.float64]
    asks: NDArray[np.float64]
    diffs: Sequence[BookDiff]

    @property
    def n_updates(self) -> int:
        """Levels that the diffs set."""
        return sum(len(np.asarray(side)) for diff in self.diffs for side in (diff.bids, diff.asks))


def run(options: Options) -> Result:
    """Measure level updates a second on one core, decoded beforehand."""
    replay = _captured() if _CAPTURE.exists() else _made(6_500)
    if options.quick:
        replay = replay._replace(diffs=replay.diffs[: len(replay.diffs) // 10])
    mine = _book(replay)()
    theirs = _dictionaries(replay)()
    if not np.array_equal(mine, theirs):
        raise AssertionError("the books differ")
    work = _PASSES * replay.n_updates
    outcomes = alternate(
        [
            Contender("BookSync", "ours", work, in_process(_times(_book(replay))), versions_of(["numba", "numpy"])),
            Contender(
                "two SortedDicts",
                "peer",
                work,
                in_process(_times(_dictionaries(replay))),
                versions_of(["sortedcontainers"]),
                "numbers of diffs not checked",
            ),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )
    return Result(
        "book_updates",
        "Order book: diffs applied, the ten best levels of both sides read after each",
        "level updates",
        {
            "data": replay.name,
            "diffs": len(replay.diffs),
            "updates_per_diff": replay.n_updates / len(replay.diffs),
            "passes": _PASSES,
        },
        outcomes,
        [Target("level updates/s on one core", "updates/s", outcomes[0].rate, ">=", 500_000)],
        {"the last ten levels are equal": True},
    )


def _times(work: Callable[[], Any]) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(_PASSES):
            work()

    return repeat


def _book(replay: Replay) -> Callable[[], NDArray[np.float64]]:
    def work() -> NDArray[np.float64]:
        sync = BookSync()
        sync.on_snapshot(replay.last, replay.bids, replay.asks)
        depth = sync.book.depth(_LEVELS)
        for diff in replay.diffs:
            sync.on_diff(diff)
            depth = sync.book.depth(_LEVELS)
        return np.array([depth.bid, depth.bid_size, depth.ask, depth.ask_size])

    return work


def _dictionaries(replay: Replay) -> Callable[[], NDArray[np.float64]]:
    # Tuples beforehand, for it is what a dictionary is fed with.
    diffs = [tuple(_pairs(side) for side in (diff.bids, diff.asks)) for diff in replay.diffs if diff.last > replay.last]

    def work() -> NDArray[np.float64]:
        bids = SortedDict({-price: size for price, size in _pairs(replay.bids)})
        asks = SortedDict(_pairs(replay.asks))
        best: list[tuple[float, float]] = []
        for new_bids, new_asks in diffs:
            for price, size in new_bids:
                if size:
                    bids[-price] = size
                else:
                    bids.pop(-price, None)
            for price, size in new_asks:
                if size:
                    asks[price] = size
                else:
                    asks.pop(price, None)
            best = [*bids.items()[:_LEVELS], *asks.items()[:_LEVELS]]
        levels = np.array(best).reshape(2, _LEVELS, 2)
        return np.array([-levels[0, :, 0], levels[0, :, 1], levels[1, :, 0], levels[1, :, 1]])

    return work


def _pairs(side: Any) -> list[tuple[float, float]]:
    return [(price, size) for price, size in np.asarray(side).tolist()]


def _captured() -> Replay:
    """Return the first snapshot of the capture, and the diffs from it on."""
    snapshot: dict[str, Any] | None = None
    diffs: list[BookDiff] = []
    for message in read_capture(_CAPTURE):
        content = msgspec.json.decode(message.payload)
        if "lastUpdateId" in content:
            snapshot = snapshot or content
        elif content.get("data", {}).get("e") == "depthUpdate":
            data = content["data"]
            diffs.append(BookDiff(data["U"], data["u"], data["pu"], _levels(data["b"]), _levels(data["a"])))
    if snapshot is None:
        raise AssertionError(f"{_CAPTURE} holds no snapshot")
    last = int(snapshot["lastUpdateId"])
    after = [diff for diff in diffs if diff.last >= last]
    return Replay(_CAPTURE.name, last, _levels(snapshot["bids"]), _levels(snapshot["asks"]), after)


def _made(n_diffs: int) -> Replay:
    """Return diffs around a price that wanders, where there is no capture."""
    rng = np.random.default_rng(_SEED)
    steps = np.arange(1, 1001)[:, None] * 0.1
    size = np.ones((1000, 1))
    diffs = []
    middle = 60_000.0
    for number in range(n_diffs):
        middle += 0.1 * int(rng.integers(-1, 2))
        away = 0.1 * rng.integers(1, 1000, (2, 40, 1))
        sizes = rng.integers(0, 4, (2, 40, 1)).astype(float)
        crossed = np.array([[middle + 0.1 * n, 0.0] for n in range(-3, 4)])
        bids = np.vstack([crossed, np.hstack([np.round(middle - 0.3 - away[0], 1), sizes[0]])])
        asks = np.vstack([crossed, np.hstack([np.round(middle + 0.3 + away[1], 1), sizes[1]])])
        diffs.append(BookDiff(number, number, number - 1, np.round(bids, 1), np.round(asks, 1)))
    bids, asks = np.hstack([60_000 - steps, size]), np.hstack([60_000 + steps, size])
    return Replay("made", -1, np.round(bids, 1), np.round(asks, 1), diffs)


def _levels(rows: Any) -> NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(-1, 2)
