"""What only newer Docker engines do with our images: one store downloads what it lacks, and zstd is read.

Run by `make newer`, as root. PROGRAMS is a directory with the `dockerd` of a release from 24 on.
"""

import os
from collections.abc import Iterator

import pytest

from tests.rig.engine import RealEngine, engine, ran
from tests.workers.image.test_engine import Shop
from tests.workers.image.test_engine import shop as shop
from workers.oci.manifest import OCI_LAYER_GZIP, OCI_LAYER_ZSTD

PROGRAMS = os.environ.get("PROGRAMS", "")
SHOP = "import large, small; print(small.version, len(open(large.__file__).read()))\n"


@pytest.fixture(scope="module")
def containerd() -> Iterator[RealEngine]:
    with engine(programs=PROGRAMS, containerd=True) as running:
        yield running


@pytest.fixture(scope="module")
def classic() -> Iterator[RealEngine]:
    with engine(programs=PROGRAMS) as running:
        yield running


def open_shop(shop: Shop) -> None:
    (shop.directory / "tree").mkdir()
    (shop.directory / "tree" / "shop.py").write_text(SHOP)
    shop.index.publish("large", "1.0", files={"large/__init__.py": "#" * 1000, "large/data": os.urandom(3_000_000)})
    for version in ("1.0", "1.1"):
        files: dict[str, str | bytes] = {
            "small/__init__.py": f"version = {version!r}\n",
            "small/data": os.urandom(100_000),
        }
        shop.index.publish("small", version, files=files)


def test_a_containerd_store_downloads_the_layer_that_changed_wherever_it_lies(
    shop: Shop, containerd: RealEngine
) -> None:
    open_shop(shop)
    with containerd.api() as api:
        first = shop.build(large="1.0", small="1.0")
        api.pull(*first.split("@"))
        assert ran(api, first) == "1.0 1000\n"
        second, before = shop.build(large="1.0", small="1.1"), shop.registry.pulled()

        blobs = shop.pulled(lambda: api.pull(*second.split("@")))

        assert ran(api, second) == "1.1 1000\n"
    manifest = shop.manifest()
    names = [layer.annotations.get("io.toplayer.component", "") for layer in manifest.layers]
    changed = manifest.layers[names.index("pypi:small@1.1")]
    assert names.index("pypi:small@1.1") < len(names) - 1, "something lies above it"
    assert set(blobs) == {str(changed.digest), str(manifest.config.digest)}
    assert shop.registry.pulled() - before <= changed.size + manifest.config.size + 2 * len(manifest.raw)


@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_layers_that_are_packed_with_zstd_are_pulled_and_run(
    shop: Shop, store: str, request: pytest.FixtureRequest
) -> None:
    open_shop(shop)
    newer: RealEngine = request.getfixturevalue(store)
    with newer.api() as api:
        first = shop.build(large="1.0", small="1.0")
        api.pull(*first.split("@"))
        # What was packed before stays as it is: an image of both.
        shop.packings = ("zstd", "gzip")
        second = shop.build(large="1.0", small="1.1")
        api.pull(*second.split("@"))
        assert ran(api, second) == "1.1 1000\n"

    kinds = {layer.media_type for layer in shop.manifest().layers}
    assert kinds == {OCI_LAYER_GZIP, OCI_LAYER_ZSTD}
