"""Optional libraries."""

from __future__ import annotations

import importlib
from types import ModuleType

from trader.core.errors import OperationError

__all__ = ["optional"]


def optional(module: str, extra: str, error: type[OperationError] = OperationError) -> ModuleType:
    """Import a library of an optional extra.

    Parameters
    ----------
    module : str
    extra : str
        The extra of this distribution that brings it.
    error : type of OperationError, default=OperationError

    Raises
    ------
    OperationError
        Of type `error`, if it is not installed; the message says how to.
    """
    try:
        return importlib.import_module(module)
    except ImportError as missing:
        raise error(f"{module} is not installed; pip install 'gpt-trader[{extra}]' ({missing})") from missing
