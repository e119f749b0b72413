"""Starting or joining a Ray cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import ray

from trader.core.errors import OperationError
from trader.settings import RaySettings

__all__ = ["NAMESPACE", "ClusterInfo", "cluster", "connect", "leave_cluster", "start_cluster"]

NAMESPACE = "gpt-trader"


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Where the cluster is.

    Parameters
    ----------
    address : str
        Host and port.
    dashboard_url : str, optional
        None without a dashboard.
    auth_mode : str
        How it authenticates calls, `token` or `disabled`: whoever joins must use the same.
    """

    address: str
    dashboard_url: str | None
    auth_mode: str


def start_cluster(settings: RaySettings) -> ClusterInfo:
    """Start a local cluster sized to the machine, or join the one that `settings.address` names.

    Usage reports are off. Nothing listens beyond this machine's loopback but what Ray itself opens (its GCS and
    metrics ports; see `docs/architecture.md`).

    Raises
    ------
    OperationError
        If the cluster cannot be started or reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Counts shown by Ray's metrics become visible within a second instead of ten.
    os.environ.setdefault("RAY_metrics_report_interval_ms", "1000")
    if settings.address != "local":
        return connect(settings.address)
    cpus = settings.num_cpus or max(os.cpu_count() or 1, 2)
    store_bytes = min(settings.object_store_mb << 20, psutil.virtual_memory().available // 4)
    try:
        context = _init(
            address="local",
            namespace=NAMESPACE,
            num_cpus=cpus,
            object_store_memory=store_bytes,
            include_dashboard=settings.dashboard,
            dashboard_host="127.0.0.1",
            dashboard_port=settings.dashboard_port,
        )
    except (OSError, RuntimeError, ValueError, ConnectionError) as error:
        raise OperationError(f"Ray could not start with {cpus} CPUs: {' '.join(str(error).split())}") from error
    return _info(context)


def connect(address: str) -> ClusterInfo:
    """Join a running cluster; `RAY_AUTH_MODE` must be as it was started, and is read when Ray is imported.

    Raises
    ------
    OperationError
        If nothing answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        context = _init(address=address, namespace=NAMESPACE)
    except (OSError, RuntimeError, ValueError, ConnectionError) as error:
        raise OperationError(f"no Ray cluster answers at {address!r}: {' '.join(str(error).split())}") from error
    return _info(context)


def _init(**options: Any) -> Any:
    """Call `ray.init` quietly, and keep the process's own answer to SIGTERM: Ray's would exit at once."""
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        return ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    finally:
        if on_sigterm is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)


def _info(context: Any) -> ClusterInfo:
    url = context.dashboard_url
    # Ray turns token authentication on for a cluster it starts, and says so in the environment.
    auth_mode = os.environ.get("RAY_AUTH_MODE", "disabled")
    return ClusterInfo(context.address_info["address"], f"http://{url}" if url else None, auth_mode)


def leave_cluster() -> None:
    """Leave the cluster; one that this process started ends."""
    ray.shutdown()


@contextlib.contextmanager
def cluster(settings: RaySettings) -> Iterator[ClusterInfo]:
    """Start or join a cluster as `start_cluster` does, and leave it afterwards."""
    info = start_cluster(settings)
    try:
        yield info
    finally:
        leave_cluster()
