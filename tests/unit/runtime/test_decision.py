"""The decision actor answers while it waits for the ensemble or for the store."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.deciding import N_SYMBOLS, Scripted, Trading
from tests.support.waiting import wait_until
from trader.core.errors import StoreUnavailableError
from trader.core.orders import TradingState
from trader.core.protocols import Prediction
from trader.runtime.actors import RunContext
from trader.runtime.decision import DecisionActor
from trader.storage import Store
from trader.telemetry.log import LogConfig, configure_logging

EPOCH = 1
DAYS = 70


class Gate(Scripted):
    """Waits until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
        self.waiting.set()
        self.open.wait(120)
        return super().__call__(features, n_context)


class Desk:
    """A decision actor without Ray, in a thread of its own, on run `r` of a SQLite file."""

    def __init__(self, folder: Path, **store: float) -> None:
        self.path = folder / "trader.db"
        self.log = folder / "log.jsonl"
        settings = {"store": {"url": f"sqlite:///{self.path}", "synchronous": "normal", **store}}
        with Store.open(f"sqlite:///{self.path}") as opened:
            trading = Trading(opened, settings=settings)
            trading.decider.close()
        self.outputs = trading.outputs
        self.gate = Gate()
        ids = [np.arange(N_SYMBOLS, dtype=np.int32)]
        context = RunContext("r", "run", trading.settings, trading.info, trading.start_ns, LogConfig(self.log), folder)
        self.actor = DecisionActor(context, ids, self.gate)
        self.thread = ThreadPoolExecutor(1)
        self.call(self.actor.reset, EPOCH).result(120)

    def call(self, method: Callable[..., object], *args: object) -> Future[object]:
        return self.thread.submit(method, *args)

    def push(self, first: int, last: int) -> None:
        for output in self.outputs[first:last]:
            self.call(self.actor.push, EPOCH, 0, output).result(120)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, buffer_s=0.0)
    yield made
    made.gate.open.set()
    made.thread.shutdown()
    configure_logging(LogConfig())


def test_it_halts_while_the_ensemble_does_not_answer(desk: Desk) -> None:
    """Status and trading state do not wait for scores, and the decision that did makes no order any more."""
    desk.push(0, DAYS)
    desk.gate.open.clear()
    desk.gate.waiting.clear()
    pushed = desk.call(desk.actor.push, EPOCH, 0, desk.outputs[DAYS])
    assert desk.gate.waiting.wait(120)
    began = time.monotonic()
    before = desk.actor.status().decisions
    assert desk.actor.set_trading_state(TradingState.HALTED, "me", "a test") is TradingState.ACTIVE
    assert time.monotonic() - began < 30.0
    desk.gate.open.set()
    pushed.result(120)
    desk.push(DAYS + 1, DAYS + 3)
    desk.call(desk.actor.finish, EPOCH).result(120)
    with Store.open(f"sqlite:///{desk.path}") as store:
        orders = store.orders("r").to_pylist()
        (change,) = store.events("r", "trading_state_changed")
        assert store.decisions("r").ts_ns[before] == change.ts_ns
    late = [order for order in orders if int(order["order_id"].split("-")[1]) >= before]
    assert {order["verdict"] for order in late} == {"denied"}


def test_it_pauses_while_the_store_is_gone_and_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room to wait in, a decision waits for the store; its status says so, and nothing is lost."""
    desk.push(0, DAYS)
    monkeypatch.setattr(desk.actor._mine._recorder.writer, "_patience_s", 0.2)
    with _locked(desk.path):
        pushed = desk.call(desk.actor.push, EPOCH, 0, desk.outputs[DAYS])
        wait_until(lambda: desk.actor.status().alerts)
        (alert,) = desk.actor.status().alerts
        assert "the store has been gone" in alert
        assert "1 decisions wait" in alert
        assert not pushed.done()
        monkeypatch.setattr(desk.actor._mine._recorder.writer, "_patience_s", 60.0)
    pushed.result(120)
    desk.call(desk.actor.finish, EPOCH).result(120)
    assert desk.actor.status().alerts == ()
    with Store.open(f"sqlite:///{desk.path}") as store:
        assert store.last_seq("r") + 1 == desk.actor.status().decisions
        assert [each.kind for each in store.events("r") if "store_" in each.kind] == ["store_gone", "store_back"]
    assert '"level":"critical"' in desk.log.read_text()


def test_it_stops_without_the_store_and_says_what_is_not_in_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants to stop does not wait an hour; what is not durable is not called done."""
    monkeypatch.setattr("trader.engine.writer._STOP_WAIT_S", 0.5)
    desk.push(0, DAYS)
    monkeypatch.setattr(desk.actor._mine._recorder.writer, "_patience_s", 0.2)
    with _locked(desk.path):
        pushed = desk.call(desk.actor.push, EPOCH, 0, desk.outputs[DAYS])
        time.sleep(0.5)
        assert not pushed.done()
        desk.actor.stop()
        pushed.result(120)
        with pytest.raises(StoreUnavailableError, match="1 decisions of run r are not in it, and --resume makes them"):
            desk.call(desk.actor.finish, EPOCH).result(120)


class _locked:  # noqa: N801 - a context manager
    """Hold a SQLite database's write lock."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_: object) -> None:
        self._connection.close()
