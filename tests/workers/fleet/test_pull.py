"""A pull that the host owns: it outlives the worker that asked for it, and no byte travels twice."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rig.base_image import base_image
from tests.rig.engine import RealEngine, engine
from tests.rig.process import wait_for
from tests.rig.proxy import Asked, proxy
from tests.rig.registry import Registry
from tests.workers.fleet.worlds import DockerWorld, deploy, docker_world, fetched, fetched_by
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet import helper
from workers.fleet.engine import Engine
from workers.fleet.helper import Said, said
from workers.fleet.host import HostBusy, HostRefused, OnItsWay, Service
from workers.fleet.pull import Pull
from workers.fleet.targets import connect
from workers.oci.manifest import Manifest
from workers.oci.stores import open_store


@pytest.fixture(scope="module")
def puller(real_registry: Registry) -> str:
    repository = f"{real_registry.address}/python"
    base_image().copied_to(open_store(repository, {real_registry.address: real_registry.settings}))
    return f"{repository}:latest"


@pytest.fixture
def world(dockerd: RealEngine, real_registry: Registry, puller: str) -> Iterator[DockerWorld]:
    with docker_world(dockerd, real_registry) as made:
        made.service = replace(made.service, puller=puller)
        yield made


def helpers(world: DockerWorld) -> list[str]:
    with world.engine.api() as api:
        return [row["State"] for row in api.containers(all=True) if row["Names"] == [f"/{world.service.name}.pull"]]


def sent(registry: Registry) -> int:
    """Bytes that the registry sent to engines."""
    rows = [row for row in registry.seen() if row.agent.startswith("docker/") and row.method == "GET"]
    return sum(row.written for row in rows if row.status == 200 and "/v2/shop" in row.uri)


def settled(registry: Registry) -> int:
    """The same, once the registry has written down all that was: it does so a little later than it answers."""
    before, now = -1, sent(registry)
    while before != now:
        time.sleep(0.5)
        before, now = now, sent(registry)
    return now


def test_the_helper_brings_the_image_reports_its_bytes_and_goes(world: DockerWorld, real_registry: Registry) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    before = settled(real_registry)
    travelled = fetched(world, second)
    wait_for(lambda: sent(real_registry) - before == travelled, f"{travelled} bytes in the registry's log")
    assert helpers(world) == []
    deploy(world, second, 2)
    assert world.answers() == "2"


def test_an_image_that_is_not_there_is_refused_with_the_same_words(world: DockerWorld) -> None:
    image = world.publish("1")
    missing = replace(world.service, repository=world.service.repository + "-gone")
    with pytest.raises(HostRefused) as refused:
        fetched_by(world.host, missing, image)
    assert "no longer in the registry" in refused.value.hint
    assert helpers(world) == []


_WORKER = """
import sys
from dataclasses import replace
from tests.workers.fleet.worlds import service
from watcher.fleet import HostSettings
from watcher.image import Digest
from workers.fleet.targets import connect
from workers.oci.stores import open_store

address, name, repository, puller, image = sys.argv[1:]
with connect(HostSettings(name="h1", address=address), open_store(repository, {})) as host:
    host.fetch(replace(service(name, repository), puller=puller), Digest(image))
