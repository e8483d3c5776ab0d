"""An image repository that is a directory: the OCI image layout of the image specification 1.1.

Several processes may write at once, and any of them may be killed at any moment: a file appears whole or not at all,
and `index.json` is read and written under a lock. What a killed process was writing is swept away by the next one.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from watcher.image import Digest
from workers.oci.manifest import INDEXES, MAX_MANIFEST, OCI_INDEX, Descriptor, Manifest, canonical, digest_of
from workers.oci.referrers import listed, referrers, subject_of, tag_of
from workers.oci.store import BlobsMissing, Store, StoreRefused
from workers.oci.verified import Verified, check

REF_NAME = "org.opencontainers.image.ref.name"
_VERSION = canonical({"imageLayoutVersion": "1.0.0"})
_NEW = ".new-"
_CHUNK = 1024 * 1024


class LayoutStore:
    """The layout in `directory`, which comes into being with the first write. Tags are `ref.name` annotations."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._blobs = directory / "blobs" / "sha256"

    @property
    def where(self) -> str:
        return f"oci:{self._root}"

    def manifest(self, name: str) -> bytes | None:
        with self._spoken():
            digest = Digest(name) if name.startswith("sha256:") else self._tagged(name)
            path = self._blobs / digest.hex if digest else None
            if digest is None or path is None or not path.exists():
                return None
            if path.stat().st_size > MAX_MANIFEST:
                raise StoreRefused(self.where, f"{name} is larger than a manifest may be ({MAX_MANIFEST} bytes)")
            raw = path.read_bytes()
            check(hashlib.sha256(raw).hexdigest(), digest, self.where)
            return raw

    def named(self, name: str) -> Digest | None:
        raw = self.manifest(name)
        return None if raw is None else digest_of(raw)

    def put_manifest(self, raw: bytes, media_type: str, tag: str = "") -> Digest:
        digest = digest_of(raw)
        with self._spoken():
            if media_type not in INDEXES:
                self._complete(raw)
            self.put_blob(digest, raw)
            row: dict[str, Any] = {"mediaType": media_type, "digest": str(digest), "size": len(raw)}
            with self._locked():
                before = self._rows()
                after = _listed(before, row | ({"annotations": {REF_NAME: tag}} if tag else {}), tag)
                if after != before:
                    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": after}
                    self._place(self._root / "index.json", canonical(index))
        subject = subject_of(raw)
        if subject:
            self._refer(subject, raw)
        return digest

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        index = self.manifest(tag_of(subject))
        return referrers(index, self.where) if index else ()

    def _refer(self, subject: Digest, raw: bytes) -> None:
        index = listed(self.manifest(tag_of(subject)), raw, self.where)
        if index:
            self.put_manifest(index, OCI_INDEX, tag_of(subject))

    def has(self, digest: Digest) -> bool:
        with self._spoken():
            return (self._blobs / digest.hex).exists()

    def size(self, digest: Digest) -> int | None:
        with self._spoken(), contextlib.suppress(FileNotFoundError):
            return (self._blobs / digest.hex).stat().st_size
        return None

    @contextlib.contextmanager
    def blob(self, digest: Digest) -> Iterator[BinaryIO]:
        with self._spoken():
            try:
                source = (self._blobs / digest.hex).open("rb")
            except FileNotFoundError:
                raise StoreRefused(self.where, f"there is no blob {digest}") from None
        with source:
            yield Verified.stream(source, digest, self.where)

    def save(self, digest: Digest, path: Path) -> None:
        with self.blob(digest) as source, self._spoken(), path.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)

    def put_blob(self, digest: Digest, source: bytes | Path) -> int:
        if self.has(digest):
            return 0
        with self._spoken():
            self._prepare()
            return self._place(self._blobs / digest.hex, source, digest)

    def adopt(self, digest: Digest, neighbour: Store) -> bool:
        if not isinstance(neighbour, LayoutStore) or not neighbour.has(digest):
            return False
        with self._spoken():
            self._prepare()
            try:
                os.link(neighbour._blobs / digest.hex, self._blobs / digest.hex)
            except FileExistsError:
                return True
            except OSError:  # another file system, or one without links, or somebody else's file
                return False
        return True

    def _complete(self, raw: bytes) -> None:
        manifest = Manifest.parse(raw, self.where)
        for part in (manifest.config, *manifest.layers):
            if not self.has(part.digest):
                raise BlobsMissing(self.where, f"the manifest names {part.digest}, and there is no such blob")

    def _tagged(self, tag: str) -> Digest | None:
        found = [row for row in self._rows() if _tag(row) == tag]
        try:
            return Digest(str(found[-1].get("digest"))) if found else None
        except ValueError as error:
            raise StoreRefused(self.where, f"index.json: {tag}: {error}") from None

    def _rows(self) -> list[dict[str, Any]]:
        try:
            rows = json.loads((self._root / "index.json").read_bytes()).get("manifests", [])
        except FileNotFoundError:
            return []
        except (ValueError, AttributeError, RecursionError) as error:
            raise StoreRefused(
                self.where, f"index.json: expected an image index, got something else: {error}"
            ) from None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise StoreRefused(self.where, "index.json: manifests: expected a list of tables")
        return rows

    def _prepare(self) -> None:
        self._blobs.mkdir(parents=True, exist_ok=True)
        marker = self._root / "oci-layout"
        if marker.exists():
            return
        with _new_file(self._root) as file:
            file.write(_VERSION)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            # Linked and not renamed, so that it is made once and never replaced: others hold locks on it.
            with contextlib.suppress(FileExistsError):
                os.link(file.name, marker)
            Path(file.name).unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._prepare()
        with (self._root / "oci-layout").open("rb+") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            yield

    def _place(self, path: Path, source: bytes | Path, digest: Digest | None = None) -> int:
        """Puts a file under its name: whole, on the disk, and only if it is what `digest` says."""
        with _new_file(path.parent) as file:
            digits, size = _copy(source, file)
            if digest:
                check(digits, digest, f"{self.where}: on the way in")
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        _fsync(path.parent)
        return size

    @contextlib.contextmanager
    def _spoken(self) -> Iterator[None]:
        """Turns what the file system says into what a store says."""
        try:
            yield
        except ValueError as error:
            raise StoreRefused(self.where, str(error)) from None
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "free some space and try again; nothing half-written was left" if full else ""
            raise StoreRefused(self.where, error.strerror or str(error), hint) from error


