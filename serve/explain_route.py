"""`POST /v1/explain`: why the served ensemble gives the scores it gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

from serve.backend import Backend
from serve.deadline import within_deadline
from serve.explain_schema import ExplainRequest, ExplainResponse
from serve.explaining import Explained, ExplainerBusyError, NoBackgroundError
from serve.problems import ProblemError
from serve.routing import Router
from trader.core.errors import NotFoundError
from trader.explain.explainer import UnsupportedMethodError
from trader.explain.results import Attribution

__all__ = ["add_explain_route"]


def add_explain_route(api: FastAPI, router: Router, *, max_rows: int, max_explained: int) -> None:
    """Add the route.

    Parameters
    ----------
    api : FastAPI
    router : Router
        Its champion explains.
    max_rows : int
        Most rows of features in a request, those of the context included.
    max_explained : int
        Most symbols that one request may have explained.
    """

    @api.post("/v1/explain", tags=["models"], response_model=ExplainResponse)
    async def explain(request: Request, body: ExplainRequest) -> Response:
        """Take the scores of one instant apart, feature by feature; one explanation is computed at a time."""
        if body.n_rows > max_rows:
            detail = f"features and context have {body.n_rows} rows; {max_rows} are allowed"
            raise ProblemError(413, "too-many-rows", detail)
        if len(body.explained) > max_explained:
            detail = (
                f"{len(body.explained)} symbols are to be explained; {max_explained} are allowed, name them in explain"
            )
            raise ProblemError(413, "too-many-rows", detail)
        async with within_deadline(request):
            explained = await _explained(router.champion, body)
        answer = {"request_id": request.state.request_id} | _answer(body, explained)
        return Response(orjson.dumps(answer), media_type="application/json")


async def _explained(backend: Backend, body: ExplainRequest) -> Explained:
    try:
        return await backend.explain(tuple(body.feature_names), body.panel(), body.chosen(), body.method, body.member)
    except ExplainerBusyError as error:
        raise ProblemError(503, "explainer-busy", str(error), headers={"Retry-After": "1"}) from None
    except NoBackgroundError as error:
        raise ProblemError(409, "no-background", str(error)) from None
    except NotFoundError as error:
        raise ProblemError(422, "unknown-member", str(error)) from None
    except UnsupportedMethodError as error:
        raise ProblemError(422, "unsupported-method", str(error)) from None


def _answer(body: ExplainRequest, explained: Explained) -> dict[str, Any]:
    found = explained.attribution
    return {
        "method": found.method,
        "algorithm": found.algorithm,
        "member": found.subject,
        "explanations": [_of_symbol(found, row, symbol, body.top) for row, symbol in enumerate(body.explained)],
        "background": {
            "statement": found.background,
            "rows": explained.background,
            "sha256": found.background_sha256,
        },
        "tolerance": found.tolerance,
        "seconds": found.seconds,
        "cached": explained.cached,
        "warnings": list(found.warnings),
    }


def _of_symbol(found: Attribution, row: int, symbol: str, top: int | None) -> dict[str, Any]:
    values = found.values[row]
    scored = math.isfinite(found.score[row])
    order = np.argsort(-np.abs(values), kind="stable") if scored else np.empty(0, np.int64)
    listed, rest = order[:top], order[len(order) if top is None else top :]
    errors = found.standard_error
    return {
        "symbol": symbol,
        # orjson writes NaN as null.
        "score": float(found.score[row]),
        "base": float(found.base[row]),
        "values": [
            {
                "feature": found.feature_names[column],
                "value": float(values[column]),
                "standard_error": None if errors is None else float(errors[row, column]),
            }
            for column in listed
        ],
        "rest": float(values[rest].sum()) if scored else None,
        "additivity_error": float(found.additivity_error[row]),
        "fidelity": None if found.fidelity is None else float(found.fidelity[row]),
    }
