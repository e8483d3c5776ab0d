"""The base of a sandbox in the engine that runs it: brought there once, and taken away when long nobody has used it."""

import contextlib
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from docker import APIClient
from docker.errors import APIError, ImageNotFound

from workers.image.base import LARGEST_CONFIG, Base
from workers.image.errors import BuildRefused
from workers.oci.manifest import OCI_MANIFEST, Descriptor, Manifest, canonical
from workers.oci.store import small_blob

_NAME = "toplayer.invalid/base"
_KEPT = timedelta(days=30)
_CHUNK = 1024 * 1024


def loaded(api: APIClient, base: Base, now: float) -> str:
    """The base (one that has a digest) by its name in the engine, brought there from its own repository."""
    assert base.digest is not None
    name = f"{_NAME}:{base.digest.hex}"
    try:
        api.inspect_image(name)
    except ImageNotFound:
        _sweep(api, now)
        for _ in api.load_image(_archive(base, name)):
            pass
    # The engine notes when a name was given: so it is when the base was last used.
    api.tag(name, _NAME, base.digest.hex)
    return name


def _sweep(api: APIClient, now: float) -> None:
    """Takes away bases of ours that nobody has used for long: each time that one moves, another one comes."""
    for row in api.images(name=_NAME):
        for name in row.get("RepoTags") or ():
            with contextlib.suppress(APIError):
                told = str(api.inspect_image(name).get("Metadata", {}).get("LastTagTime", ""))
                if _is_old(told, now):
                    api.remove_image(name)


def _is_old(told: str, now: float) -> bool:
    """Whether it is long ago. An engine that does not tell says the year 1, and then nobody knows."""
    try:
        then = datetime.fromisoformat(told[:19]).replace(tzinfo=UTC)
    except ValueError:
        return False
    return then.year > 1 and datetime.fromtimestamp(now, UTC) - then > _KEPT


def _archive(base: Base, name: str) -> Iterator[bytes]:
    """The base as `docker save` writes it since version 25: an OCI layout, and the file that older ones read."""
    store, digest = base.store, base.digest
    assert store is not None
    assert digest is not None
    raw = store.manifest(digest)
    if raw is None:
        raise BuildRefused(f"base {base.name}", "it is gone", "push it again, or name another one")
    manifest = Manifest.parse(raw, store.where)
    config = small_blob(manifest.config, store, LARGEST_CONFIG)
    about = Descriptor(media_type=OCI_MANIFEST, digest=digest, size=len(raw), annotations=_names(name)).json()
    old = {"Config": _blob(manifest.config), "RepoTags": [name], "Layers": [_blob(one) for one in manifest.layers]}
    texts = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": canonical({"schemaVersion": 2, "manifests": [about]}),
        "manifest.json": json.dumps([old]).encode(),
        f"blobs/sha256/{digest.hex}": raw,
        _blob(manifest.config): config,
    }
    for path, content in texts.items():
        yield _head(path, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
    for layer in {one.digest: one for one in manifest.layers}.values():
        yield _head(_blob(layer), layer.size)
        with store.blob(layer.digest) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
        yield bytes(-layer.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _names(name: str) -> dict[str, str]:
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}


def _blob(one: Descriptor) -> str:
    return f"blobs/sha256/{one.digest.hex}"


def _head(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)
