"""Artefacts are whole, or refused naming the file; a save that breaks off leaves nothing to see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from trader.core.errors import DataError, ModelError, SettingsError
from trader.models.checksums import hash_folder
from trader.registry import ModelVersion, Registry, State
from trader.storage import Store
from trader.storage import registry_tables as t

SAY = {"who": "ada", "why": "a test"}
ROOT = Path(__file__).parents[3]
Add = Callable[..., ModelVersion]

FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from trader.core.errors import ModelError
from trader.registry import Registry
from trader.storage import Store
url, artifacts, folder, ref = sys.argv[1:]
registry = Registry(Store.open(url), artifacts, cache=Path(artifacts))
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))
try:
    registry.complete(ref, Path(folder), report={}, metrics={}, who="ada", why="a test")
except ModelError as error:
    print(error)
"""


@pytest.fixture(params=["local", "file", "mock"])
def anywhere(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Registry:
    """A registry with artefacts in a folder, at a file URL, and on a file system that is not this machine's."""
    url = {"local": str(tmp_path / "a b"), "file": (tmp_path / "c").as_uri(), "mock": "mock:///models"}[request.param]
    return Registry(store, url, cache=tmp_path / "cache")


def _register(registry: Registry, folder: Path, lineage: Callable[..., object]) -> ModelVersion:
    plain = {"lineage": lineage(), "report": {}, "metrics": {}, "kind": "linear"}
    return registry.register("linear", folder, **plain, **SAY)


@pytest.fixture
def nested(saved: Path, tmp_path: Path) -> Path:
    """A saved model, with a folder in its folder and an empty file."""
    folder = tmp_path / "nested"
    shutil.copytree(saved, folder)
    (folder / "trees" / "deep").mkdir(parents=True)
    (folder / "trees" / "deep" / "one.bin").write_bytes(bytes(range(256)) * 40_000)
    (folder / "empty").touch()
    return folder


def test_files_come_back_as_they_were(anywhere: Registry, nested: Path, lineage: Callable[..., object]) -> None:
    """Folders, empty files and large ones, from every kind of place; and twice."""
    version = _register(anywhere, nested, lineage)
    assert hash_folder(anywhere.fetch(version)) == hash_folder(anywhere.fetch(version)) == hash_folder(nested)
    assert anywhere.verify("linear") == 4
    assert version.n_bytes == sum(path.stat().st_size for path in nested.rglob("*") if path.is_file())


def test_export_copies_to_a_new_folder(anywhere: Registry, nested: Path, lineage: Callable[..., object]) -> None:
    """The copy is whole, and nothing that exists is overwritten."""
    target = nested.parent / "exported"
    _register(anywhere, nested, lineage)
    assert hash_folder(anywhere.export("linear", target)) == hash_folder(nested)
    with pytest.raises(DataError, match="exported exists; name a new folder"):
        anywhere.export("linear", target)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip, r"arrays\.safetensors was changed: its SHA-256"),
        (Path.unlink, r"arrays\.safetensors is missing"),
        (lambda path: path.with_name("extra.txt").touch(), r"extra\.txt is not listed"),
        (lambda path: path.with_name("link").symlink_to(path), r"link is a link"),
        (lambda path: shutil.rmtree(path.parent), r"arrays\.safetensors is missing"),
    ],
)
def test_a_damaged_artefact_is_refused(
    registry: Registry, add: Add, artifacts: Path, damage: Callable[[Path], object], message: str
) -> None:
    """A changed bit, a missing, added or linked file: neither fetched, nor loaded, nor exported, nor verified."""
    version = add()
    damage(artifacts / version.location / "arrays.safetensors")
    for attempt in (registry.fetch, registry.load, registry.verify):
        with pytest.raises(ModelError, match=message):
            attempt("linear")
    with pytest.raises(ModelError, match=message):
        registry.export("linear", artifacts / "exported")


