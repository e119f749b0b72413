"""The one way in which functions of this package are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "compiled_loop"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function that compiled loops call; a division by zero gives inf or NaN, as in numpy.

    It is not cached on its own: it becomes part of the loop that calls it, and of that loop's cache.
    """
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # Python never calls it
    return cast("Function", numba.njit(error_model="numpy", forceinline=True, **options)(function))


def compiled_loop(function: Function) -> Function:
    """Compile a function that Python calls, and cache it beside its file."""
    return cast("Function", numba.njit(cache=True, error_model="numpy")(function))
