"""The limit on memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from serve.memory import limit_memory

SCRIPT = """
import numpy as np
from serve.memory import limit_memory

np.ones(2**23)  # 64 MiB
limit_memory(32)
np.ones(2**20)  # 8 MiB
try:
    np.ones(2**23)
except MemoryError:
    print("refused")
limit_memory(0)
print(int(np.ones(2**23)[-1]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is set by what /proc says")
def test_what_is_beyond_the_limit_is_refused_in_the_process() -> None:
    """As much as before is refused while there is a limit, and the process lives on."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["refused", "1"]), done.stderr


def test_no_limit_changes_nothing() -> None:
    limit_memory(0)
