"""Panel files: what was written is read, checked, in bounded memory, or not there at all."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.disk import disk_of
from trader.core.errors import DataError, NotFoundError, OperationError
from trader.models.dataset import TrainingSet
from trader.models.moments import Moments
from trader.models.panel_files import MANIFEST_FILE, PanelFiles, PanelHeader, open_panel
from trader.models.panel_writer import PanelWriter, slices_of, write_training_set
from trader.models.standard import column_moments

N_SYMBOLS, N_FEATURES = 3, 4
HEADER = PanelHeader(tuple("abcd"), tuple("XYZ"), horizon=2, overlap=7, fingerprint="f")


def _set(n_slices: int = 200) -> TrainingSet:
    rng = np.random.default_rng(5)
    features = rng.normal(3.0, 2.0, (n_slices, N_SYMBOLS, N_FEATURES))
    features[rng.random(features.shape) < 0.1] = np.nan
    closes = np.exp(np.cumsum(0.01 * rng.normal(size=(n_slices, N_SYMBOLS)), axis=0))
    ts_ns = np.arange(n_slices, dtype=np.int64) * 10**9
    return TrainingSet.build(
        features, HEADER.feature_names, closes, ts_ns, horizon=2, symbols=HEADER.symbols, fingerprint="f"
    )


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    return _set()


@pytest.fixture
def panel(tmp_path: Path, data: TrainingSet) -> PanelFiles:
    write_training_set(tmp_path / "panel", data, overlap=7, file_slices=33)
    return open_panel(tmp_path / "panel")


def test_the_files_hold_the_training_set(panel: PanelFiles, data: TrainingSet) -> None:
    """Every number of the set is in the files once, as float32; labels that cannot be used count 0."""
    blocks = list(panel.blocks())
    assert panel.header == HEADER
    assert len(panel) == len(data)
    assert panel.span_ns == (int(data.ts_ns[0]), int(data.ts_ns[-1]))
    for name in ("ts_ns", "features", "target"):
        own = np.concatenate([getattr(block, name)[block.n_context :] for block in blocks])
        np.testing.assert_array_equal(own, getattr(data, name).astype(own.dtype))
    weight = np.concatenate([block.weight[block.n_context :] for block in blocks])
    np.testing.assert_array_equal(weight, data.usable)


def test_each_file_makes_its_windows_alone(panel: PanelFiles, data: TrainingSet) -> None:
    """A file begins with the instants before its own, and says so in a column."""
    for file, block in zip(panel.files, panel.blocks(), strict=True):
        start = max(0, file.first - 7)
        assert block.n_context == file.first - start
        np.testing.assert_array_equal(block.ts_ns, data.ts_ns[start : file.end])
        np.testing.assert_array_equal(block.target, data.target[start : file.end].astype(np.float32))
        table = pq.read_table(panel.folder / file.name)
        assert table.column("is_context").to_pylist().count(True) == block.n_context


@pytest.mark.parametrize("n_context", [0, 3, 7])
def test_a_span_is_cut_with_its_past(panel: PanelFiles, data: TrainingSet, n_context: int) -> None:
    """The parts of the files between two positions hold what the set holds there, and the instants before."""
    spans = panel.spans(30, 120)
    assert [(span.start, span.stop) for span in spans] == [(30, 33), (33, 66), (66, 99), (99, 120)]
    for span in spans:
        block = panel.read_span(span, n_context)
        assert (block.first, block.n_context) == (span.start, n_context)
        np.testing.assert_array_equal(block.ts_ns, data.ts_ns[span.start - n_context : span.stop])
    assert panel.read_span(panel.spans(2, 9)[0], n_context).n_context == min(2, n_context)


@pytest.mark.parametrize(("start", "stop"), [(0, 200), (50, 140), (66, 99), (3, 4)])
def test_figures_of_a_span_are_those_of_its_rows(panel: PanelFiles, data: TrainingSet, start: int, stop: int) -> None:
    """Figures kept by file add up to those that numpy finds over all rows at once, where a label counts."""
    counted = data.usable[start:stop]
    rows = data.features[start:stop][counted].astype(np.float32).astype(np.float64)
    labels = data.target[start:stop][counted].astype(np.float32).astype(np.float64)
    found = panel.stats(start, stop)
    assert found.n_labels == found.weight == len(rows)
    np.testing.assert_allclose(found.power, (labels**2).sum(), rtol=1e-12)
    if len(rows):
        np.testing.assert_allclose(found.features.mean, np.nanmean(rows, axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.features.deviation, np.nanstd(rows, axis=0), rtol=1e-10)
        np.testing.assert_array_equal(found.features.missing, np.isnan(rows).any(axis=0))
        at = start + np.flatnonzero(counted.any(axis=1))
        assert (found.first, found.end) == (at[0], at[-1] + 1)


def test_standardisation_is_that_of_the_models_in_memory() -> None:
    """Mean and inverse scale are those of `column_moments`; a constant and an unknown column get a scale of 0."""
    rows = np.random.default_rng(2).normal(50.0, 3.0, (60, 4))
    rows[:, 1], rows[:, 2], rows[5:9, 3] = 0.1, np.nan, np.nan
    center, inverse = column_moments(rows)
    found = Moments.merged([Moments.of(rows[:7]), Moments.of(rows[7:31]), Moments.of(rows[31:])], 4)
    np.testing.assert_allclose(found.standard[0], center, rtol=1e-12)
    np.testing.assert_allclose(found.standard[1], inverse, rtol=1e-9)
    assert (found.standard[1][1:3] == 0).all()


def test_how_instants_come_changes_nothing(tmp_path: Path, data: TrainingSet) -> None:
    """Instants one by one, or in uneven parts, make the same files, byte by byte."""
    write_training_set(tmp_path / "whole", data, overlap=7, file_slices=33)
    for name, cuts in (("singly", range(1, 200)), ("unevenly", (1, 40, 41, 150))):
        with PanelWriter(tmp_path / name, HEADER, 33) as writer:
            for rows in np.split(np.arange(200), cuts):
                writer.append(data.ts_ns[rows], data.features[rows], data.target[rows])
        assert open_panel(tmp_path / name).fingerprint == open_panel(tmp_path / "whole").fingerprint


def test_only_the_asked_instants_count(tmp_path: Path, data: TrainingSet) -> None:
    """Positions count from the first instant asked for; those before are its context, those between count 0."""
    instants = np.r_[60:80, 90:110]
    write_training_set(tmp_path / "part", data, overlap=7, instants=instants, file_slices=20)
    panel = open_panel(tmp_path / "part")
    assert (len(panel), panel.files[0].n_context, panel.span_ns[0]) == (50, 7, 60 * 10**9)
    block = panel.read(panel.files[0])
    np.testing.assert_array_equal(block.features, data.features[53:80].astype(np.float32))
    weight = np.concatenate([block.weight[block.n_context :] for block in panel.blocks()])
    np.testing.assert_array_equal(np.flatnonzero(weight.any(axis=1)) + 60, instants[data.usable[instants].any(axis=1)])
    assert panel.stats(0, 50).n_labels == data.usable[instants].sum()


def test_memory_does_not_grow_with_the_panel(tmp_path: Path) -> None:
    """Writing and reading ten times as many instants takes the memory of a file or two, not ten times as much."""
    rng = np.random.default_rng(0)
    header = PanelHeader(tuple(f"f{i}" for i in range(40)), tuple(f"S{i}" for i in range(10)), 1, overlap=15)
    block = rng.normal(size=(100, 10, 40))

    def peak(n_blocks: int) -> int:
        folder = tmp_path / str(n_blocks)
        tracemalloc.start()
        try:
            with PanelWriter(folder, header, 200) as writer:
                for number in range(n_blocks):
                    writer.append(np.arange(100) + 100 * number, block, block[..., 0])
            for _ in open_panel(folder).blocks():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(4)  # what is imported on first use is not counted
    small, large = peak(10), peak(100)
    assert large < 1.2 * small
    assert large < 0.2 * 100 * block.astype(np.float32).nbytes


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "swap"])
def test_a_changed_file_is_refused(panel: PanelFiles, damage: str) -> None:
    """One changed bit, a cut end, a missing file or two exchanged ones are found at reading; the others are read."""
    path, other = (panel.folder / panel.files[place].name for place in (1, 2))
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "swap":
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
    assert panel.read(panel.files[0]).ts_ns.size == 33
    with pytest.raises(DataError, match="cannot be read" if damage == "remove" else "was changed"):
        panel.read(panel.files[1])


@pytest.mark.parametrize("change", [{"files": []}, {"format": 2}, {"symbols": None}, "hash", "text", "path"])
def test_a_changed_manifest_is_refused(panel: PanelFiles, change: object) -> None:
    """A manifest that was edited, cut or is of another format is one clear error."""
    path = panel.folder / MANIFEST_FILE
    content = json.loads(path.read_text())
    if isinstance(change, dict):
        content |= change
    elif change == "hash":
        content["files"][0]["sha256"] = "0" * 64
    elif change == "path":
        content["files"][0]["name"] = "../" + content["files"][0]["name"]
    path.write_text("{" if change == "text" else json.dumps(content))
    with pytest.raises(DataError, match=MANIFEST_FILE):
        open_panel(panel.folder)


def test_a_folder_without_a_panel_says_so(tmp_path: Path) -> None:
    """The error names the file and the command that writes one."""
    with pytest.raises(NotFoundError, match="trader data panel"):
        open_panel(tmp_path)


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """No folder, no partial files; the error is one line with the reason."""
    with disk_of(20_000), pytest.raises(OperationError, match="cannot be written: File too large"):
        write_training_set(tmp_path / "panel", _set(2000), overlap=7)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="broken off"), PanelWriter(tmp_path / "panel", HEADER, 10):
        raise RuntimeError("broken off")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path: Path, data: TrainingSet) -> None:
    """A folder that is there, shapes that disagree, stamps that do not rise, nothing at all."""
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="there already"):
        write_training_set(tmp_path / "there", data, overlap=7)
    with pytest.raises(DataError, match="at least 1 and 0"):
        PanelWriter(tmp_path / "p", HEADER, 0)
    rows = data.ts_ns[:5], data.features[:5], data.target[:5]
    with pytest.raises(DataError, match="do not fit"), PanelWriter(tmp_path / "p", HEADER, 10) as writer:
        writer.append(rows[0], rows[1][:, :2], rows[2])
    twice = [np.concatenate((column, column)) for column in rows]
    with pytest.raises(DataError, match="increase strictly"), PanelWriter(tmp_path / "p", HEADER, 10) as writer:
        writer.append(*twice)
    with pytest.raises(DataError, match="without instants"), PanelWriter(tmp_path / "p", HEADER, 10):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_files_hold_several_overlaps() -> None:
    """The size of a file follows from the bytes asked for, but most of it is never overlap."""
    assert slices_of(HEADER, 4 * N_SYMBOLS * N_FEATURES * 100) == 100
    assert slices_of(HEADER, 1) == 4 * HEADER.overlap
