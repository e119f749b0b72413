"""Whether the cluster of this process is still there, seen from outside Ray, which itself waits a minute to say so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import ray

__all__ = ["ClusterWatch", "watch_cluster"]

_PROBE_TIMEOUT_S = 1.0
_PATIENCE_S = 30.0


class ClusterWatch:
    """Asks the sockets of a node and of the head's control store whether anybody listens; a probe takes no time.

    A process cannot outlive the raylet of its node, so that one is missed at once. A control store that keeps its state
    in Redis comes back with its head, so it has 30 s; Ray ends the process after 60.

    Parameters
    ----------
    raylet : str
        Path of the unix socket of this node's raylet.
    control_store : str
        Its `host:port`.
    clock : callable
        Seconds of a monotonic clock.
    """

    def __init__(self, raylet: str, control_store: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._raylet = raylet
        host, _, port = control_store.rpartition(":")
        self._control_store = (host.strip("[]"), int(port))
        self._clock = clock
        self._seen_s = clock()

    def problem(self) -> str | None:
        """Return what is gone for good; None while all is there or may come back."""
        if not _listens(socket.AF_UNIX, self._raylet):
            return "the raylet of this node has ended"
        family = socket.AF_INET6 if ":" in self._control_store[0] else socket.AF_INET
        now = self._clock()
        if _listens(family, self._control_store):
            self._seen_s = now
        elif now - self._seen_s >= _PATIENCE_S:
            return f"its head has not answered for {now - self._seen_s:.0f} s"
        return None


def watch_cluster() -> ClusterWatch:
    """Return the watch of the cluster that this process has just joined or started."""
    context = ray.get_runtime_context()
    (own,) = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    return ClusterWatch(own["RayletSocketName"], context.gcs_address)


def _listens(family: socket.AddressFamily, address: Any) -> bool:
    """Return whether somebody listens; a raylet that is slow to accept is busy, a remote head that is so may be off."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(address)
        except TimeoutError:
            return family == socket.AF_UNIX
        except BlockingIOError:  # a unix socket whose queue is full
            return True
        except OSError:
            return False
    return True
