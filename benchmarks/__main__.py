"""`python -m benchmarks [names] [--quick] [--out DIR]`: measure, show a table, and keep a JSON of each."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.machine import describe_machine, load_average
from benchmarks.options import Options
from benchmarks.results import Result, to_dict, write_json
from benchmarks.tables import show

__all__ = ["BENCHMARKS", "main"]

BENCHMARKS = (
    "bars_kernel",
    "actors_throughput",
    "decision_loop",
    "tick_latency",
    "socket_to_features",
    "live_latency",
    "memory",
    "learning_proof",
    "registry",
    "experiments",
    "serving",
    "tune",
    "transformer",
    "panel_training",
    "risk_correlation",
    "risk_simulation",
    "risk_var",
    "risk_greeks",
    "risk_snapshot",
    "redis_sink",
    "book_updates",
)
"""Each is the module of that name with a function `run(options) -> Result`."""

_RESULTS = Path(__file__).parent / "results"
_FILE_WIDTH = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were named; return 1 if one of them broke down (a missed target is no failure)."""
    chosen = _parse(arguments)
    out = chosen.out or (_RESULTS / "local" if chosen.quick else _RESULTS)
    console, err = _console(), Console(stderr=True)
    machine = describe_machine()
    failed = []
    for name in chosen.names or BENCHMARKS:
        before = load_average()
        err.print(f"{name}: load average {before[0]}", style="dim")
        try:
            with tempfile.TemporaryDirectory(prefix="trader-bench-") as scratch:
                result = _measure(name, chosen.quick, Path(scratch), err)
        except Exception:  # noqa: BLE001 - whatever breaks one benchmark, the others are still measured
            err.print(traceback.format_exc(), markup=False, highlight=False)
            failed.append(name)
            continue
        content = to_dict(result, machine, before, load_average(), quick=chosen.quick)
        write_json(content, out)
        show(content, console)
    if failed:
        err.print(f"failed: {', '.join(failed)}", style="red")
    return 1 if failed else 0


def _measure(name: str, quick: bool, scratch: Path, err: Console) -> Result:
    with err.status(name) as status:
        options = Options(quick, scratch, lambda text: status.update(f"{name}: {text}"))
        result: Result = importlib.import_module(f"benchmarks.{name}").run(options)
    return result


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure ours beside its peers. Peers are installed into .venv-peers on first use.",
        epilog="example: python -m benchmarks bars_kernel --quick",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, rough figures")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the JSON goes; default: benchmarks/results")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; allowed are {', '.join(BENCHMARKS)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
