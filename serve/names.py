"""Names under which the parts are found on a cluster."""

from __future__ import annotations

__all__ = ["APP", "INGRESS"]

APP = "gpt-trader"
"""The Serve application, by default."""
INGRESS = "ingress"
"""The deployment that speaks HTTP."""
