"""`GET /v1/risk`: the figures of the last decision, from the store alone."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from risk.var.historical import historical
from tests.support.deciding import Trading
from tests.support.serving import whole_api
from trader.storage import Store

OPTIONS = """underlying,kind,strike,expiry,quantity,spot,volatility
SIM00,call,0.01,2016-01-01,10,1,0.3
SIM00,call,0.01,2015-01-01,10,1,0.3
"""


def _client(api: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trading, httpx.AsyncClient]:
    """A run that has made all its decisions, and who may be asked for its risk."""
    folder = tmp_path_factory.mktemp("risk")
    api, url = whole_api(folder)
    (folder / "options.csv").write_text(OPTIONS)
    with Store.open(url) as store:
        trading = Trading(store, settings={"risk": {"option_positions": str(folder / "options.csv")}})
        trading.finish()
    return trading, _client(api)


async def test_the_figures_are_those_of_the_last_decision(run: tuple[Trading, httpx.AsyncClient]) -> None:
    """Weights, exposure and historical figures by hand, from what the decider holds; components add up."""
    trading, client = run
    got = await client.get("/v1/risk")
    assert got.status_code == 200, got.text
    found, holdings = got.json(), trading.decider.holdings()
    names = trading.info.universe.symbols
    weights = holdings.positions * holdings.prices / holdings.equity
    assert found["ts_ns"] == holdings.ts_ns
    assert found["equity"] == holdings.equity
    assert found["weights"] == {name: pytest.approx(w) for name, w in zip(names, weights, strict=True) if w != 0}
    assert found["exposure"]["gross"] == pytest.approx(np.abs(weights).sum())
    var, es = historical(holdings.returns @ weights, 0.99)
    assert found["estimates"][0] == {
        "method": "historical", "level": 0.99, "horizon": 1, "scaling": "none",
        "n_observations": len(holdings.returns), "var": pytest.approx(var), "es": pytest.approx(es),
        "warnings": found["estimates"][0]["warnings"],
    }  # fmt: skip
    assert {each["method"] for each in found["estimates"]} >= {"normal", "student_t", "bootstrap"}
    assert any(warning.startswith("evt: ") for warning in found["warnings"])  # too few days for a tail
    # A call that is exercised for certain is ten contracts of a hundred; the other has expired.
    assert found["greeks"]["delta"] == pytest.approx(1000 * holdings.prices[0])
    parts = found["contributions"]["assets"]
    assert sum(part["component_es"] for part in parts) == pytest.approx(es)
    assert len(holdings.returns) > 150  # the days that only warmed up are among them


async def test_another_level_and_run_may_be_asked_for(run: tuple[Trading, httpx.AsyncClient]) -> None:
    """A lower level loses less; a run that is not there is 404, a level that cannot be 422."""
    client = run[1]
    lower = (await client.get("/v1/risk", params={"level": 0.9, "run_id": "r"})).json()
    assert lower["estimates"][0]["level"] == 0.9
    assert lower["estimates"][0]["var"] < (await client.get("/v1/risk")).json()["estimates"][0]["var"]
    assert (await client.get("/v1/risk", params={"run_id": "x"})).status_code == 404
    assert (await client.get("/v1/risk", params={"level": 1.5})).status_code == 422


async def test_before_any_run_or_decision(tmp_path: Path) -> None:
    """Without a run 404; with one that has decided nothing, figures that say so."""
    api, url = whole_api(tmp_path)
    client = _client(api)
    with Store.open(url) as store:
        got = await client.get("/v1/risk")
        assert got.status_code == 404
        assert "no run" in got.json()["detail"]
        Trading(store).decider.close()
    found = (await client.get("/v1/risk")).json()
    assert found["ts_ns"] == -1
    assert found["estimates"] == []
    assert found["warnings"] == ["nothing is held"]
