"""The store goes in the middle of a run and comes back: decisions go on, and all of them are in it once, in order."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serve.backend import InProcessBackend
from serve.experiments_route import ExperimentDesk
from serve.ingress import create_api
from serve.service import EnsembleService
from tests.support.deciding import N_SYMBOLS, Scripted, Trading
from tests.support.postgres import Postgres
from trader.core.errors import StoreUnavailableError
from trader.engine.writer import StoreWriter
from trader.models.artifacts import save_ensemble
from trader.models.base import create
from trader.models.ensemble import Ensemble
from trader.runtime.actors import RunContext
from trader.runtime.decision import DecisionActor
from trader.settings import RegistrySettings, StoreSettings
from trader.storage import Store
from trader.telemetry.log import LogConfig, configure_logging

GONE, BACK = 100, 130
HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="trader-pg-"))
    server = Postgres(folder)
    yield server
    server.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """The server's URL, with no table in it."""
    postgres.server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    yield postgres.url
    postgres.start()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves whose store never went."""
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('undisturbed')}/trader.db", synchronous="normal") as store:
        Trading(store).finish()
        assert len(store.fill_batch("r")) > 100
        return _content(store)


def _content(store: Store) -> dict[str, Any]:
    """Everything of the run that is no event of the store itself."""
    table = store.decisions("r")
    events = [each for each in store.events("r") if not each.kind.startswith("store_")]
    return {
        "fills": store.fills("r").to_pylist(),
        "orders": store.orders("r").to_pylist(),
        "decisions": [getattr(table, name).tobytes() for name in ("seq", "equity", "cash", "positions", "target")],
        "events": events,
        "state": store.loop_state("r"),
    }


def _outages(store: Store) -> list[tuple[str, int | None]]:
    return [(each.kind, each.payload.get("decisions")) for each in store.events("r") if "store_" in each.kind]


def test_a_server_that_is_stopped_and_started_again_costs_nothing(
    postgres: Postgres, empty: str, undisturbed: dict[str, Any]
) -> None:
    """Thirty days are decided on without it; then it has them, and everything else, as if it had never gone."""
    with Store.open(empty) as store:
        trading = Trading(store)
        trading.go(GONE)
        postgres.stop()
        trading.go(BACK)
        standing = trading.decider.standing
        assert (trading.decider.next_batch, trading.decider.durable_batch) == (BACK, GONE - 1)
        assert 0 < standing.waiting <= BACK - GONE
        assert standing.store_gone_s > 0
        assert [event.kind for event in trading.told] == ["store_gone"]
        postgres.start()
        trading.finish()
        assert trading.decider.durable_batch == len(trading.outputs) - 1
        assert _content(store) == undisturbed
        (gone, _), (back, late) = _outages(store)
        assert (gone, back) == ("store_gone", "store_back")
        assert late is not None
        assert late >= standing.waiting


def test_a_crash_while_it_is_gone_makes_the_same_decisions_again(
    postgres: Postgres, empty: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Fills that were decided in memory only never happened: the run goes back to the last commit, and on.

    A decision actor that is started meanwhile waits for the store, and says so.
    """
    with Store.open(empty) as store:
        trading = Trading(store)
        trading.go(GONE)
        postgres.stop()
        trading.go(BACK)
        assert trading.decider.close()
        with pytest.raises(StoreUnavailableError):
            store.last_seq("r")
    settings = trading.settings.model_copy(update={"store": StoreSettings(url=empty)})
    context = RunContext("r", "run", settings, trading.info, trading.start_ns, LogConfig(tmp_path / "log"), tmp_path)
    actor = DecisionActor(context, [np.arange(N_SYMBOLS, dtype=np.int32)], Scripted())
    with ThreadPoolExecutor(1) as thread:
        reset = thread.submit(actor.reset, 1)
        time.sleep(0.5)
        assert not reset.done()
        postgres.start()
        assert reset.result(120) == GONE - 1
    assert '"event":"store_gone"' in (tmp_path / "log").read_text()
    configure_logging(LogConfig())
    with Store.open(empty) as store:
        again = Trading(store)
        assert again.decider.next_batch == GONE
        again.finish()
        assert _content(store) == undisturbed
        assert _outages(store) == []


def test_a_database_that_another_process_locks_is_waited_for(
    tmp_path: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decisions do not wait for the lock; when it is gone, they are written."""
    monkeypatch.setitem(StoreWriter.__init__.__kwdefaults__, "patience_s", 60.0)
    path = tmp_path / "trader.db"
    with Store.open(f"sqlite:///{path}", synchronous="normal") as store:
        trading = Trading(store)
        trading.go(GONE)
        locker = subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK, os.fspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with locker:
            assert locker.stdout is not None
            assert locker.stdout.readline() == "locked\n"
            monkeypatch.setattr(trading.decider._recorder.writer, "_patience_s", 2.0)
            began = time.monotonic()
            trading.go(BACK)
            assert time.monotonic() - began < 30  # a wait of two seconds at each would take a minute
            monkeypatch.setattr(trading.decider._recorder.writer, "_patience_s", 60.0)
            assert trading.decider.durable_batch == GONE - 1
            assert trading.told[0].payload() == {"reason": "no answer for 2 s"}
            locker.kill()
        trading.finish()
        assert _content(store) == undisturbed
        assert [kind for kind, _ in _outages(store)] == ["store_gone", "store_back"]


async def test_over_http_predictions_go_on_and_experiments_say_when_to_come_again(
    postgres: Postgres, empty: str, tmp_path: Path
) -> None:
    """503 with Retry-After for what needs the store, 200 for what does not; and 200 again when it is back."""
    rows = np.random.default_rng(0).normal(size=(100, 2))
    model = create("linear").fit(rows, rows[:, 0], feature_names=("a", "b"))
    save_ensemble(Ensemble({"linear@1": model}), tmp_path / "models")
    backend = InProcessBackend(EnsembleService(tmp_path / "models"))
    api = create_api(backend, experiments=ExperimentDesk(empty, RegistrySettings()))
    body = {"feature_names": ["a", "b"], "symbols": ["X"], "features": [[1.0, 2.0]]}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:

        async def statuses() -> list[int]:
            experiments = await client.get("/v1/experiments")
            if experiments.status_code != 200:
                assert experiments.headers["retry-after"] == "5"
                assert experiments.json()["type"] == "urn:gpt-trader:problem:store-unavailable"
            others = [await client.post("/v1/predict", json=body), await client.get("/readyz")]
            return [experiments.status_code, *(answer.status_code for answer in others)]

        assert await statuses() == [200, 200, 200]
        postgres.stop()
        assert await statuses() == [503, 200, 200]
        postgres.start()
        assert await statuses() == [200, 200, 200]
