"""One lock, several kinds of machine: each image gets the wheels of its own, and says what it is for."""

import os
import random
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import uv

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import Shop, pin
from watcher import lockfiles
from watcher.http import Http, Limits
from watcher.image import Platform
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.base import read_base
from workers.image.errors import BuildRefused
from workers.image.wheelhouse import Wheelhouse
from workers.process import environment

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


UV = {
    "x86_64-manylinux_2_28": ("linux/amd64", "manylinux_2_28"),
    "aarch64-manylinux_2_28": ("linux/arm64", "manylinux_2_28"),
    "x86_64-unknown-linux-musl": ("linux/amd64", "musllinux_1_2"),
    "aarch64-unknown-linux-musl": ("linux/arm64/v8", "musllinux_1_2"),
}
PYTHONS = ("cp312-cp312", "cp312-abi3", "cp37-abi3", "cp312-none", "py3-none", "cp313-cp313", "cp312-cp312t")
SYSTEMS = (
    *("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_31", "musllinux_1_1", "musllinux_1_2"),
    *("musllinux_1_3", "linux"),
)
EVERY = [
    f"{python}-{system}_{machine}" for python in PYTHONS for system in SYSTEMS for machine in ("x86_64", "aarch64")
]
MARKERS = (
    'platform_machine == "aarch64"',
    'platform_machine != "aarch64" and python_full_version >= "3.12"',
    'sys_platform == "linux" and platform_machine in "x86_64 AMD64"',
    'implementation_name == "cpython" and os_name == "posix" and platform_system == "Linux"',
    'sys_platform == "darwin" or platform_python_implementation == "PyPy"',
)


def test_the_files_are_those_that_uv_would_install_there(tmp_path: Path, now: datetime) -> None:
    some, lines = random.Random(5), list[str]()
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        for number in range(20):
            name = f"p{number}"
            tags = (
                ["py3-none-any", *some.sample(EVERY, 12)] if number % 4 else [*some.sample(EVERY, 6), "py312-none-any"]
            )
            for tag in dict.fromkeys(tags):
                index.publish(name, "1.0", files={f"{name}.py": f"{name}-1.0-{tag}.whl"}, tags=[tag])
            lines.append(f"{name}==1.0" + (f" ; {MARKERS[number % 5]}" if number % 2 else ""))
        lock = tmp_path / "requirements.txt"
        lock.write_text("".join(f"{line}\n" for line in lines))
        pins = lockfiles.read(str(lock.name), lambda _: lock.read_bytes())

        for platform, (machine, libc) in UV.items():
            image = ImageSettings(repository="oci:/images", python="3.12", platform=machine, libc=libc)
            target = Wheels.of(image)
            house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=index.url)}, target, http)
            wanted = [one for one in pins if target.wants(one)]
            mine = {one.package: offer.file.filename for one, offer in house.best(wanted, now).items()}

            assert mine == installed_by_uv(tmp_path / platform, platform, lock, index.url)


def installed_by_uv(place: Path, platform: str, lock: Path, url: str) -> dict[str, str]:
    """The file that each package came from: that stands in its only module."""
    env = environment(lock.parent, UV_NO_CONFIG="1", UV_CACHE_DIR=f"{place}-cache")
    words = ["pip", "install", "-q", "--no-deps", "--target", str(place), "--default-index", url, "-r", str(lock)]
    words += ["--python-platform", platform, "--python-version", "3.12"]
    subprocess.run([os.fsdecode(uv.find_uv_bin()), *words], env=env, check=True)
    return {path.stem: path.read_text() for path in place.glob("p*.py")}
