"""An image through an engine's own socket, for a host that cannot reach the registry.

`docker load` takes an archive that lacks the layers which the engine has. The archive is both an OCI image layout and
what `docker save` writes, so that every engine from 20.10 on finds its way in it; it is written while it is sent, and
never lies on a disk of ours.
"""

import json
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping

from watcher.image import Digest
from workers.fleet.host import Tell
from workers.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, canonical
from workers.oci.store import Store

_BLOCK = 512
_CHUNK = 64 * 1024


def archive(
    name: str, manifest: Manifest, config: bytes, layers: Iterable[Descriptor], store: Store
) -> Iterator[bytes]:
    """The archive of one image, called `name` (`repository:tag`), that has its `config` and only these of its layers.

    Blobs are checked while they are read: a `StoreRefused` ends the archive before its end.
    """
    for path, raw in files(name, manifest, config).items():
        yield _head(path, len(raw)) + raw + _padding(len(raw))
    for layer in {layer.digest: layer for layer in layers}.values():
        yield _head(_path(layer.digest), layer.size)
        with store.blob(layer.digest) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
        yield _padding(layer.size)
    yield bytes(2 * _BLOCK)


def files(name: str, manifest: Manifest, config: bytes) -> Mapping[str, bytes]:
    """All of the archive but the layers, by its path in it."""
    entry = Descriptor(
        media_type=json.loads(manifest.raw).get("mediaType") or OCI_MANIFEST,
        digest=manifest.digest,
        size=len(manifest.raw),
        annotations={"io.containerd.image.name": f"docker.io/{name}"},
    )
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.json()]}
    paths = [_path(layer.digest) for layer in manifest.layers]
    saved = [{"Config": _path(manifest.config.digest), "RepoTags": [name], "Layers": paths}]
    return {
        "oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
        "index.json": canonical(index),
        "manifest.json": canonical(saved),
        _path(manifest.digest): manifest.raw,
        _path(manifest.config.digest): config,
    }


def metered(chunks: Iterable[bytes], total: int, tell: Tell) -> Iterator[bytes]:
    """The same chunks; `tell` hears how many bytes have gone, of some `total`."""
    gone = 0
    for chunk in chunks:
        yield chunk
        gone += len(chunk)
        tell(gone, max(total, gone))


def paced(chunks: Iterable[bytes], rate: int | None) -> Iterator[bytes]:
    """The same chunks, with at most `rate` bytes in a second. Whoever sends them waits: that is what the limit is."""
    began, gone = time.monotonic(), 0
    for chunk in chunks:
        if rate and (early := gone / rate - (time.monotonic() - began)) > 0:
            time.sleep(early)
        yield chunk
        gone += len(chunk)


def _path(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def _head(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
