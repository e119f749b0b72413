"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

__all__ = ["describe_machine", "load_average", "versions_of"]

_LIBRARIES = ("gpt-trader", "numpy", "numba", "pandas", "pyarrow", "ray", "sqlalchemy", "scikit-learn")


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory, kernel and the versions of the libraries that matter for speed."""
    return {
        "cpu": _cpu_model(),
        "logical_cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": versions_of(_LIBRARIES),
    }


def load_average() -> list[float]:
    """Return the machine's load over the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of installed distributions; one that is not installed is left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
