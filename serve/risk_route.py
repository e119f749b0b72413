"""`GET /v1/risk`: what a run could lose, as of its last decision."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request

from serve.over_store import ask_store, json_ready
from serve.risk_schema import RiskResponse
from trader.storage import Store

__all__ = ["RiskDesk", "add_risk_route"]


class RiskDesk:
    """The risk of the runs of a store, which is opened for each request: it may be gone for a while.

    Parameters
    ----------
    store_url : str
    run_id : str, optional
        The run that is meant where a request names none; the youngest by default.
    """

    def __init__(self, store_url: str, run_id: str | None = None) -> None:
        self._store_url = store_url
        self._run_id = run_id

    def risk(self, run_id: str | None, level: float | None) -> dict[str, Any]:
        """Return what `RiskResponse` needs beside the request id."""
        # Not above: it reaches for scipy, which an ingress that nobody asks for risk can do without.
        from trader.engine.holdings import risk_of_run

        with Store.open(self._store_url) as store:
            found = risk_of_run(store, run_id or self._run_id, level=level).to_dict()
        ready: dict[str, Any] = json_ready(found)
        return ready


def add_risk_route(api: FastAPI, desk: RiskDesk) -> None:
    """Add the route; it changes nothing and needs no token."""

    @api.get("/v1/risk", tags=["risk"])
    async def risk(
        request: Request,
        run_id: Annotated[str | None, Query(max_length=64, description="A run; the one here, or the youngest.")] = None,
        level: Annotated[
            float | None, Query(gt=0.5, lt=1, description="Confidence; that of the run's settings by default.")
        ] = None,
    ) -> RiskResponse:
        """Return value at risk, expected shortfall, exposures, drawdown and Greeks as of the last decision."""
        found = await ask_store(desk.risk, run_id, level)
        return RiskResponse(request_id=request.state.request_id, **found)
