"""How arguments travel to a replica: in the message while they are small, through the object store when not."""

from __future__ import annotations

from typing import Any

from ray.serve.handle import DeploymentHandle

__all__ = ["EnsembleHandle"]

# In the message a call takes half the time of one through the object store, but Serve limits a message, and an
# answer, to 4 MiB. Above this size the object store is the faster way anyway.
_BY_VALUE_BYTES = 256 * 1024


class EnsembleHandle:
    """A handle of the deployment of `serve.service.EnsembleService`.

    Parameters
    ----------
    handle : DeploymentHandle
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._by_value = handle.options(_by_reference=False)
        self._by_reference = handle.options(_by_reference=True)

    def method(self, name: str, n_bytes: int = 0) -> Any:
        """Return the remote method `name`, for arguments of `n_bytes`."""
        handle = self._by_value if n_bytes <= _BY_VALUE_BYTES else self._by_reference
        return getattr(handle, name)

    def broadcast(self, name: str) -> Any:
        """Call method `name` on every replica."""
        return self._by_value.broadcast(name)
