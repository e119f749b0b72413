"""The calls of the HTTP interface: arrays into requests, answers into arrays. No sockets.

Bits survive both ways: each double is written with the digits that read back as itself, and NaN as null.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import orjson
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ValidationError

from serve.client_errors import Reply
from serve.client_retry import Call
from serve.schema import Health, ModelsResponse, ModelVersion, PredictResponse
from trader.core.errors import DataError, UserError

if TYPE_CHECKING:  # it compiles the explainers' kernels, which a client does not need
    from serve.explain_schema import ExplainResponse

__all__ = [
    "PredictAnswer",
    "any_call",
    "as_block",
    "explain_call",
    "health_call",
    "metrics_call",
    "models_call",
    "predict_call",
]

FloatArray = NDArray[np.float64]
M = TypeVar("M", bound=BaseModel)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PredictAnswer:
    """Scores of one instant.

    Parameters
    ----------
    symbols : tuple of str
        In the order of the request.
    scores : ndarray of shape (n_symbols,)
        Expected return over the horizon in units of the symbol's own volatility; NaN abstains.
    members : mapping of str to ndarray of shape (n_symbols,)
        The scores of each member that answered, by `name@version`; NaN abstains.
    versions : tuple of ModelVersion
        The members that were asked.
    variants : tuple of str
        Who gave each symbol's score: `champion`, or `challenger` in an experiment.
    request_ids : tuple of str
        Of the requests that the scores came by, in the order of their symbols.
    """

    symbols: tuple[str, ...]
    scores: FloatArray
    members: Mapping[str, FloatArray]
    versions: tuple[ModelVersion, ...]
    variants: tuple[str, ...]
    request_ids: tuple[str, ...]

    @property
    def request_id(self) -> str:
        """Of the first request."""
        return self.request_ids[0]


def as_block(
    feature_names: Sequence[str], symbols: Sequence[str], features: ArrayLike, context: ArrayLike | None
) -> tuple[FloatArray, int]:
    """Return the instants of the context and those to be scored, one after the other, once they fit the names.

    Parameters
    ----------
    feature_names, symbols : sequence of str
        Each name once.
    features : array of shape (n_symbols, n_features) or (n_instants, n_symbols, n_features)
        NaN is missing.
    context : array of shape (n_context, n_symbols, n_features), optional
        Oldest first.

    Returns
    -------
    block : ndarray of shape (n_context + n_instants, n_symbols, n_features)
    n_context : int

    Raises
    ------
    DataError
        If a name occurs twice, a shape is not that of the names, or a value is no number or infinite.
    """
    for field, names in (("feature_names", feature_names), ("symbols", symbols)):
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{field}={names!r:.200} is not allowed; a sequence of str is")
        if not 0 < len(names) == len(set(names)):
            raise DataError(
                f"{field} holds {len(names)} names, {len(set(names))} of them distinct; each is allowed once"
            )
    values = _floats("features", features)
    wanted = (len(symbols), len(feature_names))
    if values.ndim not in (2, 3) or values.shape[-2:] != wanted:
        raise DataError(
            f"features have the shape {values.shape}; {wanted} or (n_instants, {wanted[0]}, {wanted[1]}) is allowed, "
            "a row for each of symbols and a column for each of feature_names"
        )
    values = values.reshape(-1, *wanted)
    if context is None:
        return values, 0
    past = _floats("context", context)
    if past.ndim != 3 or past.shape[1:] != wanted:
        raise DataError(f"context has the shape {past.shape}; (n_context, {wanted[0]}, {wanted[1]}) is allowed")
    return np.concatenate([past, values]), len(past)


def predict_call(
    feature_names: Sequence[str],
    symbols: Sequence[str],
    features: ArrayLike,
    context: ArrayLike | None,
    key: str | None = None,
) -> Call[PredictAnswer]:
    """Return `POST /v1/predict` of one instant; see `as_block` for arguments and errors."""
    body = _instant(feature_names, symbols, features, context) | ({} if key is None else {"key": key})
    named = tuple(symbols)

    def read(reply: Reply) -> PredictAnswer:
        answer = _validated(PredictResponse, reply)
        if tuple(answer.symbols) != named:
            raise ValueError(f"it holds {len(answer.symbols)} symbols, not the {len(named)} asked for in their order")
        columns: dict[str, Sequence[object]] = {"scores": answer.scores, "variants": answer.variants, **answer.members}
        for name, column in columns.items():
            if len(column) != len(named):
                raise ValueError(f"{name} holds {len(column)} values for {len(named)} symbols")
        return PredictAnswer(
            named,
            np.array(answer.scores, dtype=np.float64),
            {key: np.array(column, dtype=np.float64) for key, column in answer.members.items()},
            tuple(answer.models),
            tuple(answer.variants),
            (answer.request_id,),
        )

    return Call("POST", "/v1/predict", read, _json(body))


def explain_call(
    feature_names: Sequence[str],
    symbols: Sequence[str],
    features: ArrayLike,
    context: ArrayLike | None,
    options: dict[str, object],
) -> Call[ExplainResponse]:
    """Return `POST /v1/explain` of one instant; `options` are the keys that `/v1/predict` does not have."""
    body = _instant(feature_names, symbols, features, context) | options

    def read(reply: Reply) -> ExplainResponse:
        from serve.explain_schema import ExplainResponse

        return _validated(ExplainResponse, reply)

    return Call("POST", "/v1/explain", read, _json(body), patient=True)


def models_call() -> Call[ModelsResponse]:
    """Return `GET /v1/models`."""
    return Call("GET", "/v1/models", lambda reply: _validated(ModelsResponse, reply))


def health_call(path: str) -> Call[Health]:
    """Return a question for health, asked once: `/healthz` or `/readyz`."""
    return Call("GET", path, lambda reply: _validated(Health, reply), once=True)


def metrics_call() -> Call[str]:
    """Return `GET /metrics`; UnicodeDecodeError is a ValueError."""
    return Call("GET", "/metrics", lambda reply: reply.content.decode())


def any_call(method: str, path: str, body: object, repeatable: bool | None) -> Call[Any]:
    """Return a call of any route whose answer is JSON, or nothing.

    Parameters
    ----------
    method, path : str
    body : object
        What orjson can write, arrays included; None sends no body.
    repeatable : bool, optional
        Whether it changes nothing; by default if the method is GET or HEAD.

    Raises
    ------
    UserError
        If the path does not begin with one slash.
    DataError
        If the body cannot be written as JSON.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise UserError(f"path={path!r} is not allowed; one below the server's URL is, such as '/v1/models'")
    if repeatable is None:
        repeatable = method.upper() in {"GET", "HEAD"}
    read: Callable[[Reply], Any] = lambda reply: orjson.loads(reply.content) if reply.content else None  # noqa: E731
    return Call(method.upper(), path, read, None if body is None else _json(body), repeatable)


