"""The image that another one stands on. It is not pulled: its manifest and its configuration are read.

Of its layers, only whose directories are: see `directories`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from watcher.dockerfile.parse import decoded
from watcher.errors import LockfileUnreadable
from watcher.image import Digest, Platform, Reference
from watcher.lockfiles.dockerfile import base_of, name_of
from watcher.settings import ImageSettings, RegistrySettings
from workers.image.errors import BuildRefused
from workers.oci.manifest import IN_OCI, OCI_LAYER_GZIP, Descriptor, ImageConfig, ImageUnreadable
from workers.oci.store import Store, find_manifest, small_blob
from workers.oci.stores import open_image, open_store, split

SCRATCH = "scratch"
LARGEST_CONFIG = 4 * 1024**2
"""Bytes. Configurations of real images have some ten thousand."""

_OCI_LAYER = OCI_LAYER_GZIP.removesuffix("+gzip")


@dataclass(frozen=True, slots=True)
class Base:
    """`name` is its address, `digest` that of its manifest; its blobs are in `store`. `scratch` has none of it."""

    name: str = SCRATCH
    digest: Digest | None = None
    store: Store | None = None
    layers: tuple[Descriptor, ...] = ()
    config: ImageConfig = field(default_factory=lambda: ImageConfig(platform=Platform("", ""), diff_ids=(), table={}))

    @property
    def digests(self) -> tuple[Digest, ...]:
        """Those of its layers, from the bottom up."""
        return tuple(layer.digest for layer in self.layers)


def address_of(image: ImageSettings, fetch: Callable[[str], bytes | None]) -> str:
    """The address of the base: that of the settings, or what the file that they name says in it at a commit.

    `fetch` gives the bytes of a file in the repository. A `LockfileUnreadable` for a file that names none.
    """
    if not image.base_file:
        return image.base
    data = fetch(image.base_file)
    if data is None:
        raise LockfileUnreadable(image.base_file, "", "a Dockerfile", "nothing: there is no such file")
    return str(base_of(decoded(data, image.base_file), image.base_file))


def settled(address: str, registries: Mapping[str, RegistrySettings]) -> tuple[str, Digest | None]:
    """The address with the digest of what it names now, and that digest: so all platforms stand on the same image.

    No digest for what is in no registry, or is not there. Raises what stores raise.
    """
    if address == SCRATCH or address.startswith("oci:"):
        return address, None
    reference = Reference.parse(address)
    digest = reference.digest or open_image(reference, registries).named(reference.name)
    return str(replace(reference, digest=digest)), digest


def open_base(
    address: str, platform: Platform, registries: Mapping[str, RegistrySettings], scratch: Path | None = None
) -> Base:
    """The base at `[host/]path[:tag][@digest]`, `oci:/directory:tag` or `scratch`, for a platform.

    What is read of it lies in `scratch` (see `open_store`). Raises `BuildRefused` or `ImageUnreadable` if there is none
    that fits, and what a store raises.
    """
    if address == SCRATCH:
        return Base()
    if address.startswith("oci:"):
        repository, name = split(address)
        return read_base(address, open_store(repository, registries), name, platform)
    reference = Reference.parse(address)
    store = open_image(reference, registries, scratch=scratch)
    return read_base(name_of(reference), store, reference.name, platform)


def read_base(address: str, store: Store, name: str, platform: Platform) -> Base:
    """The base called `name` (a tag or a digest) in a store; `address` is what people call it."""
    manifest = find_manifest(store, name, platform)
    if manifest is None:
        hint = "push it there, or name another one as `base`"
        raise BuildRefused(f"base {address}", f"{store.where} has no image {name}", hint)
    config = ImageConfig.parse(small_blob(manifest.config, store, LARGEST_CONFIG), address)
    if not config.platform.fits(platform):
        hint = "name another base, or another `platform`"
        raise BuildRefused(f"base {address}", f"expected an image for {platform}, got one for {config.platform}", hint)
    if len(config.diff_ids) != len(manifest.layers):
        got = f"{len(config.diff_ids)} and {len(manifest.layers)}"
        raise ImageUnreadable(address, "config.rootfs.diff_ids", "as many as the manifest has layers", got)
    layers = tuple(_described(layer, address) for layer in manifest.layers)
    return Base(address, manifest.digest, store, layers, config)


def _described(layer: Descriptor, address: str) -> Descriptor:
    """The layer without its annotations: those of a base that toplayer built are about that image."""
    media_type = IN_OCI.get(layer.media_type, layer.media_type)
    if media_type.partition("+")[0] != _OCI_LAYER:
        raise ImageUnreadable(address, f"layer {layer.digest.short}", "a layer that may be copied", layer.media_type)
    return replace(layer, media_type=media_type, annotations={})
