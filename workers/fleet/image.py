"""An image by digest → its manifest, also where the digest is that of an index."""

from collections.abc import Callable

from watcher.image import Digest, Platform
from workers.oci.manifest import Manifest, choose
from workers.oci.store import Store, StoreRefused


def manifest_of(image: Digest, read: Callable[[Digest], bytes], platform: Platform, where: str) -> Manifest:
    """The manifest that a host of this platform runs. `read` is asked for each manifest on the way."""
    raw = read(image)
    chosen = choose(raw, platform, where)
    return Manifest.parse(raw if chosen is None else read(chosen), where)


def read_manifest(store: Store, image: Digest) -> bytes:
    """The bytes of a manifest that should be there."""
    raw = store.manifest(image)
    if raw is None:
        hint = "it was removed there; `toplayer build` publishes it again"
        raise StoreRefused(store.where, f"there is no image {image}", hint)
    return raw
