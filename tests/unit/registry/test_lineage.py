"""Where a version comes from: what is read of the machine, and what survives the store."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trader
from trader.core.errors import DataError
from trader.registry.lineage import Environment, Lineage, code_revision, installed
from trader.storage.codec import to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    settings=st.dictionaries(st.text(), JSON, max_size=3),
    span=st.none() | st.tuples(st.integers(), st.integers()),
    distributions=st.dictionaries(st.text(min_size=1), st.text(), max_size=3),
    trials=st.integers(1, 10**6),
)
def test_a_lineage_survives_json(
    settings: dict[str, object], span: tuple[int, int] | None, distributions: dict[str, str], trials: int
) -> None:
    """Whatever settings, span and environment, it reads back equal."""
    lineage = Lineage(
        data_fingerprint="f",
        settings=settings,
        seed=7,
        span_ns=span,
        trials=trials,
        environment=Environment(distributions),
    )
    assert Lineage.from_json(lineage.to_json(), to_json(distributions)) == lineage


def test_the_environment_is_what_is_installed() -> None:
    """Versions are those of the metadata, and the digest is the SHA-256 of `name==version` lines."""
    found = installed()
    assert found.distributions["numpy"] == importlib.metadata.version("numpy")
    assert "scikit-learn" in found.distributions
    lines = "\n".join(f"{name}=={version}" for name, version in sorted(found.distributions.items()))
    assert found.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert Environment({"a": "1", "b": "2"}).digest == Environment({"b": "2", "a": "1"}).digest
    assert Environment({"a": "1"}).digest != Environment({"a": "2"}).digest


def test_code_revision_is_the_commit_and_says_dirty(tmp_path: Path) -> None:
    """Nothing without git, the commit of a clean checkout, the commit with -dirty of a changed one."""
    assert code_revision(tmp_path / "nowhere") == ""

    def git(*arguments: str) -> str:
        own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(tmp_path)}
        identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | own).stdout.strip()

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert code_revision(tmp_path) == head
    code_revision.cache_clear()
    (tmp_path / "file").write_text("2")
    assert code_revision(tmp_path) == f"{head}-dirty"


def test_defaults_are_of_this_code() -> None:
    """Version, revision and environment are filled in."""
    lineage = Lineage(data_fingerprint="f", settings={}, seed=0)
    assert lineage.code_version == trader.__version__
    assert lineage.code_revision == code_revision()
    assert lineage.environment == installed()
    assert lineage.to_dict()["environment"] == installed().digest


def test_no_trial_is_impossible() -> None:
    """The version itself was tried."""
    with pytest.raises(DataError, match="trials=0; at least 1"):
        Lineage(data_fingerprint="f", settings={}, seed=0, trials=0)
