"""`trader models train … --panel`: learn from panel files, with one process or several workers on Ray."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from trader.cli.common import err, stdout_for_results
from trader.cli.models.common import step_text
from trader.core.errors import UserError
from trader.settings import Settings

if TYPE_CHECKING:
    from trader.core.protocols import Model
    from trader.engine.evaluation import SignalEvaluation
    from trader.models.panel_files import PanelFiles
    from trader.models.transformer_model import Transformer
    from trader.registry import ModelVersion

__all__ = ["PanelRequest", "train_from_panel"]


@dataclasses.dataclass(frozen=True, slots=True)
class PanelRequest:
    """What the options about panel files ask for.

    Parameters
    ----------
    folder : Path
    workers : int
    ray : str
        `auto`: several workers run on the cluster of the settings; `off`; or the address of a cluster to join.
    test_fraction : float
        Share of the instants, from the end, that the model is judged by and does not see.
    """

    folder: Path
    workers: int = 1
    ray: str = "auto"
    test_fraction: float = 0.2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"--workers {self.workers} is not allowed; at least 1 is needed")
        if self.ray == "off" and self.workers > 1:
            raise UserError(f"--ray off: {self.workers} workers need Ray; one does not")

    @property
    def on_ray(self) -> bool:
        """Whether workers run on Ray."""
        return self.ray not in ("auto", "off") or self.workers > 1


def train_from_panel(
    kind: str,
    params: Mapping[str, Any],
    request: PanelRequest,
    settings: Settings,
    *,
    name: str | None,
    who: str,
    why: str,
) -> tuple[ModelVersion, SignalEvaluation, Path]:
    """Fit to the panel files, judge by their end, and register; return version, evaluation and page.

    Raises
    ------
    UserError
        If the kind of model does not learn from panel files, or the files cannot be used.
    """
    from trader.engine.panel_training import PanelSplit, evaluate_on_panel, panel_background, panel_lineage
    from trader.engine.registration import REPORT_FILE, register_model
    from trader.models.panel_files import open_panel
    from trader.models.transformer_model import Transformer
    from trader.registry import Registry
    from trader.reporting.formats import plural
    from trader.reporting.live import LiveView
    from trader.storage import Store

    if kind != Transformer.name:
        raise UserError(f"--panel: {kind!r} does not learn from panel files; {Transformer.name!r} does")
    panel, unfitted = open_panel(request.folder), Transformer(**params)
    split = PanelSplit.of(panel, unfitted, request.test_fraction)
    seed = settings.run.seed
    with LiveView(err) as view, Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:

        def tell(epoch: int, total: int, metrics: Mapping[str, float]) -> bool:
            view.progress(stage, epoch / total)
            err.print(f"epoch {epoch} of {total}  {step_text(metrics)}", markup=False, highlight=False, soft_wrap=True)
            return True

        stage = f"training on {plural(request.workers, 'worker')}"
        view.progress(stage, 0.0)
        registry = Registry.of(opened, settings.registry)
        started = time.perf_counter()
        folder = _work_folder(settings, panel, params, request, split.end)
        fitted = _fit(panel, unfitted, request, settings, split.end, folder, tell)
        seconds = time.perf_counter() - started
        view.progress("judging it by the instants it has not seen", 0.0)
        evaluation = evaluate_on_panel(fitted, panel, split, seed=seed, seconds=seconds)
        background = panel_background(panel, split, seed)
        lineage = panel_lineage(panel, split, seed)
        model = cast("Model", fitted)  # it has what the protocol asks for, some of it as properties
        version = register_model(registry, model, evaluation, lineage, background, who=who, why=why, name=name)
        page = registry.fetch(version) / REPORT_FILE
    if folder.exists():
        shutil.rmtree(folder)
    return version, evaluation, page


def _fit(
    panel: PanelFiles,
    params: Transformer,
    request: PanelRequest,
    settings: Settings,
    end: int,
    folder: Path,
    tell: Callable[[int, int, Mapping[str, float]], bool],
) -> Transformer:
    from trader.models.panel_model import fit_panel_files

    if not request.on_ray:
        return fit_panel_files(panel, params, seed=settings.run.seed, end=end, monitor=tell)
    from trader.runtime.cluster import cluster
    from trader.runtime.training import train_on_ray

    wanted: dict[str, Any] = {"dashboard": False}
    if request.ray != "auto":
        wanted["address"] = request.ray
    elif settings.ray.num_cpus is None:
        wanted["num_cpus"] = max(request.workers, os.cpu_count() or 1)
    with stdout_for_results(), cluster(settings.ray.model_copy(update=wanted)):
        return train_on_ray(
            panel, params, folder, n_workers=request.workers, seed=settings.run.seed, end=end, on_epoch=tell
        )


def _work_folder(
    settings: Settings, panel: PanelFiles, params: Mapping[str, Any], request: PanelRequest, end: int
) -> Path:
    """Return where checkpoints lie; the same command finds those it left when it was broken off."""
    asked = [panel.fingerprint, dict(params), settings.run.seed, request.workers, end]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    return settings.run.runs_dir / "training" / digest
