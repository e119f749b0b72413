"""A limit on the memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path

__all__ = ["limit_memory"]

_STATUS = Path("/proc/self/status")


def limit_memory(more_mb: int) -> None:
    """Let this process hold so much more data than it holds now; asking for more raises MemoryError in it.

    Parameters
    ----------
    more_mb : int
        In MiB; 0 takes the limit away. Without `/proc` (not Linux) nothing is limited.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = hard
    if more_mb > 0 and _STATUS.is_file():
        (held,) = [line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmData:")]
        soft = int(held.split()[1]) * 1024 + more_mb * 2**20
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
