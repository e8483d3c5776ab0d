"""An image as a registry has it: what it tells the next build about itself."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from watcher.dockerfile.layers import Layer
from watcher.image import Platform
from workers.oci.manifest import ImageConfig, Manifest, NotForPlatform
from workers.oci.store import Store, find_manifest, small_blob

STEPS = "toplayer.steps"
"""The label with the keys of the steps that an image was made of."""
REVISION = "org.opencontainers.image.revision"
_LARGEST_CONFIG = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Earlier:
    """An image as the registry has it: its manifest, its layers by what made them, and the keys of its steps."""

    manifest: Manifest
    config: ImageConfig

    @property
    def labels(self) -> Mapping[str, str]:
        labels = self.config.run.get("Labels")
        return {str(name): str(text) for name, text in labels.items()} if isinstance(labels, dict) else {}

    @property
    def steps(self) -> tuple[str, ...]:
        """None of them: it was not made of a Dockerfile, or not by us."""
        return tuple(self.labels.get(STEPS, "").split())

    @property
    def layers(self) -> tuple[Layer, ...]:
        """From the bottom up; none if its history does not tell which is which."""
        rows = self.config.table.get("history")
        told = [row for row in rows if isinstance(row, dict) and not row.get("empty_layer")] if rows else []
        if len(told) != len(self.manifest.layers):
            return ()
        pairs = zip(told, self.manifest.layers, strict=True)
        return tuple(Layer(str(row.get("created_by", "")), layer.size, layer.digest) for row, layer in pairs)


def earlier(store: Store, name: str, platform: Platform | None = None) -> Earlier | None:
    """The image called `name` (a tag or a digest), or None if there is none. With a `platform` it is the one for that:
    of an image for several platforms one of them, of an image for another one none.
    """
    if platform is None:
        raw = store.manifest(name)
        manifest = Manifest.parse(raw, f"{store.where}:{name}") if raw is not None else None
    else:
        manifest = None
        with contextlib.suppress(NotForPlatform):
            manifest = find_manifest(store, name, platform)
    if manifest is None:
        return None
    config = ImageConfig.parse(small_blob(manifest.config, store, _LARGEST_CONFIG), store.where)
    return Earlier(manifest, config) if platform is None or config.platform.is_like(platform) else None
