"""`trader experiments` beside `trader backtest`: registered, run, judged, promoted and rolled back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from trader.storage import Store

MARKET = (
    *("--feed", "planted", "--set", "feed.planted.signal=momentum", "--set", "feed.planted.strength=0.4"),
    *("--set", "feed.planted.n_symbols=8", "--set", "feed.planted.n_days=900", "--set", "models.n_splits=2"),
    *("--set", "models.horizon=1", "--train-end", "2016-06-30"),
)
OPTIONS = ("--preset", "ci", "--config", "none.yaml")
TRADE = ("backtest", "--members", "momentum@1.0.0", *MARKET, "--json")


@pytest.fixture
def trained(trader: Callable[..., Any], tmp_path: Path) -> tuple[str, str]:
    """Options of two registered versions: momentum, and a linear model that knows the planted signal."""
    (tmp_path / "none.yaml").write_text("{}\n")
    for kind in ("momentum", "linear"):
        done = trader("models", "train", kind, *OPTIONS, *MARKET, "--why", "a test", "--json")
        assert done.code == 0, done.err
    return ("--champion", "momentum@1.0.0"), ("--challenger", "linear@1.0.0")  # type: ignore[return-value]


def _json(done: Any) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_from_registration_to_rollback(trader: Callable[..., Any], trained: Any, tmp_path: Path) -> None:
    """A challenger that knows the market better gets more of it, passes and is promoted; a shadow changes no fill."""
    refs = (*trained[0], *trained[1], "--why", "better?")
    plan = ("--ramp", "50,90", "--policy", "auto", "--horizon", "400", "--json")
    _json(trader("experiments", "start", "ab", *refs, *plan))
    _json(trader("experiments", "shadow", "dark", *refs, "--policy", "propose", "--horizon", "400", "--json"))
    refused = trader("experiments", "promote", "ab", "--why", "now", "--json")
    assert refused.code == 1
    assert "'ab' has not passed: inconclusive, no look yet: 0 of 10 blocks" in refused.err

    plain, dark, ab = (_json(trader(*TRADE, *more)) for more in ((), ("--experiment", "dark"), ("--experiment", "ab")))
    with Store.open(f"sqlite:///{tmp_path}/runs/trader.db") as store:
        fills = [store.fill_batch(run["run_id"]) for run in (plain, dark, ab)]
        marks = [store.variant_marks(run["run_id"]) for run in (plain, dark, ab)]
    assert fills[0].price.tolist() == fills[1].price.tolist() != fills[2].price.tolist()
    assert marks[0] == []
    assert [mark[:5] for mark in marks[1]] == [mark[:5] for mark in marks[2]] != []
    assert [marks[2][seq].share for seq in (0, 200, 201, -1)] == [0.5, 0.5, 0.9, 0.9]

    status = _json(trader("experiments", "status", "ab", "--json"))
    assert (status["phase"], status["run_id"]) == ("judged", ab["run_id"])
    assert status["assessment"]["verdict"] == "pass", status["assessment"]["reason"]
    ratio = status["assessment"]["sample_ratio"]
    assert (ratio["p_value"], ratio["observed"]) == (1.0, sum(mark.units for mark in marks[2][:401]))
    happened = [(entry["kind"], entry["who"]) for entry in status["history"]]
    assert happened == [("joined", "trader"), ("share", "trader"), ("verdict", "trader"), ("held", "policy")]
    assert status["history"][1]["evidence"]["seq"] == 201
    assert "to promote was refused: the report of linear@1.0.0 is SUSPECT" in status["history"][-1]["why"]
    run_dir = tmp_path / "runs" / ab["run_id"]
    signals = pq.read_table(run_dir / "signals.parquet")
    assert set(signals["variant"].to_pylist()) == {"champion", "challenger"}
    page = (run_dir / "report.html").read_text()
    assert "ab: momentum@1.0.0 against linear@1.0.0" in page
    assert all(f'id="plot-{name}"' in page for name in ("variants", "evidence", "traffic"))
    done = trader("experiments", "report", "ab", "--out", "ab.html")
    assert done.code == 0, done.err
    own = (tmp_path / "ab.html").read_text()
    assert all(text in own for text in ('id="plot-traffic"', "ramp 50% → 90%", "What happened", "Calibration"))
    assert "://" not in own.replace("http://www.w3.org", "")
    assert "Reliability" in (tmp_path / "runs" / dark["run_id"] / "report.html").read_text()
    shadow = _json(trader("experiments", "status", "dark", "--json"))["calibration"]
    assert shadow == status["calibration"]
    assert 0.5 < shadow["linear@1.0.0"]["low"] < shadow["linear@1.0.0"]["slope"] < shadow["linear@1.0.0"]["high"] < 2.0
    outcomes = [part["outcome"] for part in shadow["linear@1.0.0"]["bins"]]
    assert len(outcomes) == 5
    assert outcomes == sorted(outcomes)
    shown = trader("experiments", "status", "dark")
    assert "policy: propose; held: passed, but " in shown.out
    assert "% of the signs agree; 50% are needed" in shown.out

    suspect = trader("experiments", "promote", "ab", "--why", "passed")
    assert (suspect.code, "linear@1.0.0 is SUSPECT" in suspect.err) == (1, True)
    assert trader("models", "acknowledge", "linear@1.0.0", "--why", "the signal is planted").code == 0
    ruled = _json(trader("experiments", "decide", "ab", "--json"))
    assert (ruled["action"], "passed: the improvement of pnl exceeds 0" in ruled["reason"]) == ("promote", True)
    assert "nothing speaks against it" in _json(trader("experiments", "decide", "ab", "--json"))["reason"]
    again = trader("experiments", "promote", "ab", "--why", "again")
    assert (again.code, "is promoted already" in again.err) == (1, True)
    back = trader("experiments", "rollback", "ab", "--why", "second thoughts")
    assert (back.code, "no former champion" in back.err) == (1, True)
    stopped = _json(trader("experiments", "stop", "dark", "--why", "enough", "--json"))
    assert stopped["assessment"]["verdict"] == "pass"
    phases = {one["name"]: one["phase"] for one in _json(trader("experiments", "list", "--json"))}
    assert phases == {"ab": "promoted", "dark": "stopped"}


def test_what_cannot_be_compared_is_refused_before_training(
    trader: Callable[..., Any], trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown names, a champion the run has not, a challenger it has or from the future, an ended experiment."""
    from trader.engine import prepare

    def train(*_: Any, **__: Any) -> None:
        raise AssertionError("models were trained")

    monkeypatch.setattr(prepare, "train_ensemble", train)
    refs = (*trained[0], *trained[1], "--why", "better?")
    unknown = trader("experiments", "start", "x", *trained[0], "--challenger", "linear@9.9.9", "--why", "x")
    assert (unknown.code, "9.9.9" in unknown.err) == (2, True)
    assert trader("experiments", "status", "nothing").code == 2
    assert trader("experiments", "start", "x", *refs, "--split", "90/20").code == 2
    missing = trader(*TRADE, "--experiment", "nothing")
    assert (missing.code, "experiment 'nothing' does not exist" in missing.err) == (2, True)
    assert trader("experiments", "start", "e", *refs).code == 0
    other = trader("backtest", "--members", "boosting", *MARKET, "--experiment", "e")
    assert (other.code, "which is not a member of this run" in other.err) == (2, True)
    beside = trader("backtest", "--members", "momentum@1.0.0,linear@1.0.0", *MARKET, "--experiment", "e")
    assert (beside.code, "is a member of this run already" in beside.err) == (2, True)
    assert trader("models", "train", "momentum", *OPTIONS, *MARKET[:-1], "2016-04-30", "--why", "older").code == 0
    older = ("--champion", "momentum@1.1.0", *trained[1], "--why", "better?")
    assert trader("experiments", "start", "early", *older).code == 0
    early = trader("backtest", "--members", "momentum@1.1.0", *MARKET[:-1], "2016-04-30", "--experiment", "early")
    assert (early.code, "linear@1.0.0 has seen data up to 2016" in early.err) == (1, True), early.err
    assert trader("experiments", "stop", "e", "--why", "enough").code == 0
    late = trader(*TRADE, "--experiment", "e")
    assert (late.code, "experiment 'e' is stopped" in late.err) == (1, True)
