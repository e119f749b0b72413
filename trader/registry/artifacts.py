"""Where artefacts lie: a local folder, or S3 and its like by URL, through pyarrow's file systems.

Each artefact has a folder of its own, never written twice: `<name>/<version>-<token>`. Nothing reads a folder before
the store names it, so an upload that breaks off is never seen, on file systems and object stores alike.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from trader.core.errors import ModelError, SettingsError, TraderError
from trader.models.checksums import check_hashes, files_of, hash_folder

__all__ = ["ArtifactStore", "Progress"]

Progress = Callable[[int], None]
"""Told of bytes that were done since it was told last."""

_CHUNK_BYTES = 4 * 2**20


class ArtifactStore:
    """Folders of files below one root.

    Parameters
    ----------
    url : str
        A path, or `file://`, `s3://bucket/folder`, `gs://bucket/folder`; what pyarrow takes in the query works
        (`s3://bucket/folder?region=eu-central-1&endpoint_override=localhost:9000&scheme=http`).
    cache : Path
        Local folder for what is fetched from elsewhere.

    Raises
    ------
    SettingsError
        At the first use, if the URL is not one of these.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self._url = url
        self._cache = cache.expanduser()

    def put(self, folder: Path, location: str, progress: Progress = lambda _n: None) -> tuple[dict[str, str], int]:
        """Copy a folder to a new location; return the SHA-256 of each file and the size of all.

        On any error, what was copied is taken away again as far as possible.
        """
        try:
            files = files_of(folder)
            if not files:
                raise ModelError(f"{folder} holds no files; save the model into it first")
            with self._errors(f"{folder} could not be written to {self._shown(location)}"):
                sizes = {name: self._copy_in(path, f"{location}/{name}", progress) for name, path in files.items()}
                self._flush(location)
        except BaseException:
            with contextlib.suppress(TraderError):
                self.delete(location)
            raise
        return {name: digest for name, (digest, _) in sizes.items()}, sum(size for _, size in sizes.values())

    def fetch(self, location: str, manifest: Mapping[str, str]) -> Path:
        """Return a local folder that holds exactly the files of the manifest.

        Raises
        ------
        ModelError
            If a file is missing, unlisted or changed, or cannot be read.
        """
        local = self.local(location)
        if local is not None:
            self._check(local, manifest)
            return local
        cached = self._cache / location
        if cached.is_dir():
            with contextlib.suppress(ModelError):
                self._check(cached, manifest)
                return cached
            shutil.rmtree(cached, ignore_errors=True)  # a damaged copy is fetched again
        return self._download(location, manifest, cached)

    def verify(self, location: str, manifest: Mapping[str, str]) -> None:
        """Check the files where they lie, not a cached copy."""
        local = self.local(location)
        if local is not None:
            self._check(local, manifest)
            return
        with self._errors(f"{self._shown(location)} cannot be read"):
            found = {name: self._hash(f"{location}/{name}") for name in self._list(location)}
        check_hashes(self._shown(location), found, manifest)

    def delete(self, location: str) -> None:
        """Take a folder away; one that is not there is no error."""
        from pyarrow.fs import FileType

        fs, root = self._root
        path = f"{root}/{location}"
        with self._errors(f"{self._shown(location)} cannot be deleted"):
            if fs.get_file_info(path).type != FileType.NotFound:
                fs.delete_dir(path)
        shutil.rmtree(self._cache / location, ignore_errors=True)

    def local(self, location: str) -> Path | None:
        """Return the folder itself where it is on this machine's file system."""
        from pyarrow.fs import LocalFileSystem

        fs, root = self._root
        return Path(root) / location if isinstance(fs, LocalFileSystem) else None

    @functools.cached_property
    def _root(self) -> tuple[Any, str]:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem, LocalFileSystem

        if "://" not in self._url:
            return LocalFileSystem(), str(Path(self._url).expanduser().absolute())
        try:
            fs, root = FileSystem.from_uri(self._url)
            if not root.strip("/"):
                raise ValueError("it names no folder")
        except (ArrowException, ValueError, OSError) as error:
            raise SettingsError(
                f"registry.artifacts={self._shown()!r} cannot be used: {self._line(error)}; a folder, file:///folder, "
                "s3://bucket/folder and gs://bucket/folder are allowed"
            ) from None
        return fs, root.rstrip("/")

    def _copy_in(self, source: Path, target: str, progress: Progress) -> tuple[str, int]:
        fs, root = self._root
        path = f"{root}/{target}"
        fs.create_dir(path.rpartition("/")[0], recursive=True)
        with source.open("rb") as reader, fs.open_output_stream(path) as writer:
            return _copy(reader, writer, progress)

    def _flush(self, location: str) -> None:
        """Bring a local folder to the disk, before the store says that it is there."""
        folder = self.local(location)
        if folder is None:
            return
        inside = [folder, *(path for path in folder.rglob("*"))]
        for path in (*inside, folder.parent, folder.parent.parent):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _download(self, location: str, manifest: Mapping[str, str], target: Path) -> Path:
        fs, root = self._root
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        found = {}
        try:
            with self._errors(f"{self._shown(location)} cannot be fetched"):
                partial.mkdir(parents=True)
                for name in self._list(location):
                    path = partial / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with fs.open_input_stream(f"{root}/{location}/{name}") as reader, path.open("wb") as writer:
                        found[name], _ = _copy(reader, writer)
            check_hashes(self._shown(location), found, manifest)
            try:
                partial.rename(target)
            except OSError:
                self._check(target, manifest)  # somebody else was faster, with the same files
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target

    def _list(self, location: str) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        fs, root = self._root
        base = f"{root}/{location}"
        infos = fs.get_file_info(FileSelector(base, recursive=True, allow_not_found=True))
        return sorted(info.path.removeprefix(f"{base}/") for info in infos if info.type == FileType.File)

    def _hash(self, path: str) -> str:
        fs, root = self._root
        with fs.open_input_stream(f"{root}/{path}") as reader:
            return hashlib.file_digest(reader, "sha256").hexdigest()

    def _check(self, folder: Path, manifest: Mapping[str, str]) -> None:
        with self._errors(f"{folder} cannot be read"):
            found = hash_folder(folder)
        check_hashes(str(folder), found, manifest)

    def _shown(self, location: str = "") -> str:
        """Return where something is, without the password and the options that a URL may hold."""
        base = self._url.partition("?")[0].replace(self._secret, "").rstrip("/") if "://" in self._url else self._url
        return f"{base}/{location}" if location else base

    @property
    def _secret(self) -> str:
        """User and password of the URL, as they stand in it."""
        return self._url.rpartition("@")[0].partition("://")[2] + "@" if "@" in self._url else ""

    def _line(self, error: Exception) -> str:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return text.replace(self._secret, "") if self._secret else text

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from pyarrow import ArrowException

        try:
            yield
        except (OSError, ArrowException) as error:
            raise ModelError(f"{what}: {self._line(error)}") from error


def _copy(reader: BinaryIO, writer: BinaryIO, progress: Progress = lambda _n: None) -> tuple[str, int]:
    """Copy a stream; return the SHA-256 of what went through, and its size."""
    digest, size = hashlib.sha256(), 0
    while chunk := reader.read(_CHUNK_BYTES):
        digest.update(chunk)
        writer.write(chunk)
        size += len(chunk)
        progress(len(chunk))
    return digest.hexdigest(), size
