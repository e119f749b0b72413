"""Names under which the parts are found on a cluster."""

from __future__ import annotations

__all__ = ["APP", "CHALLENGER", "ENSEMBLE", "INGRESS"]

APP = "gpt-trader"
"""The Serve application, by default."""
ENSEMBLE = "ensemble"
"""The deployment that holds the models."""
CHALLENGER = "challenger"
"""The deployment that holds the models of an experiment's challenger."""
INGRESS = "ingress"
"""The deployment that speaks HTTP."""
