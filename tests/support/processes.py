"""Python code run by several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def outputs(code: str, *args: str, n: int, timeout_s: float = 300) -> list[str]:
    """Run `code` in n processes at once, all of which must succeed, and return what each printed."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for _ in range(n)
    ]
    printed = []
    for child in children:
        out, err = child.communicate(timeout=timeout_s)
        assert child.returncode == 0, err
        printed.append(out)
    return printed
