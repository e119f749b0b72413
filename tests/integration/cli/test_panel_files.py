"""`trader data panel` and `trader models train --panel`: from a feed to a registered version by way of files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trader.models.panel_files import open_panel

MARKET = (
    "--feed", "planted",
    "--set", "feed.planted.signal=momentum",
    "--set", "feed.planted.n_symbols=6",
    "--set", "feed.planted.n_days=700",
    "--set", "models.horizon=1",
    "--set", "features.families=[returns, volatility, volume]",
)  # fmt: skip


@pytest.fixture
def panel(trader: Callable[..., Any], tmp_path: Path) -> Path:
    """Panel files of a small market."""
    written = trader("data", "panel", *MARKET, "--context", "8", "--file-mb", "0.05", "--out", "panel")
    assert written.code == 0, written.err
    assert "700 instants of 6 symbols" in written.err
    return tmp_path / "panel"


def test_write_then_train(trader: Callable[..., Any], panel: Path) -> None:
    """A model is judged by the fifth of the files that it has not seen, and kept with where it comes from."""
    files = open_panel(panel)
    assert len(files.files) > 2
    train = ("models", "train", "transformer", "--preset", "ci", "--panel", "panel", "--param", "epochs=2")
    trained = trader(*train, "--why", "from files", "--json")
    assert trained.code == 0, trained.err
    assert "epoch 2 of 2  train_loss" in trained.err
    answer = json.loads(trained.out)
    report, version = answer["report"], answer["version"]
    assert (version["ref"], version["state"]) == ("transformer@1.0.0", "STAGING")
    stamps = np.concatenate([block.ts_ns[block.n_context :] for block in files.blocks()])
    (fold,) = report["folds"]
    assert report["train_end_ns"] == stamps[559]
    assert fold == [stamps[560 + 10], stamps[-1]]  # a purge lies between
    assert [step["step"] for step in report["curve"]] == [1, 2]
    assert report["n_rows"] == files.stats(0, 560).n_labels
    assert "Nothing was traded" in Path(answer["page"]).read_text()
    shown = json.loads(trader("models", "show", "transformer@1.0.0", "--json").out)
    assert shown["lineage"]["data_fingerprint"] == files.header.fingerprint
    assert shown["lineage"]["settings"]["feed"]["planted"]["n_days"] == 700
    assert shown["lineage"]["span_ns"][1] == stamps[559]
    explained = trader("models", "explain", "transformer@1.0.0", *MARKET, "--method", "shap", "--json")
    assert explained.code == 0, explained.err
    assert not Path("runs/training").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("boosting", "--panel", "panel"), ("'boosting' does not learn from panel files",)),
        (("transformer", "--panel", "nowhere"), ("nowhere holds no panel", "trader data panel")),
        (("transformer", "--panel", "panel", "--param", "context=16"), ("context=16", "at most 8")),
        (("transformer", "--panel", "panel", "--feed", "planted"), ("leave out",)),
        (("transformer", "--panel", "panel", "--workers", "0"), ("--workers 0", "at least 1")),
        (("transformer", "--panel", "panel", "--workers", "2", "--ray", "off"), ("2 workers need Ray",)),
        (("transformer", "--panel", "panel", "--test-fraction", "1.5"), ("test_fraction=1.5", "between 0 and 1")),
        (("transformer", "--workers", "2"), ("need --panel",)),
    ],
)
def test_bad_input_is_one_line(
    trader: Callable[..., Any], panel: Path, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """What is wrong is named, with exit code 2, and nothing is registered."""
    outcome = trader("models", "train", *args, "--preset", "ci")
    assert outcome.code == 2, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
    assert json.loads(trader("models", "list", "--json").out) == []


def test_a_changed_file_is_refused(trader: Callable[..., Any], panel: Path) -> None:
    """One changed byte in the middle of the training: one line that names the file."""
    path = sorted(panel.glob("*.parquet"))[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome = trader("models", "train", "transformer", "--preset", "ci", "--panel", "panel")
    assert outcome.code == 2
    assert f"{path.name} was changed" in outcome.err
