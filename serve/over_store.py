"""What the routes over the store share: asking it without holding up predictions, and what its errors answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from serve.problems import ProblemError
from trader.core.errors import ConflictError, NotFoundError, StoreError, UserError

__all__ = ["ask_store", "json_ready"]

P = ParamSpec("P")
T = TypeVar("T")


async def ask_store(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask the store in another thread, so that predictions are answered meanwhile."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except NotFoundError as error:
        raise ProblemError(404, "not-found", str(error)) from None
    except UserError as error:
        raise ProblemError(422, "invalid-request", str(error)) from None
    except ConflictError as error:
        raise ProblemError(409, "conflict", str(error)) from None
    except StoreError as error:
        raise ProblemError(503, "store-unavailable", str(error), headers={"Retry-After": "5"}) from None


def json_ready(value: Any) -> Any:
    """Return JSON-ready values: NaN is null."""
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
