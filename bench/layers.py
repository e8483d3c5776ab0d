"""What packing a layer costs, and what a layer costs besides its bytes: `make bench-layers`.

The input is the site-packages of the Python that runs this, as one layer: real code, data and compiled files. Printed
are bytes and seconds of every way of packing that was looked at, and the bytes that one layer more adds to an image's
manifest and configuration.
"""

import gzip
import io
import sysconfig
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import deflate

from watcher.image import DiffID, Platform
from watcher.layers.part import PER_LAYER
from watcher.settings import ImageSettings
from workers.image.base import Base
from workers.image.config import image_config
from workers.image.entry import tree
from workers.image.layer import write_tar
from workers.image.packing import GZIP_LEVEL, ZSTD_LEVEL, Packing, packer
from workers.image.parts import COMPONENT, KEY
from workers.oci.manifest import OCI_CONFIG, OCI_LAYER_GZIP, Descriptor, ImageConfig, Manifest, digest_of


def main() -> None:
    sink = io.BytesIO()
    site = Path(sysconfig.get_path("purelib"))
    write_tar(tree(site, "site", lambda path, _: "__pycache__" not in path), sink.write)
    raw = sink.getvalue()
    print(f"one layer of {len(raw):,} bytes, zlib {zlib.ZLIB_RUNTIME_VERSION}\n")
    print(f"{'packed by':34}{'bytes':>14}{'seconds':>9}")
    for name, pack in _ways().items():
        began = time.perf_counter()
        size = len(pack(raw))
        print(f"{name:34}{size:>14,}{time.perf_counter() - began:>9.2f}")
    print(f"\none layer more: {_per_layer()} bytes of manifest and configuration (PER_LAYER is {PER_LAYER})")


def _ways() -> dict[str, Callable[[bytes], bytes]]:
    ways: dict[str, Callable[[bytes], bytes]] = {
        f"zlib of this Python, level {level}": partial(gzip.compress, compresslevel=level, mtime=0) for level in (6, 9)
    }
    for level in (6, 8, 9):
        ways[f"libdeflate, level {level}"] = partial(_deflated, level)
    ways[f"toplayer, gzip (libdeflate {GZIP_LEVEL})"] = lambda raw: _packed(raw, Packing.GZIP)
    ways[f"toplayer, zstd ({ZSTD_LEVEL})"] = lambda raw: _packed(raw, Packing.ZSTD)
    return ways


def _deflated(level: int, raw: bytes) -> bytes:
    return bytes(deflate.gzip_compress(raw, level))


def _packed(raw: bytes, packing: Packing) -> bytes:
    sink = io.BytesIO()
    packed = packer(packing, sink.write)
    packed.write(raw)
    packed.close()
    return sink.getvalue()


def _per_layer() -> int:
    return (_overhead(61) - _overhead(1)) // 60


def _overhead(count: int) -> int:
    """Bytes of the manifest and the configuration of an image with so many layers, as they travel."""
    names = [(f"pypi:a-package@1.{n}.0", DiffID(digest_of(f"{n}".encode()))) for n in range(count)]
    image = ImageSettings(repository="registry.example/shop", python="3.12")
    base = Base(config=ImageConfig(platform=Platform("linux", "amd64"), diff_ids=(), table={}))
    raw = image_config(image, base, names, {}, datetime(2026, 1, 1, tzinfo=UTC))
    layers = tuple(
        Descriptor(
            media_type=OCI_LAYER_GZIP,
            digest=digest_of(name.encode()),
            size=1_000_000,
            annotations={COMPONENT: name, KEY: digest_of(name.encode()).hex[:32]},
        )
        for name, _ in names
    )
    config = Descriptor(media_type=OCI_CONFIG, digest=digest_of(raw), size=len(raw))
    return len(raw) + len(Manifest.make(config, layers, {}).raw)


if __name__ == "__main__":
    main()
