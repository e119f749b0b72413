"""Ensembles from registered versions: equal weights, scales that are said, a folder named by its content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ray.serve.schema import ServeDeploySchema

from serve.app import AppArgs
from serve.assembling import assemble
from serve.config_file import deploy_config
from serve.plan import Serving
from trader.core.errors import ModelError, NotFoundError, UserError
from trader.models.artifacts import load_ensemble
from trader.models.background import BACKGROUND_FILE, draw_background
from trader.models.base import create
from trader.registry import Lineage, Registry
from trader.settings import Settings
from trader.storage import Store

NAMES = ("momentum_252_21", "return_5d")
ROWS = np.random.default_rng(5).normal(size=(200, 2))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry in memory, its artefacts in a folder."""
    with Store.open("sqlite://") as store:
        yield Registry(store, str(tmp_path / "artifacts"), cache=tmp_path / "cache")


def keep(
    registry: Registry,
    folder: Path,
    kind: str,
    *,
    scale: float | None = None,
    sample: bool = False,
    names: tuple[str, ...] = NAMES,
) -> None:
    """Register a fitted model, with a scale in its report or a sample of its training rows."""
    saved = folder / f"saved-{kind}-{len(list(folder.iterdir()))}"
    saved.mkdir()
    create(kind).fit(ROWS, ROWS[:, 0], feature_names=names).save(saved)
    if sample:
        draw_background(ROWS, 1, source="of a test").save(saved / BACKGROUND_FILE)
    report = {} if scale is None else {"scale": scale}
    lineage = Lineage(data_fingerprint="f", settings={}, seed=1)
    registry.register(kind, saved, lineage=lineage, report=report, metrics={}, who="test", why="test")


def test_members_weigh_equally_on_scales_of_one(registry: Registry, tmp_path: Path) -> None:
    """Where nothing gives a scale, scores are averaged as they are, and that is said."""
    keep(registry, tmp_path, "linear")
    keep(registry, tmp_path, "momentum", scale=0.5)
    made = assemble(registry, ["linear@1.0.0", "momentum"], tmp_path / "made")
    ensemble = load_ensemble(made.folder)
    assert dict(ensemble.weights) == {"linear@1.0.0": 0.5, "momentum@1.0.0": 0.5}
    assert dict(ensemble.scales) == {"linear@1.0.0": 1.0, "momentum@1.0.0": 1.0}
    assert made.scales_from.startswith("1: of at least one member")
    assert ensemble.background is None


def test_scales_of_reports_and_samples(registry: Registry, tmp_path: Path) -> None:
    """A report's scale is used as it is; failing that it is measured on the sample, which explanations use too."""
    keep(registry, tmp_path, "linear", sample=True)
    keep(registry, tmp_path, "momentum", scale=0.5)
    made = assemble(registry, ["linear", "momentum"], tmp_path / "made")
    ensemble = load_ensemble(made.folder)
    assert ensemble.background is not None
    scores = ensemble.members["linear@1.0.0"].predict(ensemble.background.rows)
    assert ensemble.scales["momentum@1.0.0"] == 0.5
    assert ensemble.scales["linear@1.0.0"] == pytest.approx(np.std(scores), rel=1e-12)
    assert "reports and measured on" in made.scales_from


def test_same_members_are_the_same_folder(registry: Registry, tmp_path: Path) -> None:
    """What was saved is used again, unless somebody changed it."""
    keep(registry, tmp_path, "linear")
    first = assemble(registry, ["linear@1.0.0"], tmp_path / "made")
    assert assemble(registry, ["linear"], tmp_path / "made").folder == first.folder
    (first.folder / "linear@1.0.0" / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"model\.json"):
        assemble(registry, ["linear"], tmp_path / "made")


def test_members_that_cannot_be(registry: Registry, tmp_path: Path) -> None:
    """A version twice, one that is unknown, and two schemas are named."""
    keep(registry, tmp_path, "linear")
    keep(registry, tmp_path, "momentum", names=("momentum_252_21", "return_6d"))
    with pytest.raises(UserError, match=r"--members linear,linear@1\.0\.0 names linear@1\.0\.0 twice"):
        assemble(registry, ["linear", "linear@1.0.0"], tmp_path / "made")
    with pytest.raises(NotFoundError, match=r"9\.9\.9"):
        assemble(registry, ["linear@9.9.9"], tmp_path / "made")
    with pytest.raises(ModelError, match=r"momentum@1\.0\.0 was fitted on other features than linear@1\.0\.0"):
        assemble(registry, ["linear", "momentum"], tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_config_is_one_that_serve_deploy_accepts() -> None:
    """It listens on loopback, names the builder, and holds no password."""
    settings = Settings.model_validate(
        {
            "store": {"url": "postgresql+psycopg://u:secret@db/x"},
            "serve": {"replicas": 2, "rate_limit": 5, "users": {"ann": "viewer"}},
        }
    )
    asked = AppArgs.of(settings.serve, Serving(model_dir=Path("/models")), store_url=settings.store_url)
    config = deploy_config(asked, name="standing", host=settings.serve.host, port=8123)
    schema = ServeDeploySchema.model_validate(config)
    assert (schema.http_options.host, schema.http_options.port) == ("127.0.0.1", 8123)
    assert schema.applications[0].import_path == "serve.app:build_app"
    args = AppArgs.model_validate(schema.applications[0].args)
    assert (args.model_dir, args.replicas, args.users) == (Path("/models"), 2, {"ann": "viewer"})
    assert args.rate_limit == 5.0
    assert "secret" not in str(config)
