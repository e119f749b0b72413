"""Optional libraries of models."""

from __future__ import annotations

from types import ModuleType

from trader.core import extras
from trader.core.errors import ModelError

__all__ = ["optional"]


def optional(module: str, extra: str) -> ModuleType:
    """Import a library of an optional extra.

    Parameters
    ----------
    module : str
    extra : str
        The extra of this distribution that brings it.

    Raises
    ------
    ModelError
        If it is not installed; the message says how to.
    """
    return extras.optional(module, extra, ModelError)