def _instant(
    feature_names: Sequence[str], symbols: Sequence[str], features: ArrayLike, context: ArrayLike | None
) -> dict[str, object]:
    if (n_axes := np.ndim(features)) != 2:
        raise DataError(f"features have {n_axes} axes; one instant is allowed, (n_symbols, n_features)")
    block, n_context = as_block(feature_names, symbols, features, context)
    body: dict[str, object] = {
        "feature_names": list(feature_names),
        "symbols": list(symbols),
        "features": block[n_context],
    }
    return body | {"context": block[:n_context]} if n_context else body


def _floats(field: str, values: ArrayLike) -> FloatArray:
    """Return finite numbers and NaN as doubles: infinity would be written as null, which means missing."""
    try:
        given = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{field} is not a table of numbers: {error}") from None
    if given.dtype.kind not in "fiu":
        raise DataError(f"{field} has the type {given.dtype}; numbers are allowed, NaN where one is missing")
    floats = np.ascontiguousarray(given, dtype=np.float64)
    if np.isinf(floats).any():
        place = tuple(int(axis[0]) for axis in np.nonzero(np.isinf(floats)))
        raise DataError(f"{field}{list(place)} is infinite; finite numbers and NaN are allowed")
    return floats


def _json(body: object) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise DataError(f"the request cannot be written as JSON: {error}") from error


def _validated(kind: type[M], reply: Reply) -> M:
    """Return the answer as its message; keys that a newer server adds are left out."""
    document = orjson.loads(reply.content)
    try:
        return kind.model_validate(document, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None
