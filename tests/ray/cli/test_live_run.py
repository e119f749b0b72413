"""A live run from outside: served ticks, a feed that dies, Ctrl-C and `--resume`, without a lost or doubled fill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import ray

from tests.support.command import wait_for_decisions
from tests.support.live import BEGIN_MS, serving, trade
from tests.support.waiting import wait_until
from trader.cli.run import backtest
from trader.core.market import TradeBatch, Universe
from trader.data.sinks.parquet import ParquetSink
from trader.runtime.actors import CONTROL
from trader.runtime.session import actor_name
from trader.storage import Store

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def prices(n: int, seed: int) -> np.ndarray:
    """A random walk."""
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 1e-4, n)))


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Ten minutes of trades of two symbols, 200 a second."""
    lines = []
    for place, price in enumerate(prices(120_000, seed=3)):
        ms = BEGIN_MS + 5 * place
        lines.append(b"%d " % ((ms + 2) * 1_000_000) + trade(1 + place // 2, ms, price, SYMBOLS[place % 2]))
    path = tmp_path / "capture"
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.fixture
def models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An ensemble trained on recorded ticks, as a live run needs one."""
    n = 40_000
    ns = BEGIN_MS * 1_000_000 + np.arange(n) * 5_000_000
    trades = TradeBatch(
        ts_event_ns=ns,
        ts_recv_ns=ns + 1_000_000,
        symbol_id=np.arange(n) % 2,
        price=prices(n, seed=1),
        size=np.ones(n),
        side=np.random.default_rng(2).choice([-1, 1], n),
    )
    sink = ParquetSink(tmp_path / "ticks", Universe(SYMBOLS))
    sink.put(trades)
    sink.close(60.0)
    backtest(
        data=tmp_path / "ticks",
        bars="time:0.05",
        members="linear",
        runs_dir=tmp_path / "trained",
        assignments=["sizing.bars_per_year=1e6"],
        as_json=True,
    )
    return Path(json.loads(capsys.readouterr().out)["run_dir"]) / "models"


def test_a_live_run_survives_its_feed_and_goes_on(
    start_trader: Callable[..., subprocess.Popen[str]],
    ray_cluster: RayCluster,
    tmp_path: Path,
    models: Path,
    capture: Path,
) -> None:
    """Decisions follow each other, fills are there once, and what was missed is told; metrics show the feed."""
    url = f"sqlite:///{tmp_path}/trader.db"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serving(capture, speed=1.0) as server:
        options = {
            "ray.address": ray_cluster.address,
            "ray.shards": "1",
            "feed.live.url": server.url,
            "sizing.bars_per_year": "1e6",
            "telemetry.metrics_port": str(port),
            "sinks.parquet.path": str(tmp_path / "written"),
        }
        sets = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
        live = ["--feed", "binance", "--symbols", ",".join(SYMBOLS), "--bars", "time:0.05", "--models", str(models)]

        def start(*args: str) -> subprocess.Popen[str]:
            return start_trader("run", *args, *sets, RAY_AUTH_MODE="disabled")

        process = start(*live)
        run_id = wait_for_decisions(tmp_path, process, 150)
        os.kill(_feed_pid(run_id), signal.SIGKILL)
        with Store.open(url) as store:
            seq = store.last_seq(run_id)
        wait_for_decisions(tmp_path, process, seq + 60)
        wanted = (
            'trader_feed_messages_total{source="binance",symbol="BTCUSDT"}',
            'stage="receive_to_features"',
            "trader_sink_written_rows_total",
        )
        wait_until(lambda: all(series in _metrics(port) for series in wanted))
        metrics = _metrics(port)
        _end(process)
        with Store.open(url) as store:
            seq = store.last_seq(run_id)
        resumed = start("--resume", run_id)
        wait_for_decisions(tmp_path, resumed, seq + 60)
        _end(resumed)
    with Store.open(url) as store:
        decided = store.decisions(run_id)
        fills = store.fills(run_id).to_pylist()
        restarted = [event.payload["part"] for event in store.events(run_id, "part_restarted")]
        troubles = [event.payload for event in store.events(run_id, "feed_trouble")]
    assert decided.seq.tolist() == list(range(len(decided.seq)))
    assert (np.diff(decided.ts_ns) > 0).all()
    assert len({fill["fill_id"] for fill in fills}) == len(fills) > 0
    assert restarted == ["feed"]
    assert [trouble["trouble"] for trouble in troubles].count("rows_lost") >= 1
    where = f'{{data="ticks",shard="0",sink="parquet:{tmp_path / "written"}"}}'
    shown = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if where in line)
    assert shown[f"trader_sink_away{where}"] == "0.0"
    assert float(shown[f"trader_sink_waiting_rows{where}"]) + float(shown[f"trader_sink_written_rows_total{where}"]) > 0


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def _feed_pid(run_id: str) -> int:
    feed = ray.get_actor(actor_name(run_id, "feed"), namespace="gpt-trader")
    return ray.get(feed.pid.options(concurrency_group=CONTROL).remote(), timeout=120)


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
