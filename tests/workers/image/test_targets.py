"""One lock, several kinds of machine: each image gets the wheels of its own, and says what it is for."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import Shop, pin
from watcher.http import Http, Limits
from watcher.image import Platform
from workers.image.base import read_base
from workers.image.errors import BuildRefused

TAGS = {
    "manylinux_2_17_x86_64": ("linux/amd64", "manylinux_2_28"),
    "manylinux_2_17_aarch64": ("linux/arm64", "manylinux_2_28"),
    "musllinux_1_1_x86_64": ("linux/amd64", "musllinux_1_2"),
    "musllinux_1_2_aarch64": ("linux/arm64/v8", "musllinux_1_2"),
}


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        for tag in TAGS:
            files = {"fast/__init__.py": f"FOR = {tag!r}\n"}
            index.publish("fast", "1.0", files=files, tags=[f"cp312-cp312-{tag}"])
        index.publish("fast", "1.1", tags=["cp312-cp312-manylinux_2_17_x86_64"])
        yield Shop(tmp_path, index, http, now)


def target(shop: Shop, platform: str, libc: str) -> None:
    near = FakeStore("registry.example/base")
    publish(near, [layer({"etc/os": "x"})], tag="1", architecture=platform.split("/")[1])
    shop.base = read_base("registry.example/base:1", near, "1", Platform(*platform.split("/")[:2]))
    shop.image = shop.image.model_copy(update={"platform": platform, "libc": libc, "python": "3.12"})


@pytest.mark.parametrize("tag", TAGS)
def test_an_image_has_the_wheel_of_its_machine_and_c_library(shop: Shop, tag: str) -> None:
    platform, libc = TAGS[tag]
    target(shop, platform, libc)

    built = shop.build(pin("fast"))

    config = shop.config(built)
    assert (config.platform.os, config.platform.architecture) == tuple(platform.split("/")[:2])
    assert tag in next(shop.unpacked(built).rglob("fast/__init__.py")).read_text()
    # Never the layer of another machine, though the lock has the same hashes for all of them.
    other = next(one for one in TAGS.values() if one != (platform, libc))
    target(shop, *other)
    second = shop.build(pin("fast"), previous=built.image, commit="2" * 40)
    assert {one.digest for one in shop.manifest(second).layers if "fast" in str(one.annotations)}.isdisjoint(
        one.digest for one in shop.manifest(built).layers
    )


def test_a_machine_that_a_release_has_no_wheel_for_is_named(shop: Shop) -> None:
    target(shop, "linux/arm64", "musllinux_1_2")

    with pytest.raises(BuildRefused, match=r"`fast` 1\.1 has no wheel for Python 3\.12 on musllinux_1_2_aarch64"):
        shop.build(pin("fast", "1.1"))
