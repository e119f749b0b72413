"""Keys of vendors; they come from the environment, and go nowhere but to the vendor."""

from __future__ import annotations

import os

from trader.core.errors import SettingsError

__all__ = ["key_from"]


def key_from(variable: str, vendor: str) -> str:
    """Return the key that an environment variable holds.

    Raises
    ------
    SettingsError
        If there is none.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise SettingsError(f"{variable} is not set in the environment; {vendor} gives ticks to those with a key only")
    return key