"""


@contextmanager
def worker(world: DockerWorld, image: Digest) -> Iterator[None]:
    """A process that fetches, until it is killed."""
    asked = (world.engine.address, world.service.name, world.service.repository, world.service.puller, image)
    process = subprocess.Popen([sys.executable, "-c", _WORKER, *asked], cwd=Path(__file__).parents[3])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_worker_that_is_killed_in_the_middle_costs_no_byte(world: DockerWorld, real_registry: Registry) -> None:
    image, go = world.publish("1"), threading.Event()
    asked: list[str] = []

    def held(one: Asked) -> None:
        if "/blobs/" in one.path and one.headers.get("user-agent", "").startswith("docker/"):
            asked.append(one.path)
            go.wait(30)

    with proxy(f"http://{real_registry.address}", held) as slow:
        through = world.service.repository.replace(real_registry.address, slow.address)
        world.service = replace(world.service, repository=through)
        with worker(world, image):
            wait_for(lambda: bool(asked), "the pull to begin")
        assert helpers(world) == ["running"]
        with pytest.raises(OnItsWay):
            world.host.fetch(world.service, image)
        go.set()
        assert fetched(world, image) > 500_000, "what travelled is known although nobody listened"
    assert len(asked) == len(set(asked)), "no blob was asked for twice"
    assert helpers(world) == []


def test_a_registry_that_is_away_for_a_while_is_waited_for_as_long_as_the_settings_say(
    world: DockerWorld, real_registry: Registry
) -> None:
    first, second, back = world.publish("1"), world.publish("2"), threading.Event()

    def away(one: Asked) -> None:
        if "/blobs/" in one.path and one.headers.get("user-agent", "").startswith("docker/"):
            back.wait(30)

    with proxy(f"http://{real_registry.address}", away) as between:
        through = world.service.repository.replace(real_registry.address, between.address)
        known = replace(world.service, repository=through, patience=timedelta(seconds=2))
        with pytest.raises(HostBusy, match="made no progress for 2 s"):
            fetched_by(world.host, known, first)
        assert helpers(world) == []
        patient = replace(known, patience=timedelta(minutes=1))
        with pytest.raises(OnItsWay):
            world.host.fetch(patient, second)
        time.sleep(2.5)  # longer than the first one had patience
        back.set()
        assert fetched_by(world.host, patient, second) > 500_000


def test_on_a_host_by_tcp_the_helper_finds_its_engine_where_the_settings_say(
    puller: str, real_registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with engine(tls=True) as secure, docker_world(secure, real_registry) as world:
        service = replace(world.service, puller=puller)
        for where, helped in ((secure.settings()["socket"], True), ("/run/no/such.sock", False)):
            settings = HostSettings.model_validate({"name": "h1", **secure.settings(), "socket": where})
            with connect(settings, world.store) as host:
                assert fetched_by(host, service, world.publish(where)) > 0
            assert ("no helper pulls" in caplog.text) is not helped


def test_a_pull_goes_on_by_itself_after_its_engine_was_restarted(
    tmp_path: Path, puller: str, real_registry: Registry
) -> None:
    back = threading.Event()

    def held(one: Asked) -> None:
        if "/blobs/" in one.path and one.headers.get("user-agent", "").startswith("docker/"):
            back.wait(30)

    with engine() as running, docker_world(running, real_registry) as world:
        image = world.publish("1")
        with proxy(f"http://{real_registry.address}", held) as between:
            through = world.service.repository.replace(real_registry.address, between.address)
            world.service = replace(world.service, repository=through, puller=puller)
            with pytest.raises(OnItsWay):
                world.host.fetch(world.service, image)
            running.restart()
            back.set()
            wait_for(lambda: helpers(world) == ["exited"], "the helper to come back, and to end", 60)
        # Nobody asked for it meanwhile, and the registry is not there any more.
        assert fetched(world, image) > 500_000
        assert helpers(world) == []


def test_a_helper_that_pulls_what_nobody_wants_any_more_gives_way(world: DockerWorld) -> None:
    image = world.publish("1")
    with world.engine.api() as api:
        stale = helper.payload(world.service, Digest("sha256:" + "0" * 64), "/nowhere")
        del stale["HostConfig"]["Mounts"]
        if not api.images(name=world.service.puller):
            api.pull(*world.service.puller.rsplit(":", 1))
        api.create_container_from_config(stale, f"{world.service.name}.pull")
    assert fetched(world, image) > 500_000
    assert helpers(world) == []


def test_a_helper_whose_image_is_there_is_given_a_moment_for_its_last_word(world: DockerWorld) -> None:
    image = world.publish(world.service.name)
    fetched_by(world.host, replace(world.service, puller=""), image)
    raw = world.store.manifest(image)
    assert raw
    said = json.dumps({"downloaded": [layer.digest.short for layer in Manifest.parse(raw, "").layers]})
    with world.engine.api() as api:
        if not api.images(name=world.service.puller):
            api.pull(*world.service.puller.rsplit(":", 1))
        slow = helper.payload(world.service, image, "/nowhere")
        del slow["HostConfig"]["Mounts"]
        slow["Cmd"] = ["-c", f"import time; time.sleep(1); print({said!r})"]
        slow["Entrypoint"] = ["python3"]
        api.start(api.create_container_from_config(slow, f"{world.service.name}.pull")["Id"])
    assert world.host.fetch(world.service, image) > 500_000
    assert helpers(world) == []


def test_a_host_that_will_not_have_the_helper_is_pulled_to_by_us(world: DockerWorld) -> None:
    without_python = world.publish("0")
    first = world.publish("1")
    fetched(world, without_python)
    world.service = replace(world.service, puller=f"{world.service.repository}@{without_python}")
    assert fetched(world, first) > 0
    assert helpers(world) == []


def test_bytes_are_told_while_they_travel_and_a_disk_that_is_too_small_is_told_before(world: DockerWorld) -> None:
    heard: list[tuple[int, int]] = []
    fetched_by(world.host, world.service, world.publish("1"), lambda gone, known: heard.append((gone, known)))
    assert all(gone <= known for gone, known in heard)
    with world.engine.api() as api:
        free = int(api.info()["MemTotal"]) * 10_000
    client, socket = Engine("h1", world.engine.address), world.engine.address.removeprefix("unix://")
    pull = Pull(client, world.service, Digest(f"sha256:{7:064x}"), socket, needs=free)
    with pytest.raises(HostRefused, match=rf"the image needs some {free} bytes while it arrives, and \d+ are free"):
        taken(pull)
    assert helpers(world) == []


def taken(pull: Pull) -> None:
    while True:
        with suppress(OnItsWay):
            pull.take()


def test_a_helper_can_be_tried_before_it_is_needed(world: DockerWorld) -> None:
    fetched(world, world.publish("1"))
    with closing(Engine("h1", world.engine.address)) as client:
        assert helper.tried(client, world.service, world.engine.address.removeprefix("unix://"))[0] == 0
        with pytest.raises(HostRefused):
            helper.tried(client, world.service, "/run/nobody.sock")
    assert helpers(world) == []


def test_credentials_are_in_no_argument_and_in_no_variable() -> None:
    known = Service(
        name="shop", repository="r.example/shop", username="me", password="hunter2", puller="r.example/py:3"
    )
    for carries in (False, True):
        made = str(helper.payload(known, Digest("sha256:" + "0" * 64), "/var/run/docker.sock", carries=carries))
        assert "hunter2" not in made
    assert b"hunter2" in helper.files(known, Digest("sha256:" + "0" * 64), 0)


def test_what_a_helper_says_is_the_last_of_its_own_words() -> None:
    assert said("") == Said()
    assert said('{"current": 5}\nTraceback: ...\n[1]\n') == Said(current=5)
    assert said('{"current": 5}\n{"downloaded": ["ab"]}\n') == Said(downloaded=frozenset({"ab"}))
    assert said('{"error": "no space left"}').is_over
    assert said('{"current": 5, "total": 7}').total == 7
    unpacking = said('{"current": 5, "total": 7, "events": 9}')
    assert unpacking != said('{"current": 5, "total": 7, "events": 8}'), "progress without a byte"
    assert said('{"free": 0}').is_over
