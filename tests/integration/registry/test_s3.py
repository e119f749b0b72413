"""Artefacts on S3: moto's server in a process of its own, spoken to by pyarrow over HTTP."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from trader.core.errors import ModelError
from trader.models.checksums import hash_folder
from trader.registry import Lineage, ModelVersion, Registry, State
from trader.storage import Store

SAY = {"who": "ada", "why": "a test"}
SERVER = "import sys; from moto.server import main; main(['-p', sys.argv[1]])"
START_TIMEOUT_S = 180.0

pytestmark = pytest.mark.skipif(importlib.util.find_spec("moto") is None, reason="needs moto[s3,server]")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """URL of an empty bucket's folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        while True:
            try:
                httpx.put(f"{endpoint}/bucket", timeout=60).raise_for_status()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                break
        yield f"s3://bucket/models?region=us-east-1&endpoint_override=127.0.0.1:{port}&scheme=http"
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


@pytest.fixture
def registry(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    for key, value in {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setitem(os.environ, f"AWS_{key}", value)
    with Store.open("sqlite://") as store:
        yield Registry(store, s3_url, cache=tmp_path / "cache")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder in a folder, an empty file, and one that takes more than one part to upload."""
    (tmp_path / "saved" / "trees").mkdir(parents=True)
    (tmp_path / "saved" / "empty").touch()
    (tmp_path / "saved" / "trees" / "a.bin").write_bytes(bytes(range(256)) * 80_000)
    return tmp_path / "saved"


def _register(registry: Registry, folder: Path, lineage: Callable[..., Lineage]) -> ModelVersion:
    return registry.register("m", folder, lineage=lineage(), report={}, metrics={}, **SAY)


def test_round_trip_and_clean_up(registry: Registry, large: Path, lineage: Callable[..., Lineage]) -> None:
    """Files come back as they were, from S3 and from the cache; clean-up deletes there and here."""
    first, second = _register(registry, large, lineage), _register(registry, large, lineage)
    copy = registry.fetch(first)
    assert hash_folder(copy) == hash_folder(registry.fetch(first)) == hash_folder(large)
    assert registry.verify(second) == 2
    assert registry.clean_up(keep=1, **SAY).removed == (first.ref,)
    assert not copy.exists()
    assert registry._artifacts._list(first.location) == []
    assert registry.verify(second) == 2


def test_a_changed_object_is_refused(registry: Registry, large: Path, lineage: Callable[..., Lineage]) -> None:
    """By `verify` where it lies, and before it reaches the cache."""
    version = _register(registry, large, lineage)
    fs, root = registry._artifacts._root
    with fs.open_output_stream(f"{root}/{version.location}/trees/a.bin") as stream:
        stream.write(b"another")
    for attempt in (registry.verify, registry.fetch):
        with pytest.raises(ModelError, match=r"s3://bucket/models/m/.*/trees/a\.bin was changed"):
            attempt(version)
    assert list(large.parent.glob("cache/**/*.bin")) == []


def test_a_bucket_that_is_not_there(
    registry: Registry, s3_url: str, large: Path, lineage: Callable[..., Lineage]
) -> None:
    """The version fails with one line."""
    registry._artifacts._url = s3_url.replace("bucket", "nowhere")
    shutil.rmtree(large / "trees")
    with pytest.raises(ModelError, match=r"could not be written to s3://nowhere/models/m/.*: .*not found"):
        _register(registry, large, lineage)
    assert registry.resolve("m@1.0.0").state is State.FAILED
