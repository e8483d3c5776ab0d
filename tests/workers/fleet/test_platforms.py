"""An image for several platforms, on hosts of one: each takes the one that is for it, by the index's digest."""

import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rig.image import layer, publish, publish_index
from tests.workers.fleet.worlds import World, deploy, dir_world, docker_world, made
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet.targets import connect
from workers.oci.manifest import ImageUnreadable
from workers.oci.store import Store

HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64")
AFAR = "arm64" if HERE == "amd64" else "amd64"


@pytest.fixture(params=["dir", "docker", "load"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "dir":
        with dir_world(tmp_path) as directory:
            yield directory
        return
    engine, registry = request.getfixturevalue("dockerd"), request.getfixturevalue("real_registry")
    with docker_world(engine, registry) as real:
        if request.param == "docker":
            yield real
            return
        real.service = replace(real.service, repository=f"127.0.0.1:9/{real.service.name}")
        with connect(HostSettings(name="h1", address=engine.address, images="load"), real.store) as host:
            real.host = host
            yield real


def index(store: Store, **images: Digest) -> Digest:
    """An index of images, by their architectures."""
    return publish_index(store, {f"linux/{architecture}": image for architecture, image in images.items()})


def test_a_host_pulls_its_own_part_and_runs_it_under_the_digest_of_the_whole(world: World) -> None:
    foreign = publish(world.store, [layer({"app/version": "of others"})], architecture=AFAR)
    first = index(world.store, **{AFAR: foreign, HERE: made(world.store, "1")})
    second = index(world.store, **{AFAR: foreign, HERE: made(world.store, "2")})

    whole = deploy(world, first, 1)
    assert world.answers() == "1"
    assert world.host.running(world.service).image == first
    assert world.host.fetch(world.service, first) == 0, "it is there"

    assert deploy(world, second, 2) < whole / 10, "the layers below are there"
    assert world.answers() == "2"
    world.host.back(world.service, first, 2)
    world.host.settle(world.service, first)
    assert world.answers() == "1"


def test_an_image_for_other_hosts_is_refused_in_words(world: World) -> None:
    foreign = index(world.store, **{AFAR: publish(world.store, [layer({"a": "1"})], architecture=AFAR)})

    with pytest.raises(ImageUnreadable, match=f"an image for linux/{HERE}, got linux/{AFAR}"):
        world.host.fetch(world.service, foreign)
