"""Names under which the parts are found on a cluster."""

from __future__ import annotations

__all__ = ["APP", "ENSEMBLE", "INGRESS"]

APP = "gpt-trader"
"""The Serve application, by default."""
ENSEMBLE = "ensemble"
"""The deployment that holds the models."""
INGRESS = "ingress"
"""The deployment that speaks HTTP."""
