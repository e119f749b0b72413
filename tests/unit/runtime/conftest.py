"""Batches to send, and a receiver in another process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.core.market import TradeBatch
from trader.core.protocols import FeedBatch
from trader.runtime.channel import Address
from trader.runtime.frames import encode

SCRIPT = Path(__file__).parent / "channel_peer.py"


class Peer:
    """The process; see `channel_peer.py` for what it does."""

    def __init__(self, address: Address, key: bytes, epoch: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell(json.dumps({"address": address, "key": key.hex(), "epoch": epoch}))

    def go(self) -> None:
        """Let it read."""
        self._tell("go")

    def result(self) -> dict[str, Any]:
        """Return what it received and how that ended."""
        out, _ = self.process.communicate(timeout=180)
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@pytest.fixture
def start_peer() -> Iterator[Callable[..., Peer]]:
    """Start receivers; whatever is left of them at the end of the test is killed."""
    started: list[Peer] = []

    def start(address: Address, key: bytes, epoch: int) -> Peer:
        started.append(Peer(address, key, epoch))
        return started[-1]

    yield start
    for peer in started:
        peer.process.kill()
        peer.process.communicate()


@pytest.fixture
def make_batches() -> Callable[..., list[FeedBatch]]:
    """Make batches of random ticks, numbered from 0, of the sizes asked for."""

    def make(*sizes: int) -> list[FeedBatch]:
        rng = np.random.default_rng(1)
        return [
            FeedBatch(
                seq,
                1000 * seq,
                TradeBatch(
                    ts_event_ns=rng.integers(0, 10**18, n_rows),
                    ts_recv_ns=rng.integers(0, 10**18, n_rows),
                    symbol_id=rng.integers(0, 64, n_rows),
                    price=rng.random(n_rows),
                    size=rng.random(n_rows),
                    side=rng.integers(-1, 2, n_rows),
                ),
            )
            for seq, n_rows in enumerate(sizes)
        ]

    return make


@pytest.fixture
def digests() -> Callable[[list[FeedBatch]], list[str]]:
    """Return what a receiver must report of batches."""
    return lambda batches: [hashlib.sha256(encode(batch)).hexdigest() for batch in batches]
