"""The HTTP interface: routes over a backend. Everything that is not an answer is a problem document."""

from __future__ import annotations

import dataclasses

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from serve.auth import Guard
from serve.backend import Backend
from serve.deadline import within_deadline
from serve.experiments_route import ExperimentDesk, add_experiment_routes
from serve.explain_route import add_explain_route
from serve.metrics import HttpMetrics, merge_expositions
from serve.middleware import RequestEnvelope
from serve.problems import Problem, ProblemError, document_problems, install_problem_handlers
from serve.rate_limit import RateLimiter
from serve.routing import Challenge, Routed, Router
from serve.schema import Health, MemberDescription, ModelsResponse, PredictRequest, PredictResponse
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
    backend: Backend,
    limits: Limits | None = None,
    *,
    echo_request_id: bool = True,
    challenger: tuple[Backend, Challenge] | None = None,
    experiments: ExperimentDesk | None = None,
    guard: Guard | None = None,
) -> FastAPI:
    """Return the HTTP interface over a backend.

    Parameters
    ----------
    backend : Backend
    limits : Limits, optional
    echo_request_id : bool
        False behind a proxy that answers with `X-Request-ID` itself, as Ray Serve's does.
    challenger : pair of Backend and Challenge, optional
        Who else answers predictions, and for which symbols.
    experiments : ExperimentDesk, optional
        None leaves `/v1/experiments` out.
    guard : Guard, optional
        Who may change them; nobody by default.
    """
    limits = limits or Limits()
    metrics = HttpMetrics()
    api = FastAPI(
        title="GPT-Trader",
        version=__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    api.add_middleware(
        RequestEnvelope,
        metrics=metrics,
        max_body_bytes=limits.max_body_bytes,
        limiter=RateLimiter(limits.rate, limits.burst),
        echo_request_id=echo_request_id,
    )
    install_problem_handlers(api)
    document_problems(api)
    router = None if challenger is None else Router(backend, *challenger, metrics)
    _add_model_routes(api, backend, limits, router)
    add_explain_route(api, backend, max_rows=limits.max_rows, max_explained=limits.max_explained)
    if experiments is not None:
        add_experiment_routes(api, experiments, guard or Guard())
    _add_health_routes(api, backend, metrics)
    return api


def _add_model_routes(api: FastAPI, backend: Backend, limits: Limits, router: Router | None) -> None:
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
        async with within_deadline(request):
            if router is None:
                routed = Routed(await backend.score(names, panel), ("champion",) * len(body.symbols))
            else:
                routed = await router.score(body.symbols, names, panel)
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
        description = await backend.describe()
        return ModelsResponse(
            request_id=request.state.request_id,
            feature_names=list(description.feature_names),
            context=description.context,
            members=[MemberDescription(**dataclasses.asdict(member)) for member in description.members],
            training=dict(description.training),
        )


def _add_health_routes(api: FastAPI, backend: Backend, metrics: HttpMetrics) -> None:
    @api.get("/healthz", tags=["health"])
    async def healthz() -> Health:
        """Answer as long as the HTTP process lives."""
        return Health(status="alive")

    @api.get("/readyz", tags=["health"])
    async def readyz() -> Health:
        """Answer 200 when the models are loaded and have just answered a prediction."""
        await backend.probe()
        return Health(status="ready")

    @api.get("/metrics", tags=["health"], response_class=Response)
    async def prometheus() -> Response:
        """Metrics of this process and of every replica of the ensemble, told apart by the label `process`."""
        replicas = await backend.expositions()
        metrics.replicas.set(len(replicas))
        return Response(merge_expositions([metrics.exposition(), *replicas]), media_type=CONTENT_TYPE_LATEST)