def test_a_damaged_copy_is_fetched_again(
    store: Store, saved: Path, tmp_path: Path, lineage: Callable[..., object]
) -> None:
    """What lies elsewhere is whole, so a changed copy in the cache is replaced, not served."""
    registry = Registry(store, "mock:///models", cache=tmp_path / "cache")
    _register(registry, saved, lineage)
    copy = registry.fetch("linear")
    assert copy.is_relative_to(tmp_path / "cache")
    _flip(copy / "arrays.safetensors")
    assert hash_folder(registry.fetch("linear")) == hash_folder(saved)
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_remote_damage_is_found_where_it_lies(
    store: Store, saved: Path, tmp_path: Path, lineage: Callable[..., object]
) -> None:
    """`verify` reads the files themselves, though a good copy is in the cache; an empty cache gets nothing of it."""
    registry = Registry(store, "mock:///models", cache=tmp_path / "cache")
    version = _register(registry, saved, lineage)
    registry.fetch(version)
    fs, root = registry._artifacts._root
    with fs.open_output_stream(f"{root}/{version.location}/model.json") as stream:
        stream.write(b"{}")
    with pytest.raises(ModelError, match=r"mock:///models/linear/.*/model\.json was changed"):
        registry.verify("linear")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ModelError, match=r"model\.json was changed"):
        registry.load("linear")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_full_disk_leaves_the_champion_and_nothing_else(
    registry: Registry, add: Add, artifacts: Path, store_url: str, tmp_path: Path, lineage: Callable[..., object]
) -> None:
    """A save that does not fit fails in one line; the version stays TRAINING and can be completed later."""
    registry.promote(add(), **SAY)
    before = hash_folder(artifacts)
    large = tmp_path / "large"
    large.mkdir()
    (large / "small.bin").write_bytes(b"x")
    (large / "weights.bin").write_bytes(b"x" * 5_000_000)
    version = registry.begin("linear", lineage=lineage(), **SAY)
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, store_url, str(artifacts), str(large), version.ref],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    (message,) = done.stdout.strip().split("\n")
    assert message.startswith(f"{large} could not be written to {artifacts}/linear/1.1.0-")
    assert "File too large" in message
    assert registry.resolve(version).state is State.TRAINING
    assert hash_folder(artifacts) == before
    assert registry.load("linear@champion").feature_names == ("a", "b", "c")
    assert registry.complete(version, large, report={}, metrics={}, **SAY).state is State.STAGING


def test_a_registration_that_fails_is_failed(
    registry: Registry, lineage: Callable[..., object], tmp_path: Path
) -> None:
    """`register` of an empty folder leaves a FAILED version with the reason, and no file."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty holds no files"):
        _register(registry, tmp_path / "empty", lineage)
    version = registry.resolve("linear@1.0.0")
    assert version.state is State.FAILED
    assert "holds no files" in registry.history(version)[-1].why
    assert not (tmp_path / "artifacts").exists()


def test_a_killed_upload_is_swept_once_its_version_failed(
    registry: Registry, lineage: Callable[..., object], add: Add, artifacts: Path, store: Store
) -> None:
    """Files of an upload that never ended stay while the version is TRAINING, and go with the next clean-up."""
    version = registry.begin("linear", lineage=lineage(), **SAY)
    location = "linear/1.0.0-0badcafe"
    with store._engine.connect() as connection:
        connection.execute(t.model_folders.insert().values(location=location, number=version.number))
        connection.commit()
    (artifacts / location).mkdir(parents=True)
    (artifacts / location / "half.bin").write_bytes(b"x")
    add()
    assert registry.clean_up(keep=1, **SAY).leftovers == 0
    registry.fail(version, "killed")
    assert registry.clean_up(keep=1, **SAY, dry_run=True).leftovers == 1
    assert registry.clean_up(keep=1, **SAY).leftovers == 1
    assert not (artifacts / location).exists()
    assert registry.clean_up(keep=1, **SAY).leftovers == 0
    with store._engine.connect() as connection:
        assert len(connection.execute(select(t.model_folders)).all()) == 1


@pytest.mark.parametrize("url", ["ftp://host/models", "file://models", "s3://"])
def test_other_urls(store: Store, tmp_path: Path, url: str, saved: Path, lineage: Callable[..., object]) -> None:
    """A URL that pyarrow does not take names what is allowed, and fails the version."""
    registry = Registry(store, url, cache=tmp_path)
    with pytest.raises(SettingsError, match=r"registry\.artifacts=.*s3://bucket/folder and gs"):
        _register(registry, saved, lineage)
    assert registry.resolve("linear@1.0.0").state is State.FAILED


def test_no_password_in_messages(store: Store, tmp_path: Path, saved: Path, lineage: Callable[..., object]) -> None:
    """The key of a URL with one is left out of errors."""
    registry = Registry(store, "ftp://me:secret@host/models", cache=tmp_path)
    with pytest.raises(SettingsError) as caught:
        _register(registry, saved, lineage)
    assert "secret" not in str(caught.value)
    assert "secret" not in registry.history("linear@1.0.0")[-1].why
