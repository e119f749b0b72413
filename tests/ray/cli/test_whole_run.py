"""`trader run` from outside: undisturbed by kills, and resumable."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.command import read_fills, wait_for_decisions
from tests.support.redis_server import running_redis
from trader.data.content import event_times
from trader.data.feeds import open_feed
from trader.data.sinks.redis_reader import RedisStreamReader
from trader.settings import load_settings
from trader.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RUN = ("run", "--preset", "ci", "--json")


def _kill_part(process: subprocess.Popen[str], title: str) -> bool:
    """SIGKILL the Ray worker of `process` whose title contains `title`; return whether there was one."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline() and title in child.cmdline()[0]:
                child.kill()
                return True
        except psutil.NoSuchProcess:
            continue
    return False


@pytest.fixture
def own_redis() -> Iterator[str]:
    with running_redis() as server:
        yield server.url


def _check_bars(url: str) -> None:
    """Every bar of the feed is in the stream, once."""
    found: list[tuple[str, int]] = []
    with RedisStreamReader(url, "gpt-trader:bars", "g", "c") as reader:
        while entries := reader.read(100, block_s=0.05):
            for entry in entries:
                names = [entry.universe.symbols[symbol] for symbol in entry.batch.symbol_id]
                found += zip(names, event_times(entry.batch).tolist(), strict=True)
    feed = open_feed(load_settings("ci").feed, seed=0)
    symbols = feed.info.universe.symbols
    batches = [batch.data for batch in feed.batches()]
    truth = [
        (symbols[symbol], ts_ns)
        for data in batches
        for symbol, ts_ns in zip(data.symbol_id.tolist(), event_times(data).tolist(), strict=True)
    ]
    assert len(found) == len(set(found))
    assert set(found) == set(truth)


def test_killed_and_interrupted_run_changes_nothing(
    start_trader: Any,
    trader: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    reference_run: Path,
    own_redis: str,
) -> None:
    """SIGKILL of Serve replica, shard, decision actor and feed, then SIGTERM: each death is recorded, the report is
    marked incomplete, and `--resume` ends with the fills of an undisturbed run. A sink holds every bar, once."""
    sink = ("--set", f"sinks.redis.url={own_redis}")
    process = start_trader(*RUN, *sink, "--models", str(reference_run / "models"), "--speed", "6")
    run_id = ""
    # What comes while the replica is away is decided at once when it is back: that is first, so that much is left.
    for after, title in ((10, "ServeReplica"), (25, "SymbolShard"), (45, "DecisionActor"), (65, "FeedPump")):
        run_id = wait_for_decisions(tmp_path, process, after)
        assert _kill_part(process, title), f"no process {title}"
    wait_for_decisions(tmp_path, process, 80)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert json.loads(stdout)["status"] == "incomplete"
    assert f"--resume {run_id}" in stderr
    assert (tmp_path / run_id / "report.html").exists()
    with Store.open(f"sqlite:///{tmp_path}/trader.db") as store:
        restarted = [event.payload["part"] for event in store.events(run_id, "part_restarted")]
        fills = read_fills(reference_run)
        assert 50 < len(store.fill_batch(run_id)) < fills.num_rows
    assert {part.split("-")[0] for part in restarted} == {"shard", "decision", "feed"}

    done = trader("run", "--resume", run_id, "--json", "--set", "ray.dashboard=false", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert read_fills(tmp_path / run_id) == fills
    again = trader("run", "--resume", run_id, "--json")
    assert again.returncode == 2
    assert "is complete" in again.stderr
    _check_bars(own_redis)
