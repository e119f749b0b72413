"""Decisions that are a pure function of their number, and processes that write them until they are killed.

Run as `python crash_writer.py URL RUN_ID SEED ROUNDS`: each round a writer goes on after the last decision of the
run and is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import numpy as np

from trader.core.decision import Decision, StateChange
from trader.core.events import trace_id_of
from trader.core.orders import (
    Denial,
    DenialReason,
    FillBatch,
    OrderBatch,
    OrderKind,
    TradingState,
    fill_ids,
    order_ids,
)
from trader.core.protocols import Withdrawal
from trader.storage import RunRecord, Store

SYMBOLS = ("AAPL", "MSFT", "XOM", "GE")
FEATURES = ("ret_1", "vol_20", "rsi_14")
N = len(SYMBOLS)
DAY_NS = 86_400_000_000_000


def run_record(run_id: str = "r1") -> RunRecord:
    return RunRecord(
        run_id=run_id,
        mode="backtest",
        created_ns=1_700_000_000_000_000_000,
        seed=7,
        symbols=SYMBOLS,
        settings={"run": {"seed": 7}, "risk": {"max_gross": None}},
        data_fingerprint="f" * 64,
        code_version="0.1.0",
        feature_names=FEATURES,
        member_names=("momentum@1", "linear@3"),
        extra={"quality": {"gaps": 2}},
    )


def features(seq: int) -> np.ndarray:
    return np.random.default_rng((99, seq)).normal(size=(N, len(FEATURES)))


def orders(seq: int) -> OrderBatch:
    rng = np.random.default_rng((1, seq))
    count = int(rng.integers(0, N + 1))
    limit = rng.random(count) < 0.5
    return OrderBatch(
        order_id=order_ids(seq, count),
        symbol_id=rng.permutation(N)[:count],
        side=rng.choice([-1, 1], count),
        quantity=rng.uniform(1, 100, count),
        kind=np.where(limit, OrderKind.LIMIT, OrderKind.MARKET),
        limit_price=np.where(limit, rng.uniform(10, 20, count), np.nan),
        time_in_force=rng.integers(0, 2, count),
        ts_ns=np.full(count, seq * DAY_NS),
        reference_price=rng.uniform(10, 20, count),
    )


def fills(seq: int) -> FillBatch:
    """Fill all but the last order of the decision before."""
    if seq == 0:
        return FillBatch.empty()
    before = orders(seq - 1)
    filled = before.take(slice(0, max(len(before) - 1, 0)))
    n = len(filled)
    rng = np.random.default_rng((2, seq))
    return FillBatch(
        fill_id=fill_ids(filled.order_id, np.zeros(n, np.int64)),
        order_id=filled.order_id,
        symbol_id=filled.symbol_id,
        side=filled.side,
        quantity=filled.quantity,
        price=rng.uniform(10, 20, n),
        commission=rng.uniform(0, 1, n),
        spread_cost=rng.uniform(0, 1, n),
        impact_cost=rng.uniform(0, 1, n),
        ts_ns=np.full(n, seq * DAY_NS),
    )


def decision(seq: int) -> Decision:
    rng = np.random.default_rng((3, seq))
    made = orders(seq)
    denials: tuple[Denial, ...] = ()
    if seq % 3 == 0:
        denied = int(order_ids(seq, len(made) + 1)[-1])
        denials = (Denial(denied, seq % N, DenialReason.GROSS_LIMIT, 1.7, 1.5),)
    withdrawals: tuple[Withdrawal, ...] = ()
    if seq and len(before := orders(seq - 1)):
        rejected = bool(seq % 2)
        withdrawals = (Withdrawal(int(before.order_id[-1]), int(before.symbol_id[-1]), 5.0, "no liquidity", rejected),)
    changes = (StateChange(TradingState.ACTIVE, TradingState.REDUCING, "daily_loss", "-6 %"),) if seq == 4 else ()
    prices = rng.uniform(10, 20, N)
    prices[seq % N] = np.nan
    names = ("momentum@1", "linear@3") if seq < 6 else ("momentum@1", "linear@4")
    return Decision(
        seq=seq,
        ts_ns=seq * DAY_NS,
        equity=float(rng.uniform(9e5, 1.1e6)),
        cash=float(rng.uniform(0, 1e5)),
        positions=rng.normal(size=N),
        prices=prices,
        score=rng.normal(size=N),
        members={name: rng.normal(size=N) for name in names},
        target=rng.normal(size=N),
        orders=made,
        denials=denials,
        fills=fills(seq),
        withdrawals=withdrawals,
        state_changes=changes,
    )


def append(store: Store, run_id: str, start: int, stop: int) -> object:
    """Write the decisions from `start` to `stop` (exclusive) with the state that follows from the last."""
    numbers = range(start, stop)
    return store.append(
        run_id,
        [decision(seq) for seq in numbers],
        traces=[trace_id_of(run_id, seq) for seq in numbers],
        loop_state={"seq": stop - 1, "cash": decision(stop - 1).cash},
        latency_ns=[1000 + seq if seq % 2 else None for seq in numbers],
        features=[features(seq) for seq in numbers],
        feed_seq=[10 * seq for seq in numbers],
    )


def write_forever(url: str, run_id: str, seed: int, acknowledge: int) -> None:
    """Append groups of random size after the last decision; say each last number once it is written."""
    rng = np.random.default_rng(seed)
    with Store.open(url) as store:
        start = store.last_seq(run_id) + 1
        while True:
            stop = start + int(rng.integers(1, 9))
            append(store, run_id, start, stop)
            os.write(acknowledge, f"{stop - 1}\n".encode())
            start = stop


def main(url: str, run_id: str, first_seed: int, rounds: int) -> None:
    """Kill a writer at a random moment, `rounds` times; print what it acknowledged and what the store has."""
    rng = np.random.default_rng(first_seed)
    for seed in rng.integers(1 << 30, size=rounds).tolist():
        read_end, write_end = os.pipe()
        child = os.fork()  # spares each writer the second that imports take; this process has no threads
        if child == 0:
            write_forever(url, run_id, seed, write_end)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            acknowledged = pipe.readline()
            time.sleep(rng.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            acknowledged = [acknowledged, *pipe.read().split("\n")[:-1]][-1]
        with Store.open(url) as store:
            state = store.loop_state(run_id) or {}
            row = {"acknowledged": int(acknowledged), "stored": store.last_seq(run_id), "state": state.get("seq")}
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
