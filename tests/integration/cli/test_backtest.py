"""`trader backtest` and what reads its results, on the small preset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def test_backtest_and_its_readers(trader: Callable[..., Any]) -> None:
    """The summary names the run; files, listing, report and trace agree with it; a repeat gives the same fills."""
    done = trader("backtest", "--preset", "ci", "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    run_dir = Path(summary["run_dir"])
    assert json.loads((run_dir / "summary.json").read_text())["run_id"] == summary["run_id"]
    fills = pq.read_table(run_dir / "fills.parquet")
    orders = pq.read_table(run_dir / "orders.parquet")
    assert fills.num_rows > 50
    assert set(fills["order_id"].to_pylist()) <= set(orders["order_id"].to_pylist())

    listed = json.loads(trader("runs", "--json").out)
    assert [(run["run_id"], run["status"]) for run in listed] == [(summary["run_id"], "complete")]

    fill = fills.to_pylist()[0]
    trace = json.loads(trader("trace", summary["run_id"], fill["order_id"], "--json").out)
    assert fill["fill_id"] in json.dumps(trace)
    assert "momentum@" in json.dumps(trace)

    before = (run_dir / "equity.parquet").read_bytes()
    assert trader("report", summary["run_id"], "--json").code == 0
    assert (run_dir / "equity.parquet").read_bytes() == before

    again = json.loads(trader("backtest", "--preset", "ci", "--json").out)
    repeat = pq.read_table(Path(again["run_dir"]) / "fills.parquet")
    names = ["run_id", "trace_id"]
    assert repeat.drop_columns(names).equals(fills.drop_columns(names))


def test_guards(trader: Callable[..., Any]) -> None:
    """Knowing tomorrow shows, and knowing nothing does not."""
    done = trader("guards", "--preset", "ci", "--set", "feed.end=2017-12-31", "--json")
    assert done.code == 0, done.out + done.err
    report = json.loads(done.out)
    assert report["leaked"]["sharpe"] > 5 > report["honest"]["sharpe"]
    assert report["shuffled"]["low"] <= 0


def test_doctor(trader: Callable[..., Any]) -> None:
    """Every finding has a status; a busy port is found."""
    import socket

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = trader("doctor", "--json", "--set", f"serve.port={port}", "--set", "ray.dashboard_port=0")
    findings = {finding["check"]: finding for finding in json.loads(done.out)}
    assert done.code == 1
    assert findings["http port"]["status"] == "failed"
    assert "serve.port" in findings["http port"]["advice"]
    assert findings["python"]["status"] == "ok"
    assert findings["store"]["status"] == "ok"
