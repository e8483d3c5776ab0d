"""Images for tests: layers from a few entries, a configuration, a manifest, into any store."""

import gzip
import io
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.process import need
from watcher.image import DiffID, Digest, Platform
from workers.oci.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    canonical,
    digest_of,
)
from workers.oci.store import Store

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Link:
    """A symbolic link, or a hard one."""

    to: str
    hard: bool = False


@dataclass(frozen=True)
class File:
    """A file with a mode of its own."""

    content: bytes
    mode: int = 0o755


Entry = bytes | str | Link | File | tarfile.TarInfo | None
"""A file (bytes or text), a link, a file with a mode, whatever a tar can say, or None for a directory."""


def layer(entries: Mapping[str, Entry]) -> bytes:
    """A tar of these entries, in this order, always the same for the same entries."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, entry in entries.items():
            info, content = _entry(name, entry)
            tar.addfile(info, io.BytesIO(content) if content else None)
    return out.getvalue()


def _entry(name: str, entry: Entry) -> tuple[tarfile.TarInfo, bytes]:
    if isinstance(entry, tarfile.TarInfo):
        return entry, b""
    info = tarfile.TarInfo(name)
    content = b""
    if entry is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif isinstance(entry, Link):
        info.type, info.linkname, info.mode = (tarfile.LNKTYPE if entry.hard else tarfile.SYMTYPE), entry.to, 0o777
    else:
        file = entry if isinstance(entry, File) else File(entry.encode() if isinstance(entry, str) else entry, 0o644)
        content, info.mode = file.content, file.mode
    info.size = len(content)
    return info, content


def publish(
    store: Store,
    layers: Sequence[bytes],
    *,
    packed: bool = True,
    tag: str = "",
    architecture: str = "amd64",
    **run: Any,
) -> Digest:
    """Puts an image of these tars into the store; `run` are keys of the configuration that a container starts from."""
    rows = []
    for tar in layers:
        blob = gzip.compress(tar, 1, mtime=0) if packed else tar
        digest = digest_of(blob)
        store.put_blob(digest, blob)
        rows.append(
            Descriptor(media_type=OCI_LAYER_GZIP if packed else OCI_LAYER, digest=digest, size=len(blob)),
        )
    config = canonical(
        {
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [DiffID(digest_of(tar)) for tar in layers]},
            "history": [{"created_by": "tests"} for _ in layers],
        }
    )
    described = Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=len(config))
    store.put_blob(described.digest, config)
    manifest = Manifest.make(described, tuple(rows), {})
    return store.put_manifest(manifest.raw, OCI_MANIFEST, tag)


def publish_index(store: Store, images: Mapping[str, Digest], tag: str = "") -> Digest:
    """Puts an index of images that are there into the store, by their platforms."""
    rows = []
    for platform, image in images.items():
        raw = store.manifest(image)
        assert raw
        own = Platform.parse(platform)
        rows.append(Descriptor(media_type=OCI_MANIFEST, digest=image, size=len(raw), platform=own).json())
    return store.put_manifest(
        canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}), OCI_INDEX, tag
    )


def busybox(more: Mapping[str, Entry] | None = None) -> bytes:
    """A layer with a shell and the usual tools, which runs anywhere, and `more`."""
    need("busybox")
    program = Path("/bin/busybox") if Path("/bin/busybox").exists() else Path("/usr/bin/busybox")
    names = ("sh", "cat", "echo", "env", "false", "ls", "sleep", "test", "true", "dd", "df", "wc")
    return layer(
        {
            "bin": None,
            "bin/busybox": File(program.read_bytes()),
            **{f"bin/{name}": Link("busybox") for name in names},
            "etc/passwd": "root:x:0:0:root:/:/bin/sh\n",
            "tmp": _sticky("tmp"),
            **(more or {}),
        }
    )


def _sticky(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, stat.S_ISVTX | 0o777
    return info
