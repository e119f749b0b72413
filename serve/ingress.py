"""The HTTP interface: routes over a backend. Everything that is not an answer is a problem document."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from serve.audit import AuditDesk, AuditTrail
from serve.audit_route import add_audit_route
from serve.auth import Guard
from serve.backend import Backend
from serve.deadline import within_deadline
from serve.experiments_route import ExperimentDesk, add_experiment_routes
from serve.explain_route import add_explain_route
from serve.json_body import JsonRoute
from serve.metrics import merge_expositions
from serve.middleware import RequestEnvelope
from serve.openapi import complete_document
from serve.problems import ProblemError, install_problem_handlers
from serve.rate_limit import RateLimiter
from serve.risk_route import RiskDesk, add_risk_route
from serve.routing import Router
from serve.schema import Health, MemberDescription, ModelsResponse, PredictRequest, PredictResponse
from serve.serving_route import ServingDesk, add_serving_routes
from serve.tracing import TracedRequests, Tracing
from trader import __version__

__all__ = ["Limits", "create_api"]

_DESCRIPTION = """\
Scores of the served ensemble. Predictions change nothing and may be repeated.

A score is the expected return over the horizon in units of the symbol's own volatility; null abstains.
Errors are problem documents (RFC 9457), and every answer carries `X-Request-ID`: the client's own, or a new one.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost.

    Parameters
    ----------
    max_rows : int
        Most rows of features.
    max_body_bytes : int
        Longest body.
    max_explained : int
        Most symbols explained.
    rate : float
        Requests a second that a client (an address) may send on and on; 0 lets all pass.
    burst : int
        Requests that a client may send at once.
    """

    max_rows: int = 4096
    max_body_bytes: int = 16 * 2**20
    max_explained: int = 64
    rate: float = 0.0
    burst: int = 100


def create_api(
    backend: Backend | Router,
    limits: Limits | None = None,
    *,
    echo_request_id: bool = True,
    experiments: ExperimentDesk | None = None,
    serving: tuple[ServingDesk, Callable[[], Mapping[str, Any]]] | None = None,
    risk: RiskDesk | None = None,
    guard: Guard | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Return the HTTP interface over a backend.

    Parameters
    ----------
    backend : Backend or Router
        Who answers; a router may be told to ask others, in place.
    limits : Limits, optional
    echo_request_id : bool
        False behind a proxy that answers with `X-Request-ID` itself, as Ray Serve's does.
    experiments : ExperimentDesk, optional
        None leaves `/v1/experiments` and `/v1/audit` out.
    serving : pair of ServingDesk and callable, optional
        What is wanted of the application, and what returns how its variants do; None leaves `/v1/serving` out.
    risk : RiskDesk, optional
        None leaves `/v1/risk` out.
    guard : Guard, optional
        Who may change them; nobody by default.
    tracing : Tracing, optional
        Makes spans of requests; none by default.
    """
    limits = limits or Limits()
    router = backend if isinstance(backend, Router) else Router(backend)
    metrics = router.metrics
    api = FastAPI(
        title="GPT-Trader",
        version=__version__,
        description=_DESCRIPTION,
        redoc_url=None,
    )
    api.router.route_class = JsonRoute
    if experiments is not None:
        audit = AuditDesk(experiments.store_url)
        api.add_middleware(AuditTrail, desk=audit, metrics=metrics)
        add_audit_route(api, audit, guard or Guard())
    if tracing is not None:
        api.add_middleware(TracedRequests, tracing=tracing)
    api.add_middleware(
        RequestEnvelope,
        metrics=metrics,
        max_body_bytes=limits.max_body_bytes,
        limiter=RateLimiter(limits.rate, limits.burst),
        echo_request_id=echo_request_id,
    )
    install_problem_handlers(api)
    complete_document(api)
    _add_model_routes(api, router, limits)
    add_explain_route(api, router, max_rows=limits.max_rows, max_explained=limits.max_explained)
    if experiments is not None:
        add_experiment_routes(api, experiments, guard or Guard())
    if serving is not None:
        add_serving_routes(api, serving[0], guard or Guard(), serving[1])
    if risk is not None:
        add_risk_route(api, risk)
    _add_health_routes(api, router)
    return api


def _add_model_routes(api: FastAPI, router: Router, limits: Limits) -> None:
    @api.post("/v1/predict", tags=["models"], response_model=PredictResponse)
    async def predict(request: Request, body: PredictRequest) -> Response:
        """Score one instant: a row of features for each symbol."""
        if body.n_rows > limits.max_rows:
            raise ProblemError(
                413,
                "too-many-rows",
                f"features and context have {body.n_rows} rows; {limits.max_rows} are allowed",
            )
        names, panel = tuple(body.feature_names), body.panel()
        keys = body.symbols if body.key is None else [body.key] * len(body.symbols)
        async with within_deadline(request):
            routed = await router.score(keys, names, panel)
        prediction = routed.prediction
        members = {key: np.ascontiguousarray(scores[0]) for key, scores in prediction.members.items()}
        answer = {
            "request_id": request.state.request_id,
            "symbols": body.symbols,
            "scores": np.ascontiguousarray(prediction.score[0]),
            "members": members,
            "models": [
                {"name": name, "version": version} for name, _, version in (key.partition("@") for key in members)
            ],
            "variants": routed.variants,
        }
        # orjson writes each float with the digits that read back as the same bits, and NaN as null.
        return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")

    @api.get("/v1/models", tags=["models"])
    async def models(request: Request) -> ModelsResponse:
        """List the members of the ensemble that answers predictions."""
        description = await router.champion.describe()
        return ModelsResponse(
            request_id=request.state.request_id,
            feature_names=list(description.feature_names),
            context=description.context,
            members=[MemberDescription(**dataclasses.asdict(member)) for member in description.members],
            training=dict(description.training),
        )


def _add_health_routes(api: FastAPI, router: Router) -> None:
    @api.get("/healthz", tags=["health"])
    async def healthz() -> Health:
        """Answer as long as the HTTP process lives."""
        return Health(status="alive")

    @api.get("/readyz", tags=["health"])
    async def readyz() -> Health:
        """Answer 200 when the models are loaded and have just answered a prediction."""
        await router.champion.probe()
        return Health(status="ready")

    @api.get("/metrics", tags=["health"], response_class=PlainTextResponse)
    async def prometheus() -> Response:
        """Metrics of this process and of every replica that is asked, told apart by the label `process`."""
        asked = list(router.backends.values())
        answers = await asyncio.gather(*(backend.expositions() for backend in asked))
        replicas = [(each.deployment, text) for each, texts in zip(asked, answers, strict=True) for text in texts]
        router.metrics.replicas.set(len(replicas))
        own = (None, router.metrics.exposition())
        return Response(merge_expositions([own, *replicas]), media_type=CONTENT_TYPE_LATEST)