def _copy(source: bytes | Path, file: BinaryIO) -> tuple[str, int]:
    digits = hashlib.sha256()
    if isinstance(source, bytes):
        digits.update(source)
        return digits.hexdigest(), file.write(source)
    size = 0
    with source.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digits.update(chunk)
            size += file.write(chunk)
    return digits.hexdigest(), size


@contextlib.contextmanager
def _new_file(directory: Path) -> Iterator[BinaryIO]:
    """A file with a name for now. Its lock says that its writer lives; those without one are swept away."""
    for left in directory.glob(f"{_NEW}*"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    with _locked_file(directory) as new:
        try:
            yield new
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise


def _locked_file(directory: Path) -> BinaryIO:
    while True:
        file = tempfile.NamedTemporaryFile(dir=directory, prefix=_NEW, delete=False)  # noqa: SIM115
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:  # else somebody swept it away before it was locked
            return cast(BinaryIO, file)
        file.close()


def _fsync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tag(row: dict[str, Any]) -> str:
    annotations = row.get("annotations")
    return str(annotations.get(REF_NAME, "")) if isinstance(annotations, dict) else ""


def _listed(rows: list[dict[str, Any]], new: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """The rows with the new one: a name belongs to one row, and what has a name needs no row without one.

    A row that loses its name stays, because what it points to may still run somewhere.
    """
    rows = [*(_nameless(row) if tag and _tag(row) == tag else row for row in rows), new]
    named = {row.get("digest") for row in rows if _tag(row)}
    kept: list[dict[str, Any]] = []
    for row in rows:
        if row not in kept and (_tag(row) or row.get("digest") not in named):
            kept.append(row)
    return kept


def _nameless(row: dict[str, Any]) -> dict[str, Any]:
    annotations = {key: text for key, text in row["annotations"].items() if key != REF_NAME}
    return {k: v for k, v in row.items() if k != "annotations"} | ({"annotations": annotations} if annotations else {})
