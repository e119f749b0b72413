"""Ensembles on disk: one folder a member, a manifest with the SHA-256 of every file, no code.

::

    models/
      manifest.json                 schema, members, weights, scales, hashes, metadata
      linear@1.0.0/model.json       hyperparameters
      linear@1.0.0/arrays.safetensors
      background.safetensors        training rows that explanations are relative to, if the ensemble has any

An artefact is complete or absent: it is written to a temporary folder beside the target and renamed. It is never
overwritten. Loading verifies every file against the manifest before anything reads it. The hashes show damage
and mix-ups; they are no signature, so load only what you trust the source of.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trader.core.errors import DataError, ModelError, TraderError
from trader.core.protocols import Model
from trader.models.background import BACKGROUND_FILE, Background
from trader.models.base import model_class
from trader.models.checksums import check_hashes, content_hash, hash_folder
from trader.models.ensemble import Ensemble

__all__ = ["is_ensemble", "load_ensemble", "manifest_digest", "read_manifest", "save_ensemble"]

_MANIFEST = "manifest.json"
_FORMAT = 1


def save_ensemble(ensemble: Ensemble, folder: Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write an ensemble so that `load_ensemble` gives bit-identical scores.

    Parameters
    ----------
    ensemble : Ensemble
    folder : Path
        Created with its parents; must not exist.
    metadata : mapping, optional
        JSON-ready facts to keep with it (training report, data fingerprint).

    Raises
    ------
    ModelError
        If the folder exists or cannot be written; nothing is left behind.
    """
    if folder.exists():
        raise ModelError(f"{folder} exists; an artefact is never overwritten, choose another folder")
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.mkdir(parents=True)
        for key, member in ensemble.members.items():
            (temporary / key).mkdir()
            member.save(temporary / key)
        if ensemble.background is not None:
            ensemble.background.save(temporary / BACKGROUND_FILE)
        manifest = _manifest(ensemble, hash_folder(temporary), metadata or {})
        (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        temporary.rename(folder)
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"the ensemble could not be written to {folder}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_ensemble(folder: Path) -> Ensemble:
    """Read an ensemble and verify it.

    `Ensemble.metadata` holds what was saved, and under `content_hash` a SHA-256 for each member.

    Raises
    ------
    ModelError
        If there is no artefact, or a file is missing, unlisted or changed; the message names it.
    """
    manifest = read_manifest(folder)
    try:
        _verify(folder, manifest["files"])
        members = {entry["key"]: _load_member(folder, entry) for entry in manifest["members"]}
        ensemble = Ensemble(
            members,
            {entry["key"]: entry["weight"] for entry in manifest["members"]},
            scales={entry["key"]: entry["scale"] for entry in manifest["members"]},
            metadata=manifest["metadata"] | {"content_hash": _content_hashes(manifest)},
            background=Background.load(folder / BACKGROUND_FILE) if BACKGROUND_FILE in manifest["files"] else None,
        )
        schema = tuple(manifest["feature_names"])
    except (KeyError, TypeError, AttributeError, ValueError, DataError) as error:
        raise ModelError(f"{folder / _MANIFEST} is not a valid manifest of format {_FORMAT}: {error!r}") from error
    if ensemble.feature_names != schema:
        raise ModelError(f"{folder / _MANIFEST} names {len(schema)} features that are not those of its members")
    return ensemble


def is_ensemble(folder: Path) -> bool:
    """Return whether a folder holds a saved ensemble, whole or not."""
    return (folder / _MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest without loading or verifying the models.

    Raises
    ------
    ModelError
        If it is missing, unreadable, or of another format.
    """
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no trained models: {_MANIFEST} is missing") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ModelError(f"{path} is not a manifest of format {_FORMAT}")
    return manifest


def manifest_digest(folder: Path) -> str:
    """Return the SHA-256 of the manifest of an ensemble, which has those of its files.

    Raises
    ------
    ModelError
        If the folder holds no ensemble.
    """
    read_manifest(folder)
    return hashlib.sha256((folder / _MANIFEST).read_bytes()).hexdigest()


def _manifest(ensemble: Ensemble, files: dict[str, str], metadata: Mapping[str, Any]) -> dict[str, Any]:
    members = [
        {"key": key, "model": member.name, "weight": ensemble.weights[key], "scale": ensemble.scales[key]}
        for key, member in ensemble.members.items()
    ]
    return {
        "format": _FORMAT,
        "feature_names": list(ensemble.feature_names),
        "context": ensemble.context,
        "members": members,
        "files": files,
        "metadata": dict(metadata),
    }


def _load_member(folder: Path, entry: Mapping[str, Any]) -> Model:
    key = entry["key"]
    if key in {"", ".", ".."} or Path(key).name != key:
        raise ModelError(f"{folder / _MANIFEST} names a member {key!r}; it must be a plain folder name")
    try:
        return model_class(entry["model"]).load(folder / key)
    except ModelError:
        raise
    except TraderError as error:
        raise ModelError(f"{folder / key} cannot be loaded: {error}") from error


def _verify(folder: Path, expected: Mapping[str, str]) -> None:
    try:
        found = hash_folder(folder, without={_MANIFEST})
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error}") from error
    check_hashes(str(folder), found, expected)


def _content_hashes(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return for each member the SHA-256 of its files' names and hashes."""
    hashes = {}
    for entry in manifest["members"]:
        prefix = f"{entry['key']}/"
        own = {n.removeprefix(prefix): h for n, h in manifest["files"].items() if n.startswith(prefix)}
        hashes[entry["key"]] = content_hash(own)
    return hashes
