"""Writers are killed at random moments: what they acknowledged is there, and all tables agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from trader.core.orders import FillBatch, OrderBatch, format_order_id
from trader.storage import Store

ROUNDS = 12
ROOT = Path(__file__).parents[3]
WRITER = Path(__file__).parent / "crash_writer.py"


def test_killed_writers_lose_nothing(store: Store, store_url: str, made: ModuleType) -> None:
    """Writers, each killed and each going on where the last one stopped, write what one would have."""
    done = subprocess.run(
        [sys.executable, str(WRITER), store_url, "r1", "20240506", str(ROUNDS)],
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == ROUNDS
    before = -1
    for row in rounds:
        assert row["stored"] >= row["acknowledged"] > before, row
        assert row["state"] == row["stored"], row
        before = row["stored"]
    numbers = range(before + 1)
    decisions = store.decisions("r1")
    assert decisions.seq.tolist() == list(numbers)
    np.testing.assert_array_equal(decisions.positions, [made.decision(seq).positions for seq in numbers])
    assert store.fill_batch("r1") == FillBatch.concat([made.fills(seq) for seq in numbers])
    orders = store.orders("r1").to_pylist()
    expected = OrderBatch.concat([made.orders(seq) for seq in numbers]).order_id.tolist()
    accepted = [row["order_id"] for row in orders if row["verdict"] == "accepted"]
    assert accepted == [format_order_id(i) for i in expected]
    denied = sum(len(made.decision(seq).denials) for seq in numbers)
    assert len(orders) - len(accepted) == len(store.events("r1", "order_denied")) == denied
