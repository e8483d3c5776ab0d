"""Manifests and image configurations, as values. What comes from outside is checked here, once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from watcher.errors import Refused
from watcher.image import DiffID, Digest, Platform

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_KEYS = "org.opencontainers.image."
"""What the names of annotations begin with that the specification gives, and those of labels that say the same."""
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_LIST)
IN_OCI = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER_GZIP.removesuffix("+gzip"),
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER_ZSTD,
}
"""What Docker calls a layer, in the words of the specification. The same bytes under two names: a manifest should not
speak two languages."""
MAX_MANIFEST = 4 * 1024 * 1024
"""Bytes. The distribution specification asks registries to take manifests up to this size."""


class ImageUnreadable(Refused):
    """A manifest, an index or a configuration is not what it says it is."""

    def __init__(self, where: str, place: str, expected: str, got: str) -> None:
        self.where, self.place, self.expected, self.got = where, place, expected, got
        super().__init__(where, place, expected, got)

    def __str__(self) -> str:
        return f"{self.where}: {self.place}: expected {self.expected}, got {self.got}"


class NotForPlatform(ImageUnreadable):
    """An index that has nothing for the platform that was asked for."""


def digest_of(raw: bytes) -> Digest:
    """The digest of bytes."""
    return Digest(f"sha256:{hashlib.sha256(raw).hexdigest()}")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no white space: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What and how big: a media type, a digest, a size in bytes (as it travels), and annotations."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""

    @classmethod
    def parse(cls, value: Any, where: str, place: str) -> Self:
        """A descriptor from JSON; an `ImageUnreadable` names what is wrong."""
        table = _table(value, where, place)
        size = table.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ImageUnreadable(where, f"{place}.size", "a number of bytes", repr(size)[:80])
        try:
            digest = Digest(_text(table, "digest", where, place))
        except ValueError as error:
            raise ImageUnreadable(where, f"{place}.digest", "sha256:…", str(error)) from None
        annotations = _table(table.get("annotations") or {}, where, f"{place}.annotations")
        return cls(
            media_type=_text(table, "mediaType", where, place),
            digest=digest,
            size=size,
            annotations={str(key): str(text) for key, text in annotations.items()},
            platform=_platform(table.get("platform")),
            artifact_type=str(table.get("artifactType") or ""),
        )

    def json(self) -> dict[str, Any]:
        """The descriptor as a manifest has it."""
        row: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.platform:
            row["platform"] = self.platform.json()
        if self.artifact_type:
            row["artifactType"] = self.artifact_type
        return row | ({"annotations": dict(self.annotations)} if self.annotations else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image manifest: a configuration, and layers from the bottom up. `raw` are its bytes, `digest` is theirs."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    raw: bytes
    digest: Digest

    @classmethod
    def make(cls, config: Descriptor, layers: tuple[Descriptor, ...], annotations: Mapping[str, str]) -> Self:
        """A new manifest, with its bytes in canonical form."""
        raw = canonical(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": config.json(),
                "layers": [layer.json() for layer in layers],
                "annotations": dict(annotations),
            }
        )
        return cls(config=config, layers=layers, annotations=annotations, raw=raw, digest=digest_of(raw))

    @classmethod
    def parse(cls, raw: bytes, where: str) -> Self:
        """A manifest from its bytes; an `ImageUnreadable` if it is none (an index is none: see `choose`)."""
        table = _table(_json(raw, where), where, "manifest")
        layers = table.get("layers")
        if not isinstance(layers, list):
            raise ImageUnreadable(where, "manifest.layers", "a list", type(layers).__name__)
        return cls(
            config=Descriptor.parse(table.get("config"), where, "manifest.config"),
            layers=tuple(Descriptor.parse(row, where, f"manifest.layers[{n}]") for n, row in enumerate(layers)),
            annotations={
                str(k): str(v) for k, v in _table(table.get("annotations") or {}, where, "annotations").items()
            },
            raw=raw,
            digest=digest_of(raw),
        )

    @property
    def size(self) -> int:
        """Bytes that a host without anything has to pull."""
        return len(self.raw) + self.config.size + sum(layer.size for layer in self.layers)


def choose(raw: bytes, platform: Platform, where: str) -> Digest | None:
    """The digest of the manifest for `platform` if `raw` is an index, or None if it is a manifest itself. A
    `NotForPlatform` if the index has none."""
    table = _table(_json(raw, where), where, "index")
    if "manifests" not in table:
        return None
    rows = table["manifests"] if isinstance(table["manifests"], list) else []
    entries = [Descriptor.parse(row, where, f"index.manifests[{n}]") for n, row in enumerate(rows)]
    for entry in entries:
        if entry.platform is not None and entry.platform.fits(platform):
            return entry.digest
    offers = ", ".join(str(entry.platform) for entry in entries if entry.platform) or "no platform at all"
    raise NotForPlatform(where, "index.manifests", f"an image for {platform}", offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """An image's configuration: what a container of it runs, and the diff IDs of its layers, from the bottom up."""

    platform: Platform
    diff_ids: tuple[DiffID, ...]
    table: Mapping[str, Any]

    @classmethod
    def parse(cls, raw: bytes, where: str) -> Self:
        """A configuration from its bytes; an `ImageUnreadable` if it is none."""
        table = _table(_json(raw, where), where, "config")
        rootfs = _table(table.get("rootfs"), where, "config.rootfs")
        ids = rootfs.get("diff_ids")
        try:
            diff_ids = tuple(DiffID(text) for text in ids or ())
        except (ValueError, TypeError) as error:
            raise ImageUnreadable(where, "config.rootfs.diff_ids", "a list of sha256:…", str(error)) from None
        platform = _platform(table)
        if platform is None:
            raise ImageUnreadable(where, "config.os and config.architecture", "a platform", "none")
        return cls(platform=platform, diff_ids=diff_ids, table=table)

    @property
    def run(self) -> Mapping[str, Any]:
        """The part that a container starts from: Env, Cmd, Entrypoint, WorkingDir, Labels and so on."""
        run = self.table.get("config")
        return run if isinstance(run, dict) else {}


def _json(raw: bytes, where: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ImageUnreadable(where, "the answer", "JSON", f"{raw[:60]!r} ({error})") from None


def _table(value: Any, where: str, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImageUnreadable(where, place, "a table", type(value).__name__)
    return value


def _text(table: Mapping[str, Any], key: str, where: str, place: str) -> str:
    value = table.get(key)
    if not isinstance(value, str):
        raise ImageUnreadable(where, f"{place}.{key}", "a text", type(value).__name__)
    return value


def _platform(value: Any) -> Platform | None:
    if not isinstance(value, dict):
        return None
    os, architecture = value.get("os"), value.get("architecture")
    if not isinstance(os, str) or not isinstance(architecture, str):
        return None
    return Platform(os, architecture, str(value.get("variant") or ""))
