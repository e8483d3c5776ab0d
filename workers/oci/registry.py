"""An image repository in a registry: the OCI distribution specification 1.1 over HTTP.

Written here because no library does it: oras-py reads a blob into memory to upload it and does not check what it
downloads, python-dxf neither tries again nor notices a server that stalls, and neither of them mounts or resumes.
"""

import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, TypeVar, cast
from urllib.parse import quote

from watcher.image import Digest
from watcher.inert import inert
from workers.oci.answer import Answer, WireFailed
from workers.oci.download import Download
from workers.oci.manifest import INDEXES, MANIFESTS, MAX_MANIFEST, OCI_INDEX, Descriptor, digest_of
from workers.oci.referrers import listed, referrers, subject_of, tag_of
from workers.oci.store import BlobsMissing, Store, StoreRefused, StoreUnreachable
from workers.oci.upload import Body, Upload
from workers.oci.verified import check
from workers.oci.wire import Wire

T = TypeVar("T")
_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
_LARGEST = 64 * 1024**3
_SESSIONS = 5


class RegistryStore:
    """The repository `path` (`team/shop`) behind `wire`; `where` is its whole name (`registry.example/team/shop`).

    What is read lies in the directory `scratch` until it has been read.
    """

    def __init__(self, where: str, path: str, wire: Wire, scratch: Path | None = None) -> None:
        self._where, self._path, self._wire, self._scratch = where, path, wire, scratch

    @property
    def where(self) -> str:
        return self._where

    def manifest(self, name: str) -> bytes | None:
        async def get() -> bytes | None:
            url = f"/v2/{self._path}/manifests/{quote(name, safe=':')}"
            async with self._wire.ask("GET", url, headers={"accept": _ACCEPT}) as answer:
                if answer.status == 404:
                    return None
                await answer.expect(200)
                raw = await answer.whole(MAX_MANIFEST)
                said = name if name.startswith("sha256:") else answer.headers.get("docker-content-digest", "")
                if said.startswith("sha256:"):
                    check(hashlib.sha256(raw).hexdigest(), Digest(said), self.where)
                return raw

        return self._tried(get)

    def named(self, name: str) -> Digest | None:
        async def head() -> str | None:
            url = f"/v2/{self._path}/manifests/{quote(name, safe=':')}"
            async with self._wire.ask("HEAD", url, headers={"accept": _ACCEPT}) as answer:
                if answer.status == 404:
                    return None
                await answer.expect(200)
                return answer.headers.get("docker-content-digest", "")

        said = self._tried(head)
        if said is None:
            return None
        # The header is optional (distribution specification, "Pulling manifests").
        raw = None if said.startswith("sha256:") else self.manifest(name)
        try:
            return digest_of(raw) if raw is not None else Digest(said)
        except ValueError as error:
            raise StoreRefused(self.where, f"its digest of {inert(name, 80)}: {error}") from None

    def put_manifest(self, raw: bytes, media_type: str, tag: str = "") -> Digest:
        digest, subject = digest_of(raw), subject_of(raw)

        async def put() -> bool:
            url = f"/v2/{self._path}/manifests/{quote(tag or digest, safe=':')}"
            async with self._wire.ask("PUT", url, headers={"content-type": media_type}, content=raw) as answer:
                await _accepted(answer, self.where)
                said = answer.headers.get("docker-content-digest", digest)
                if said != digest:
                    raise StoreRefused(self.where, f"it says that the manifest {digest} is {inert(said, 80)}")
                # By this a registry says that it keeps the list of referrers itself.
                return "oci-subject" in answer.headers

        if not self._tried(put) and subject:
            index = listed(self.manifest(tag_of(subject)), raw, self.where)
            if index:
                self.put_manifest(index, OCI_INDEX, tag_of(subject))
        return digest

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        async def get() -> bytes | None:
            url = f"/v2/{self._path}/referrers/{subject}"
            async with self._wire.ask("GET", url, headers={"accept": OCI_INDEX}) as answer:
                if answer.status == 404:
                    return None
                await answer.expect(200)
                return await answer.whole(MAX_MANIFEST)

        index = self._tried(get) or self.manifest(tag_of(subject))
        return referrers(index, self.where) if index else ()

    def has(self, digest: Digest) -> bool:
        return self._tried(lambda: self._has(digest))

    def size(self, digest: Digest) -> int | None:
        async def head() -> int | None:
            async with self._wire.ask("HEAD", f"/v2/{self._path}/blobs/{digest}") as answer:
                if answer.status == 404:
                    return None
                await answer.expect(200)
                said = answer.headers.get("content-length", "")
                return int(said) if said.isdecimal() else None

        return self._tried(head)

    @contextmanager
    def blob(self, digest: Digest) -> Iterator[BinaryIO]:
        # Read whole before it is handed out: so a broken connection is taken up where it broke.
        with self._throwaway() as file:
            self._download(digest, cast(BinaryIO, file))
            file.seek(0)
            yield cast(BinaryIO, file)

    def _throwaway(self) -> IO[bytes]:
        try:
            if self._scratch:
                self._scratch.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(prefix="toplayer-blob-", dir=self._scratch)
        except OSError as error:
            raise StoreRefused(self.where, error.strerror or str(error)) from error

    def save(self, digest: Digest, path: Path) -> None:
        with path.open("w+b") as file:
            self._download(digest, file)

    def _download(self, digest: Digest, file: BinaryIO) -> None:
        download = Download(f"/v2/{self._path}/blobs/{digest}", file, _LARGEST)

        async def get() -> None:
            try:
                await download.all(self._wire)
            except WireFailed as failed:
                if failed.status == 404:
                    raise StoreRefused(self.where, f"there is no blob {digest}") from failed
                raise

        self._run(get())
        check(download.hash.hexdigest(), digest, self.where)

    def put_blob(self, digest: Digest, source: bytes | Path) -> int:
        body = Body(source)

        async def put() -> None:
            for _ in range(_SESSIONS):
                if await self._wire.tried(lambda: self._has(digest)):
                    return
                upload = Upload(self._wire, digest, body, await self._wire.tried(self._begin))
                if await upload.all():
                    return
            raise WireFailed("it forgets what it is sent", again=True)

        self._run(put())
        return body.travelled

    def adopt(self, digest: Digest, neighbour: Store) -> bool:
        if not isinstance(neighbour, RegistryStore) or neighbour._wire.home != self._wire.home:
            return False
        source = quote(neighbour._path, safe="")

        async def mount() -> bool:
            url = f"/v2/{self._path}/blobs/uploads/?mount={digest}&from={source}"
            async with self._wire.ask("POST", url, headers=_EMPTY) as answer:
                # 202: it will not, and has opened an upload, which it forgets by itself.
                return answer.status == 201

        return self._tried(mount)

    async def _begin(self) -> str:
        async with self._wire.ask("POST", f"/v2/{self._path}/blobs/uploads/", headers=_EMPTY) as answer:
            await answer.expect(202)
            return answer.headers.get("location", "")

    async def _has(self, digest: Digest) -> bool:
        async with self._wire.ask("HEAD", f"/v2/{self._path}/blobs/{digest}") as answer:
            if answer.status == 404:
                return False
            await answer.expect(200)
            return True

    def _tried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return self._run(self._wire.tried(attempt))

    def _run(self, work: Coroutine[None, None, T]) -> T:
        """The door: what goes wrong on the wire or on our own disk ends here."""
        try:
            return self._wire.run(work)
        except WireFailed as failed:
            if failed.again:
                raise StoreUnreachable(self.where, failed.why, failed.wait) from failed
            raise StoreRefused(self.where, failed.why, failed.hint) from failed
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else ""
            raise StoreRefused(self.where, said or str(error)) from error


async def _accepted(answer: Answer, where: str) -> None:
    try:
        await answer.expect(201)
    except WireFailed as failed:
        # The specification's word is MANIFEST_BLOB_UNKNOWN; there are registries that say BLOB_UNKNOWN.
        if "BLOB_UNKNOWN" in failed.why:
            raise BlobsMissing(where, failed.why) from failed
        raise


_EMPTY = {"content-length": "0"}
