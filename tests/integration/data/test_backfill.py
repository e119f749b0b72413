"""What a stream misses is fetched over REST, against the reference server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.integration.data.test_live_feed import feed_of, read, rows_of
from tests.support.live import serving, write_capture

N = 400


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("capture") / "trades", N)


@pytest.mark.parametrize("fault", ["close:1006@100", "close:1000@100", "mute@100"])
def test_a_reconnection_leaves_no_hole(capture: Path, fault: str) -> None:
    """What happened between two connections comes in its place, before what came after it."""
    is_mute = fault.startswith("mute")
    with serving(capture, fault, speed=1.0) as server:
        feed = feed_of(server, backfill=True, stale_s=0.75 if is_mute else 60.0, backoff_first_s=0.1)
        rows = read(feed)
    assert len(rows) == N
    assert rows.price.tolist() == [100.0 + place % 7 for place in range(N)]
    assert (np.diff(rows.ts_event_ns) >= 0).all()
    assert (np.diff(rows.ts_recv_ns) > 0).all()
    assert (rows.ts_recv_ns >= rows.ts_event_ns).all()
    kinds = [trouble.kind for trouble in feed.troubles()]
    assert kinds == ["stale" if is_mute else "disconnected", "filled"]
    assert "lost" not in feed.rejected()


def test_skipped_numbers_are_fetched(capture: Path) -> None:
    """A hole within a connection is filled late: the rows are there, and nothing counts as lost."""
    with serving(capture, "skip:4@100", "skip:1@200", speed=4.0) as server:
        feed = feed_of(server, backfill=True)
        rows = read(feed)
    assert sorted(rows.price.tolist()) == sorted(100.0 + place % 7 for place in range(N))
    assert "lost" not in feed.rejected()
    assert [(trouble.kind, trouble.count) for trouble in feed.troubles()] == [("filled", 4), ("filled", 1)]


def test_two_passes_leave_no_hole(capture: Path) -> None:
    """A pass that is broken off, as by the death of a shard, is followed by one that fetches what passed meanwhile."""
    with serving(capture, speed=2.0) as server:
        feed = feed_of(server, backfill=True)
        stream = feed.batches()
        first = rows_of(batch for _, batch in zip(range(20), stream, strict=False))
        stream.close()
        unread = feed.rejected().get("unread", 0)
        second = read(feed, N - len(first) - unread)
    assert len(first) + unread + len(second) == N
    assert "lost" not in feed.rejected()
