"""Memory and speed of training from panel files: in one process, by workers on Ray, and with everything in memory.

Each case runs in a process of its own, on one epoch of a small transformer; features are noise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.options import Options
from benchmarks.results import Result, Target
from trader.models.panel_files import PanelHeader, open_panel
from trader.models.panel_writer import PanelWriter, slices_of
from trader.models.transformer_model import Transformer

__all__ = ["run"]

_SYMBOLS, _FEATURES, _CONTEXT = 50, 100, 4
_SMALL_MB, _LARGE_MB, _FILE_MB = 256, 1024, 8
_WORKERS = 2
_SEED = 1


def run(options: Options) -> Result:
    """Measure peaks of memory for a panel and for one four times as large."""
    small, large = options.scaled(_SMALL_MB), options.scaled(_LARGE_MB)
    panels = {size: options.scratch / f"panel-{size}" for size in (small, large)}
    for size, folder in panels.items():
        options.say(f"writing a panel of {size} MB")
        _write(folder, size)
    found: dict[str, dict[str, float]] = {}
    for mode, size in (("files", small), ("files", large), ("ray", large), ("memory", small)):
        name = f"{mode}, {size} MB"
        options.say(name)
        command = [sys.executable, "-m", "benchmarks.panel_training", mode, str(panels[size])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: the measured process failed: {done.stderr.strip()[-2000:]}")
        found[name] = json.loads(done.stdout.splitlines()[-1])
    files, ray = found[f"files, {large} MB"], found[f"ray, {large} MB"]
    growth = files["peak_mb"] / found[f"files, {small} MB"]["peak_mb"] - 1
    return Result(
        "panel_training",
        f"Training from panel files, {_SYMBOLS} symbols, {_FEATURES} features",
        "windows",
        {"file_mb": _FILE_MB, "context": _CONTEXT, "workers": _WORKERS, "seed": _SEED, "epochs": 1},
        (),
        [
            Target("peak above the start, as a share of the panel", "%", 100 * files["grown_mb"] / large, "<=", 100.0),
            Target("the same of the largest worker on Ray", "%", 100 * ray["grown_mb"] / large, "<=", 100.0),
            Target("growth of the peak for four times the panel", "%", 100 * growth, "<=", 10.0),
        ],
        found,
    )


def _write(folder: Path, megabytes: int) -> None:
    """Write a panel whose features take so much memory as float32."""
    rng = np.random.default_rng(_SEED)
    header = PanelHeader(
        tuple(f"f{i}" for i in range(_FEATURES)), tuple(f"S{i}" for i in range(_SYMBOLS)), 1, overlap=_CONTEXT - 1
    )
    n_slices, block = megabytes * 2**20 // (4 * _SYMBOLS * _FEATURES), 200
    with PanelWriter(folder, header, slices_of(header, _FILE_MB * 2**20)) as writer:
        for start in range(0, n_slices, block):
            n = min(block, n_slices - start)
            features = rng.standard_normal((n, _SYMBOLS, _FEATURES), dtype=np.float32)
            writer.append(np.arange(start, start + n, dtype=np.int64) * 10**9, features, features[..., 0])


def measure(mode: str, folder: Path) -> dict[str, float]:
    """Train for an epoch; return peaks of resident memory in MB and windows a second."""
    panel = open_panel(folder)
    preset = dict(Transformer.PRESETS["ci"]) | {"epochs": 1, "batch_size": 64, "device": "cpu"}
    params = Transformer(**preset)
    if mode == "ray":
        return _on_ray(panel, params)
    from trader.models.panel_model import fit_panel_files

    def in_memory() -> Any:
        blocks = list(panel.blocks())
        own = ("features", "target", "weight")
        whole = {name: np.concatenate([getattr(b, name)[b.n_context :] for b in blocks]) for name in own}
        return params.fit_panel(**whole, feature_names=panel.header.feature_names, seed=_SEED)

    work = in_memory if mode == "memory" else lambda: fit_panel_files(panel, params, seed=_SEED)
    me = psutil.Process()
    return _watched(work, lambda: me.memory_info().rss, len(panel), me.memory_info().rss)


def _on_ray(panel: Any, params: Transformer) -> dict[str, float]:
    from trader.runtime.cluster import cluster
    from trader.runtime.training import train_on_ray
    from trader.settings import RaySettings

    def largest() -> int:
        sizes = [0]
        for process in psutil.Process().children(recursive=True):
            try:
                if "RayTrainWorker" in " ".join(process.cmdline()):
                    sizes.append(process.memory_info().rss)
            except psutil.Error:  # it ended while it was looked at
                continue
        return max(sizes)

    settings = RaySettings(dashboard=False, num_cpus=_WORKERS)
    with cluster(settings), tempfile.TemporaryDirectory() as folder:

        def work() -> Any:
            return train_on_ray(panel, params, Path(folder), n_workers=_WORKERS, seed=_SEED)

        return _watched(work, largest, len(panel), _imported())


def _imported() -> int:
    """Return the resident memory of a process that has loaded what a worker loads, and nothing else."""
    code = "import psutil, trader.runtime.training_worker; print(psutil.Process().memory_info().rss)"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _watched(work: Callable[[], Any], resident: Callable[[], int], n_windows: int, start: int) -> dict[str, float]:
    """Look at memory ten times a second while something is done."""
    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    try:
        work()
    finally:
        ended.set()
        watcher.join()
    elapsed = time.perf_counter() - began
    return {
        "peak_mb": peak / 2**20,
        "grown_mb": (peak - start) / 2**20,
        "seconds": elapsed,
        "windows_per_s": n_windows / elapsed,
    }


if __name__ == "__main__":
    json.dump(measure(sys.argv[1], Path(sys.argv[2])), sys.stdout)
