"""A host that cannot reach the registry gets its images by its engine's own socket."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.fakes.store import FakeStore
from tests.rig.engine import RealEngine
from tests.rig.loopback import Handler, Loopback
from tests.rig.registry import Registry
from tests.rig.sshd import sshd
from tests.workers.fleet.worlds import DockerWorld, deploy, docker_world, made
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet.engine import Engine
from workers.fleet.host import HostUnreachable
from workers.fleet.image import read_manifest
from workers.fleet.load import archive, metered, paced
from workers.fleet.spec import kept_as
from workers.fleet.targets import connect
from workers.oci.manifest import MAX_MANIFEST, Manifest
from workers.oci.store import Store, StoreRefused, small_blob


@pytest.fixture
def world(dockerd: RealEngine, real_registry: Registry) -> Iterator[DockerWorld]:
    """A host whose engine knows the registry by an address where nobody is."""
    with docker_world(dockerd, real_registry) as world:
        world.service = replace(world.service, repository=f"127.0.0.1:9/{world.service.name}")
        with connect(HostSettings(name="h1", address=dockerd.address, images="load"), world.store) as host:
            world.host = host
            yield world


def test_what_the_host_lacks_is_sent_and_counted(world: DockerWorld) -> None:
    heard: list[tuple[int, int]] = []
    first = world.publish("1")
    whole = world.host.fetch(world.service, first, lambda gone, known: heard.append((gone, known)))
    assert whole > 500_000
    assert heard[-1][0] == whole
    assert deploy(world, first, 1) == 0, "it is there"
    assert world.answers() == "1"
    assert deploy(world, world.publish("2"), 2) < 20_000, "the layers below are there"
    assert world.answers() == "2"
    assert world.containers() == {"": "running"}


def test_it_goes_through_a_tunnel_as_well(world: DockerWorld, tmp_path: Path) -> None:
    with sshd(tmp_path / "sshd") as far:
        address = far.address + world.engine.address.removeprefix("unix://")
        settings = HostSettings(name="h1", address=address, ssh=far.settings, images="load")
        with connect(settings, world.store) as host:
            world.host = host
            assert deploy(world, world.publish("1"), 1) > 500_000
            assert world.answers() == "1"


def test_the_way_back_needs_no_registry_either(world: DockerWorld) -> None:
    old, new = world.publish("1"), world.publish("2")
    deploy(world, old, 1)
    deploy(world, new, 2)
    with world.engine.api() as api:
        api.remove_image(f"{kept_as(world.service)}:{old.short}")
    world.host.back(world.service, old, 2)
    world.host.settle(world.service, old)
    assert world.answers() == "1"


def test_a_store_that_lost_a_blob_leaves_the_host_as_it_was(world: DockerWorld) -> None:
    deploy(world, world.publish("1"), 1)
    image = world.publish("2")
    manifest = Manifest.parse(read_manifest(world.store, image), "")
    top = manifest.layers[-1]
    holed = cast(Store, _Holed(world, top.digest))
    with (
        connect(HostSettings(name="h1", address=world.engine.address, images="load"), holed) as host,
        pytest.raises(StoreRefused),
    ):
        host.fetch(world.service, image)
    assert world.kept() == {"", *world.kept()} - {""}
    assert image.short not in world.kept()
    assert world.answers() == "1"


class _Holed:
    """A store that has lost one blob."""

    def __init__(self, world: DockerWorld, lost: Digest) -> None:
        self._store, self._lost = world.store, lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def blob(self, digest: Digest) -> AbstractContextManager[BinaryIO]:
        if digest == self._lost:
            raise StoreRefused("the registry", f"there is no blob {digest}")
        return self._store.blob(digest)


class _SlowDisk(Handler):
    """An engine that has got the last byte, and then takes three times as long as it may be silent to unpack it. It
    says what it is at, unless it was asked to be quiet."""

    wbufsize = 0

    def do_GET(self) -> None:
        self._begin({"content-type": "application/json"})
        self._chunk({"ApiVersion": "1.41", "MinAPIVersion": "1.12"})
        self._chunk(None)

    def do_POST(self) -> None:
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + 2)
        self.rfile.readline()
        self.server.owner.append(self.path)
        for _ in range(6):
            time.sleep(0.25)
            if "quiet=1" not in self.path:
                self._begin({"content-type": "application/json"})
                self._chunk({"status": "Loading layer"})
        self._begin({"content-type": "application/json"})
        self._chunk({"stream": "Loaded image ID: sha256:1"})
        self._chunk(None)

    _begun = False

    def _begin(self, headers: dict[str, str]) -> None:
        if not self._begun:
            self._begun = True
            self.send_response(200)
            for name, value in (headers | {"transfer-encoding": "chunked", "connection": "close"}).items():
                self.send_header(name, value)
            self.end_headers()

    def _chunk(self, row: dict[str, str] | None) -> None:
        raw = json.dumps(row).encode() + b"\n" if row is not None else b""
        self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")


def test_a_disk_that_takes_its_time_after_the_last_byte_is_waited_for() -> None:
    asked: list[str] = []
    with Loopback(_SlowDisk, asked) as server:
        engine = Engine("h1", f"tcp://127.0.0.1:{server.server_port}")
        engine.load(iter([b"x" * 10_000]), timedelta(seconds=0.5))
        with pytest.raises(HostUnreachable):
            engine.load(iter([b"x" * 10_000]), timedelta(seconds=0.1))
        engine.close()
    assert len(asked) == 2


def test_the_archive_is_a_tar_and_an_image_layout_without_what_is_left_out() -> None:
    store = FakeStore()
    image = made(store, "1")
    manifest = Manifest.parse(read_manifest(store, image), "")
    config = small_blob(manifest.config, store, MAX_MANIFEST)
    told: list[int] = []
    parts = archive("toplayer/shop:1", manifest, config, manifest.layers[1:], store)
    raw = b"".join(metered(parts, 10, lambda gone, _: told.append(gone)))
    assert told[-1] == len(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        names = tar.getnames()
        top = tar.extractfile(f"blobs/sha256/{manifest.layers[1].digest.hex}")
        assert top is not None
        with store.blob(manifest.layers[1].digest) as stream:
            assert top.read() == stream.read()
    assert {"oci-layout", "index.json", "manifest.json", f"blobs/sha256/{image.hex}"} <= set(names)
    assert f"blobs/sha256/{manifest.layers[0].digest.hex}" not in names


def test_a_rate_is_kept() -> None:
    began = time.monotonic()
    assert b"".join(paced([b"x" * 1_000] * 11, 50_000)) == b"x" * 11_000
    assert time.monotonic() - began >= 0.2
    assert list(paced([b"x"] * 3, None)) == [b"x"] * 3
