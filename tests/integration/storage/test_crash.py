"""A writer is killed at random moments: what it acknowledged is there, and all tables agree."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trader.core.orders import FillBatch, OrderBatch, format_order_id
from trader.storage import Store

ROUNDS = 3
WRITER = Path(__file__).parent / "crash_writer.py"


def _write_until_killed(url: str, rng: np.random.Generator) -> int:
    """Let a process append for a random while, kill it, and return the last number it acknowledged."""
    command = [sys.executable, str(WRITER), url, "r1", str(rng.integers(1 << 30))]
    root = str(Path(__file__).parents[3])
    env = os.environ | {"PYTHONPATH": root}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as child:  # noqa: S603 - our own script
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.15))
        child.kill()
        acknowledged = [first, *child.stdout.read().split("\n")[:-1]]
    assert first, "the writer died by itself"
    return int(acknowledged[-1])


def _check(store: Store, made: ModuleType, last: int) -> None:
    numbers = range(last + 1)
    decisions = store.decisions("r1")
    assert decisions.seq.tolist() == list(numbers)
    np.testing.assert_array_equal(decisions.positions, [made.decision(seq).positions for seq in numbers])
    assert store.fill_batch("r1") == FillBatch.concat([made.fills(seq) for seq in numbers])
    orders = store.orders("r1").to_pylist()
    expected = OrderBatch.concat([made.orders(seq) for seq in numbers]).order_id.tolist()
    accepted = [row["order_id"] for row in orders if row["verdict"] == "accepted"]
    assert accepted == [format_order_id(i) for i in expected]
    assert len(orders) - len(accepted) == sum(len(made.decision(seq).denials) for seq in numbers)
    assert len(store.events("r1", "order_denied")) == len(orders) - len(accepted)
    assert store.loop_state("r1") == {"seq": last, "cash": made.decision(last).cash}


@pytest.mark.slow
def test_killed_writer_loses_nothing(store: Store, store_url: str, made: ModuleType) -> None:
    """After each kill every acknowledged decision is there, whole, and a new writer goes on without a hole."""
    rng = np.random.default_rng(20240506)
    last = -1
    for _ in range(ROUNDS):
        acknowledged = _write_until_killed(store_url, rng)
        with Store.open(store_url) as reopened:
            stored = reopened.last_seq("r1")
            assert stored >= acknowledged > last
            _check(reopened, made, stored)
            if stored:  # what a restarted loop may do: write again what it is not sure of
                assert made.append(reopened, "r1", stored - 1, stored + 1).decisions == 0
        last = stored
