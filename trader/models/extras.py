"""Optional libraries."""

from __future__ import annotations

import importlib
from types import ModuleType

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
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{module} is not installed; pip install 'gpt-trader[{extra}]' ({error})") from error
