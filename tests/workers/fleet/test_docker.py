"""Real Docker engines, and what goes wrong with them."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.rig.base_image import base_image
from tests.rig.certs import Certs, make_certs
from tests.rig.engine import RealEngine, engine
from tests.rig.image import busybox, layer, publish
from tests.rig.process import free_port, wait_for
from tests.rig.proxy import Asked, CutAfter, Instead, half_the_time, proxy
from tests.rig.registry import PASSWORD, USERNAME, Registry, registry
from tests.workers.fleet.worlds import LATER, RUNS, DockerWorld, deploy, docker_world, made, service
from watcher.errors import Refused, Temporary
from watcher.fleet import HostSettings, TlsSettings
from watcher.image import Digest
from workers.fleet.answer import CutShort
from workers.fleet.docker import DockerHost
from workers.fleet.drift import difference
from workers.fleet.engine import Engine
from workers.fleet.health import probe
from workers.fleet.host import (
    OTHERWISE,
    SOMEBODYS,
    Fenced,
    Health,
    HostRefused,
    HostUnreachable,
    Proof,
    Running,
    Service,
)
from workers.fleet.spec import create_payload, goal_of
from workers.fleet.targets import connect
from workers.oci.manifest import Manifest
from workers.oci.store import Store
from workers.oci.stores import open_store

NOW = timedelta(0)
CONTAINERD = os.environ.get("STORE") == "containerd"


@pytest.fixture
def world(dockerd: RealEngine, real_registry: Registry) -> Iterator[DockerWorld]:
    with docker_world(dockerd, real_registry) as made:
        yield made


def swapped(world: DockerWorld, image: Digest, generation: int = 1) -> None:
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, generation)


def image_of(store: Store, *, command: tuple[str, ...] = RUNS, **run: Any) -> Digest:
    own = layer({"app": None, "app/ok": "ok", "app/version": "x"})
    return publish(store, [busybox(), own], Env=["PATH=/bin"], WorkingDir="/app", Cmd=list(command), **run)


# --- pulls ---


def test_the_bytes_are_those_that_the_registry_sent(world: DockerWorld, real_registry: Registry) -> None:
    for versions in ("1", "2"):
        before = sent(real_registry, world)
        expected = before + world.host.fetch(world.service, world.publish(versions))
        wait_for(partial(has_sent, real_registry, world, expected), f"{expected} bytes in the registry's log")


def has_sent(registry: Registry, world: DockerWorld, expected: int) -> bool:
    return sent(registry, world) == expected


def sent(registry: Registry, world: DockerWorld) -> int:
    """Bytes that the registry sent to engines from the world's repository."""
    repository = f"/v2/{world.service.name}/"
    rows = [row for row in registry.seen() if row.agent.startswith("docker/") and row.uri.startswith(repository)]
    return sum(row.written for row in rows if row.method == "GET" and row.status == 200)


def test_an_image_with_no_new_layer_costs_its_manifest_and_configuration(world: DockerWorld) -> None:
    first = image_of(world.store)
    second = image_of(world.store, Labels={"other": "configuration"})
    world.host.fetch(world.service, first)
    raw = world.store.manifest(second)
    assert raw
    assert world.host.fetch(world.service, second) == len(raw) + Manifest.parse(raw, "").config.size


def test_a_registry_that_wants_a_password_gets_it_and_a_wrong_one_is_refused(
    dockerd: RealEngine, tmp_path: Path
) -> None:
    with registry(tmp_path, auth=True) as private:
        repository = f"{private.address}/shop"
        store = open_store(repository, {private.address: private.settings})
        known = replace(service("private", repository), username=USERNAME, password=PASSWORD)
        with connect(HostSettings(name="h1", address=dockerd.address), store) as host:
            image = made(store, "private")
            for stranger in (replace(known, username="", password=""), replace(known, password="wrong")):
                with pytest.raises(HostRefused) as refused:
                    host.fetch(stranger, image)
                assert "password" in refused.value.hint
                assert PASSWORD not in str(refused.value)
            assert host.fetch(known, image) > 0


def test_what_a_host_has_by_its_digest_is_asked_of_no_registry(world: DockerWorld, real_registry: Registry) -> None:
    """Also if it came from another repository, where the engine calls images by the digests of their manifests."""
    image, elsewhere = world.publish("1"), f"127.0.0.1:{free_port()}/shop"
    world.host.fetch(world.service, image)
    stranger = replace(world.service, name=f"{world.service.name}-too", repository=elsewhere)
    if CONTAINERD:
        assert world.host.fetch(stranger, image) == 0
    else:
        with pytest.raises(Temporary, match="connection refused"):
            world.host.fetch(stranger, image)


@contextmanager
def through_a_proxy(world: DockerWorld, registry: Registry, behaviour: Any) -> Iterator[DockerHost]:
    """The same host, whose registry is behind a proxy that misbehaves; our own way to it is straight."""
    with proxy(registry.address, behaviour) as between:
        world.service = replace(world.service, repository=f"{between.address}/{world.service.name}")
        with closing(Engine("h1", world.engine.address)) as engine:
            yield DockerHost(engine, world.store)


def blobs(asked: Asked) -> bool:
    return "/blobs/" in asked.path and asked.method == "GET"


def test_a_missing_layer_is_an_error_even_if_an_older_image_is_there(
    world: DockerWorld, real_registry: Registry
) -> None:
    deploy(world, world.publish("1"), 1)
    second = world.publish("2")
    said = "could not fetch content" if CONTAINERD else "unknown blob"
    with (
        through_a_proxy(world, real_registry, lambda asked: Instead(404) if blobs(asked) else None) as host,
        pytest.raises(HostRefused, match=said),
    ):
        host.fetch(world.service, second)
    assert world.answers() == "1"


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "as many": lambda raw: bytes(len(raw)),
    "fewer": lambda raw: raw[: len(raw) // 2],
    "more": lambda raw: raw + bytes(1_000),
}
"""Bytes instead of a blob's."""


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_bytes_for_a_digest_are_refused(
    world: DockerWorld, real_registry: Registry, wrong: Callable[[bytes], bytes]
) -> None:
    # Of all repositories, no other one has these layers.
    image = world.publish(world.service.name)
    kept = real_registry.directory / "data/docker/registry/v2/blobs/sha256"
    for digest in layers_of(world, image):
        path = kept / digest.hex[:2] / digest.hex / "data"
        path.write_bytes(wrong(path.read_bytes()))
    with pytest.raises(HostRefused) as refused:
        world.host.fetch(world.service, image)
    assert "sends other bytes than it should" in refused.value.hint
    with pytest.raises(Refused):
        world.host.swap(world.service, image, 1)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_bytes_that_come_from_between_are_refused(
    world: DockerWorld, real_registry: Registry, wrong: Callable[[bytes], bytes]
) -> None:
    image = world.publish("1")
    layers = layers_of(world, image)

    def lies(asked: Asked) -> Instead | None:
        digest = asked.path.rpartition("/")[2]
        if not blobs(asked) or digest not in layers:
            return None
        with world.store.blob(Digest(digest)) as stream:
            return Instead(200, body=wrong(stream.read()))

    # What is too short and comes from between, the containerd store tells in the words for a link that was cut.
    cut = CONTAINERD and wrong is WRONG["fewer"]
    with through_a_proxy(world, real_registry, lies) as host, pytest.raises((HostRefused, CutShort)) as error:
        host.fetch(world.service, image)
    assert isinstance(error.value, CutShort) is cut
    assert cut or "sends other bytes than it should" in error.value.hint
    with pytest.raises(Refused):
        world.host.swap(world.service, image, 1)


def layers_of(world: DockerWorld, image: Digest) -> list[Digest]:
    raw = world.store.manifest(image)
    assert raw
    return [one.digest for one in Manifest.parse(raw, "").layers]


def test_an_answer_that_is_cut_short_by_the_link_is_asked_for_again_later(
    world: DockerWorld, real_registry: Registry
) -> None:
    image, cut = world.publish("1"), threading.Event()
    cut.set()

    def cuts(asked: Asked) -> CutAfter | None:
        return CutAfter(0) if cut.is_set() and blobs(asked) else None

    with through_a_proxy(world, real_registry, cuts) as host:
        with pytest.raises(CutShort, match="unexpected EOF"):
            host.fetch(world.service, image)
        cut.clear()
        assert comes(host, world.service, image, 5) > 0


def comes(host: DockerHost, service: Service, image: Digest, attempts: int) -> int:
    """The bytes that travelled until the image was there, fetched again and again as a rollout does it."""
    for _ in range(attempts):
        with suppress(Temporary):
            return host.fetch(service, image)
    raise AssertionError(f"{image} did not come in {attempts} attempts")


def test_a_registry_that_stalls_is_noticed_by_the_lack_of_progress(world: DockerWorld, real_registry: Registry) -> None:
    image, ended = world.publish("1"), threading.Event()

    def stalls(asked: Asked) -> None:
        if blobs(asked):
            ended.wait(20)

    try:
        with through_a_proxy(world, real_registry, stalls) as host, pytest.raises(HostUnreachable):
            host.fetch(replace(world.service, patience=timedelta(seconds=0.5)), image)
    finally:
        ended.set()


def test_whoever_hangs_up_loses_what_had_come_but_whole_layers_of_the_containerd_store(
    world: DockerWorld, real_registry: Registry
) -> None:
    image, go = world.publish(world.service.name), threading.Event()
    below, top = layers_of(world, image)
    asked_for: list[str] = []

    def stalls(asked: Asked) -> None:
        asked_for.append(asked.path.rpartition("/")[2])
        if asked.path.endswith(top):
            go.wait(20)

    with through_a_proxy(world, real_registry, stalls) as host:
        hasty = replace(world.service, patience=timedelta(seconds=2))
        try:
            with pytest.raises(HostUnreachable):
                host.fetch(hasty, image)
        finally:
            go.set()
        assert {below, top} <= set(asked_for)
        asked_for.clear()
        assert comes(host, world.service, image, 5) > 0
    assert top in asked_for
    assert (below in asked_for) is not CONTAINERD


def test_a_registry_that_fails_half_of_the_time_is_enough(world: DockerWorld, real_registry: Registry) -> None:
    """To the classic store in one pull. The containerd store asks once for each thing: of many pulls, one is whole."""
    coin = random.Random(1)

    def by_chance(_: Asked) -> Instead | None:
        return Instead(500) if coin.random() < 0.5 else None

    with through_a_proxy(world, real_registry, by_chance if CONTAINERD else half_the_time) as host:
        assert comes(host, world.service, world.publish("1"), 500 if CONTAINERD else 1) > 0


def test_a_registry_that_is_asked_too_often_is_asked_again_later(world: DockerWorld, real_registry: Registry) -> None:
    image, tired = world.publish("1"), threading.Event()
    tired.set()

    def behaves(asked: Asked) -> Instead | None:
        said = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}'
        return Instead(429, {"Retry-After": "60"}, said) if tired.is_set() and "/v2/shop" in asked.path else None

    with through_a_proxy(world, real_registry, behaves) as host:
        with pytest.raises(Temporary, match=r"(?i)too ?many ?requests"):
            host.fetch(world.service, image)
        tired.clear()
        assert host.fetch(world.service, image) > 0


def test_a_registry_that_is_away_is_asked_again_later(world: DockerWorld) -> None:
    image = world.publish("1")
    world.service = replace(world.service, repository=f"127.0.0.1:{free_port()}/shop")
    with pytest.raises(Temporary, match="connection refused"):
        world.host.fetch(world.service, image)


# --- swaps ---


def test_the_container_is_what_the_specification_says(world: DockerWorld, tmp_path: Path) -> None:
    world.service = replace(
        world.service,
        command=(*RUNS[:2], f"echo $TOKEN > /data/token; {RUNS[2]}"),
        volumes=(f"{tmp_path}:/data",),
        restart="always",
        stop_signal="SIGINT",
        stop_grace=timedelta(seconds=3),
    )
    image = world.publish("1")
    deploy(world, image, 7)
    with world.engine.api() as api:
        found = api.inspect_container(world.service.name)
    assert found["Config"]["Image"] == f"{world.service.repository}@{image}"
    assert found["Config"]["Labels"]["io.toplayer.generation"] == "7"
    assert found["Config"]["Labels"]["io.toplayer.image"] == image
    assert found["Config"]["StopSignal"] == "SIGINT"
    assert found["Config"]["StopTimeout"] == 3
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert found["HostConfig"]["NetworkMode"] == "none"
    assert (tmp_path / "token").read_text() == "hunter2-hunter2\n"


def test_a_changed_specification_is_seen(world: DockerWorld) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    assert world.host.running(world.service) == Running(image, 1)
    changed = replace(world.service, env={"TOKEN": "changed"})
    assert world.host.running(changed) == Running(image, 1, OTHERWISE)


def test_start_first_always_has_one_that_answers(world: DockerWorld) -> None:
    world.service = replace(world.service, order="start-first")
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    swapped(world, second, 2)
    assert world.containers() == {"": "running", ".next": "running"}
    assert world.answers() == "1"
    world.host.settle(world.service, second)
    assert world.containers() == {"": "running"}
    assert world.answers() == "2"


@pytest.mark.parametrize("up", [True, False])
def test_the_list_of_containers_may_be_behind(world: DockerWorld, monkeypatch: pytest.MonkeyPatch, up: bool) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    listed = Engine.containers
    monkeypatch.setattr(Engine, "containers", lambda engine: [replace(one, up=up) for one in listed(engine)])
    deploy(world, second, 2)
    assert world.containers() == {"": "running"}
    assert world.answers() == "2"


def test_somebody_elses_container_is_not_touched(world: DockerWorld) -> None:
    image = world.publish("1")
    world.host.fetch(world.service, image)
    with world.engine.api() as api:
        for name in ("", ".next"):
            config = {"Image": f"{world.service.repository}@{image}", "HostConfig": {"NetworkMode": "none"}}
            mine = api.create_container_from_config(config, world.service.name + name)["Id"]
            moves: tuple[Callable[[], object], ...] = (
                lambda: world.host.swap(world.service, image, 1),
                lambda: world.host.back(world.service, None, 1),
                lambda: world.host.settle(world.service, image),
            )
            for move in moves:
                with pytest.raises(HostRefused, match="that toplayer did not make") as refused:
                    move()
                assert "docker rename" in refused.value.hint
            assert api.inspect_container(mine)["State"]["Status"] == "created"
            api.remove_container(mine)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"command": ("no-such-program",)}, "run.command"),
        ({"volumes": ("/proc/no/such:/data",)}, ""),
    ],
    ids=["command", "volume"],
)
def test_what_cannot_start_is_told_and_the_host_goes_back(
    world: DockerWorld, change: dict[str, Any], hint: str
) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)
    with pytest.raises(HostRefused) as refused:
        world.host.swap(replace(world.service, **change), second, 2)
    assert hint in refused.value.hint
    world.host.back(world.service, first, 2)
    assert world.containers() == {"": "running", ".failed": "created"}
    assert world.answers() == "1"


@pytest.mark.parametrize("network", ["no-such-network", "container:no-such-container"])
def test_a_network_that_is_gone_is_told_before_anything_is_stopped(world: DockerWorld, network: str) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)
    with pytest.raises(HostRefused, match="there is no") as refused:
        world.host.swap(replace(world.service, network=network), second, 2)
    assert "run.network" in refused.value.hint
    assert world.containers() == {"": "running"}


def test_a_container_that_has_its_network_from_the_service_is_not_cut_off(world: DockerWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)
    beside, mode = f"{world.service.name}-beside", f"container:{world.service.name}"
    with world.engine.api() as api:
        asked = {"Image": f"{world.service.repository}@{first}", "HostConfig": {"NetworkMode": mode}}
        id = api.create_container_from_config(asked, beside)["Id"]
        with pytest.raises(HostRefused, match=f"{beside} has its network from"):
            world.host.swap(world.service, second, 2)
        assert world.containers() == {"": "running"}
        api.remove_container(id)
    deploy(world, second, 2)


def test_a_port_that_is_taken_is_told_and_the_host_goes_back(tmp_path: Path) -> None:
    with (
        engine(networks=True) as networked,
        registry(tmp_path, listen=networked.near) as near,
        docker_world(networked, near) as first,
        docker_world(networked, near) as second,
    ):
        first.service = replace(first.service, network="", ports=("8080:80",))
        second.service = replace(second.service, network="")
        old, new = second.publish("1"), second.publish("2")
        deploy(first, first.publish("1"), 1)
        deploy(second, old, 1)
        second.service = replace(second.service, ports=("8080:80",))
        with pytest.raises(HostRefused, match="port is already allocated") as refused:
            swapped(second, new, 2)
        assert "run.ports" in refused.value.hint
        second.host.back(second.service, old, 2)
        assert (first.answers(), second.answers()) == ("1", "1")


def test_others_on_a_network_find_the_service_by_its_name(tmp_path: Path) -> None:
    """Also while its container is still called `.next`."""
    with engine(networks=True) as networked, registry(tmp_path, listen=networked.near) as near:
        with networked.api() as api:
            api.create_network("backend")
        with docker_world(networked, near) as world:
            world.service = replace(world.service, network="backend")
            swapped(world, world.publish("1"))
            with networked.api() as api:
                found = api.inspect_container(f"{world.service.name}.next")
            assert world.service.name in found["NetworkSettings"]["Networks"]["backend"]["Aliases"]


def test_a_container_is_on_all_of_its_networks_before_it_starts(tmp_path: Path) -> None:
    with engine(networks=True) as networked, registry(tmp_path, listen=networked.near) as near:
        with networked.api() as api:
            for n, name in enumerate(("backend", "metrics", "third")):
                api.create_network(name, ipam={"Config": [{"Subnet": f"172.30.{n}.0/24"}]})
        with docker_world(networked, near) as world:
            world.service = replace(world.service, network="backend", networks=("metrics", "third"))
            fixed = {"backend": "172.30.0.9", "metrics": "172.30.1.9"}
            world.service = replace(world.service, aliases=("orders",), addresses=fixed)
            first, second = world.publish("1"), world.publish("2")
            deploy(world, first, 1)
            swapped(world, second, 2)
            with networked.api() as api:
                for name in ("", ".next"):
                    found = api.inspect_container(f"{world.service.name}{name}")["NetworkSettings"]["Networks"]
                    assert set(found) == {"backend", "metrics", "third"}
                    assert all({world.service.name, "orders"} <= {*network["Aliases"]} for network in found.values())
                assert {name: found[name]["IPAddress"] for name in fixed} == fixed, "the one that runs now has them"
            world.host.back(world.service, first, 2)
            assert world.answers() == "1"


def test_a_full_disk_is_told_and_what_runs_runs_on(real_registry: Registry) -> None:
    with engine(data_size="24m") as small, docker_world(small, real_registry) as world:
        first = world.publish("1")
        deploy(world, first, 1)
        large = publish(world.store, [busybox(), layer({"large": os.urandom(40_000_000)})], Cmd=list(RUNS))
        before = real_registry.pulled()
        with pytest.raises(
            HostRefused, match=r"the image needs some \d+ bytes while it arrives, and \d+ are free"
        ) as refused:
            world.host.fetch(world.service, large)
        assert "disk space" in refused.value.hint
        assert real_registry.pulled() - before < 10_000, "no layer travelled"
        assert world.answers() == "1"
        assert world.kept() == {first.short}, "what it may have to go back to is not what makes room"
        deploy(world, world.publish("2"), 2)
        assert world.answers() == "2"


def test_what_is_in_a_volume_without_a_name_goes_on_with_the_service(world: DockerWorld) -> None:
    first, second, third = (image_of(world.store, Volumes={"/data": {}}, Labels={"n": n}) for n in "123")
    with world.engine.api() as api:

        def volumes() -> set[str]:
            return {row["Name"] for row in api.volumes()["Volumes"] or ()}

        before = volumes()
        deploy(world, first, 1)
        api.exec_start(api.exec_create(world.service.name, ["sh", "-c", "echo mine > /data/x"])["Id"])
        (mine,) = volumes() - before

        deploy(world, second, 2)
        assert in_the_volume(world, api) == "mine\n"
        swapped(world, third, 3)
        world.host.back(world.service, second, 3)
        world.host.settle(world.service, second)
        assert in_the_volume(world, api) == "mine\n"
        world.host.back(world.service, first, 3)
        world.host.settle(world.service, first)
        assert in_the_volume(world, api) == "mine\n"
        assert volumes() - before == {mine}, "no volume is left behind"

        world.service = replace(world.service, volumes=(f"{world.service.name}:/data/",))
        deploy(world, second, 4)
        assert in_the_volume(world, api) == "", "what the settings say of the place counts"


def in_the_volume(world: DockerWorld, api: Any) -> str:
    made = api.exec_create(world.service.name, ["sh", "-c", "cat /data/x 2>/dev/null || true"])
    return str(api.exec_start(made["Id"]).decode())


# --- health ---


def without_command(world: DockerWorld, **more: Any) -> None:
    world.service = replace(world.service, health_command=(), steady=timedelta(seconds=2), **more)


def prove(world: DockerWorld, image: Digest, elapsed: timedelta = LATER) -> Proof:
    return world.host.prove(world.service, image, elapsed)


@pytest.mark.parametrize(("test", "health"), [("test -f ok", Health.HEALTHY), ("echo bad; false", Health.UNHEALTHY)])
def test_the_images_own_healthcheck_decides_if_there_is_no_command(
    world: DockerWorld, test: str, health: Health
) -> None:
    without_command(world)
    check = {"Test": ["CMD-SHELL", test], "Interval": 100_000_000, "Retries": 2, "Timeout": 10**9}
    image = image_of(world.store, Healthcheck=check)
    swapped(world, image)
    assert prove(world, image, NOW).health is not Health.UNHEALTHY
    wait_for(lambda: prove(world, image).health is not Health.STARTING, "a verdict", 20)
    proof = prove(world, image)
    assert proof.health is health
    assert proof.said == ("bad\nit runs" if health is Health.UNHEALTHY else "")


def test_without_any_check_it_has_to_run_for_a_while(world: DockerWorld) -> None:
    without_command(world)
    image = image_of(world.store)
    swapped(world, image)
    assert prove(world, image, timedelta(seconds=1)) == Proof(Health.STARTING)
    assert prove(world, image, timedelta(seconds=2)) == Proof(Health.HEALTHY)


@pytest.mark.parametrize(("restart", "why"), [("no", "it ended with 3"), ("always", "was restarted")])
def test_a_container_that_ends_is_unhealthy_and_its_last_words_are_told(
    world: DockerWorld, restart: str, why: str
) -> None:
    without_command(world, restart=restart)
    script = "echo token $TOKEN; printf '\\033[31mred\\n'; sleep 0.2; exit 3"
    image = image_of(world.store, command=("sh", "-c", script))
    swapped(world, image)
    wait_for(lambda: prove(world, image, NOW).health is Health.UNHEALTHY, "its end to be seen", 10)
    proof = prove(world, image)
    assert why in proof.said
    assert "token ***" in proof.said
    assert "\033" not in proof.said


def test_what_does_not_get_well_in_time_is_told_with_the_last_words_of_its_log(world: DockerWorld) -> None:
    world.service = replace(
        world.service,
        command=("sh", "-c", f"echo no database, token $TOKEN >&2; {RUNS[2]}"),
        health_command=("sh", "-c", "echo 503; false"),
    )
    image = world.publish("1")
    swapped(world, image)
    early, late = prove(world, image, NOW), prove(world, image, world.service.within)
    assert early.health is late.health is Health.STARTING
    assert "503" in early.said
    assert "no database" not in early.said
    assert "503" in late.said
    assert "no database, token ***" in late.said


def test_an_address_is_asked_from_beside_where_the_image_has_no_python(
    world: DockerWorld, real_registry: Registry
) -> None:
    repository, url = f"{real_registry.address}/python", "http://127.0.0.1:8080/version"
    base_image().copied_to(open_store(repository, {real_registry.address: real_registry.settings}))
    world.service = replace(
        world.service,
        command=("sh", "-c", "mkdir -p /tmp && echo 1 > /tmp/version; busybox httpd -p 8080 -h /tmp; " + RUNS[2]),
        health_command=probe(url, "/usr/local/bin/python3", timedelta(seconds=5)),
        health_url=url,
    )
    image = world.publish("1")
    swapped(world, image)
    assert prove(world, image).health is Health.UNHEALTHY, "nobody there could ask"
    world.service = replace(world.service, puller=f"{repository}:latest", health_timeout=timedelta(seconds=20))
    wait_for(lambda: prove(world, image) == Proof(Health.HEALTHY, "200"), "the address to answer", 60)
    elsewhere = replace(world.service, health_url=f"{url}/gone")
    proof = world.host.prove(elsewhere, image, NOW)
    assert proof.health is Health.STARTING
    assert "answered 404" in proof.said
    with world.engine.api() as api:
        assert not [row for row in api.containers(all=True) if row["Names"][0].endswith(".ask")]


def test_a_health_command_that_hangs_does_not_hold_anybody_up(world: DockerWorld) -> None:
    world.service = replace(
        world.service, health_command=("sh", "-c", "echo waiting; sleep 30"), health_timeout=timedelta(seconds=0.5)
    )
    image = world.publish("1")
    swapped(world, image)
    proof = prove(world, image)
    assert proof.health is Health.STARTING
    assert proof.said.startswith("`sh` did not end within 0.5 s")


def test_a_health_command_that_never_stops_talking_is_cut_off(world: DockerWorld) -> None:
    world.service = replace(
        world.service,
        health_command=("sh", "-c", "while :; do echo on and on; done"),
        health_timeout=timedelta(seconds=1),
    )
    image = world.publish("1")
    swapped(world, image)
    proof = prove(world, image)
    assert proof.health is Health.STARTING
    assert len(proof.said) <= 1000


def test_a_health_command_that_is_not_there_is_unhealthy_at_once(world: DockerWorld) -> None:
    world.service = replace(world.service, health_command=("no-such-probe",))
    image = world.publish("1")
    swapped(world, image)
    proof = prove(world, image, NOW)
    assert proof.health is Health.UNHEALTHY
    assert "no-such-probe" in proof.said


def test_a_health_command_that_fails_at_first_is_given_time(world: DockerWorld) -> None:
    world.service = replace(
        world.service,
        command=("sh", "-c", f"sleep 0.5; echo up > /tmp/up; {RUNS[2]}"),
        health_command=("cat", "/tmp/up"),
    )
    image = world.publish("1")
    swapped(world, image)
    assert prove(world, image).health is Health.STARTING
    wait_for(lambda: prove(world, image) == Proof(Health.HEALTHY, "up"), "the service to come up", 10)


# --- connections ---


def over_tls(address: str, certs: Certs) -> HostSettings:
    tls = TlsSettings(ca=str(certs.ca), cert=str(certs.cert), key=str(certs.key))
    return HostSettings(name="h1", address=address, tls=tls)


def test_an_engine_over_tls_knows_us_and_we_know_it(
    real_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Certificates of the environment must not decide whom we trust.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make_certs(tmp_path / "others").ca))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    store = open_store(f"{real_registry.address}/tls", {real_registry.address: real_registry.settings})
    shop = service("tls", f"{real_registry.address}/tls")
    with engine(tls=True) as secure:
        certs = secure.certs
        assert certs is not None
        image = image_of(store)
        with connect(over_tls(secure.tcp, certs), store) as host:
            assert host.fetch(shop, image) > 0
            host.swap(shop, image, 1)
            assert host.prove(shop, image, LATER) == Proof(Health.HEALTHY, "ok")
        stranger = make_certs(tmp_path / "stranger")
        not_known = replace(certs, cert=stranger.cert, key=stranger.key)
        not_trusted = replace(certs, ca=stranger.ca)
        for other in (not_known, not_trusted):
            with connect(over_tls(secure.tcp, other), store) as host, pytest.raises(HostRefused) as refused:
                host.running(shop)
            assert "`tls`" in refused.value.hint
        with connect(HostSettings(name="h1", address=secure.tcp), store) as host, pytest.raises(HostRefused) as refused:
            host.running(shop)
        assert "`tls`" in refused.value.hint


def test_an_engine_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    for address in (f"unix://{tmp_path}/docker.sock", f"tcp://127.0.0.1:{free_port()}"):
        with (
            connect(HostSettings(name="h1", address=address), open_store("oci:/nowhere", {})) as host,
            pytest.raises(HostUnreachable) as away,
        ):
            host.running(service("shop", "registry.example/shop"))
        assert str(away.value).startswith("h1 did not answer: ")
        assert len(str(away.value)) < 80


def test_a_frozen_engine_is_noticed_and_comes_back_to_the_same_state(world: DockerWorld) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    os.kill(world.engine.pid, signal.SIGSTOP)
    try:
        with (
            connect(HostSettings(name="h1", address=world.engine.address), world.store) as host,
            pytest.raises(HostUnreachable),
        ):
            host.running(world.service)
    finally:
        os.kill(world.engine.pid, signal.SIGCONT)
    assert world.host.running(world.service) == Running(image, 1)


def test_what_is_no_engine_is_told(real_registry: Registry) -> None:
    address = f"tcp://{real_registry.address}"
    with (
        connect(HostSettings(name="h1", address=address), open_store("oci:/nowhere", {})) as host,
        pytest.raises((Refused, Temporary)) as error,
    ):
        host.running(service("shop", "registry.example/shop"))
    assert str(error.value).startswith("h1")


# --- what was there before ---


def stranger(world: DockerWorld, version: str, name: str, **more: Any) -> Digest:
    """Somebody's own container of an image, which restarts by itself."""
    image = world.publish(version)
    with world.engine.api() as api:
        api.pull(world.service.repository, tag=image)
        host = {"NetworkMode": "none", "RestartPolicy": {"Name": "always"}, **more}
        asked = {
            "Image": f"{world.service.repository}@{image}",
            "HostConfig": host,
            "Labels": {"io.toplayer.test": "1"},
        }
        api.start(api.create_container_from_config(asked, name)["Id"])
    return image


def test_the_place_of_a_container_that_was_there_before_is_taken_if_the_settings_say_so(world: DockerWorld) -> None:
    name = f"old-{world.service.name}"
    policy = {"Name": "on-failure", "MaximumRetryCount": 5}
    first = stranger(world, "1", name, RestartPolicy=policy)
    world.service = replace(world.service, adopts=name)
    assert world.host.running(world.service) == Running(first, 0, SOMEBODYS)
    bad, good = world.publish("2", healthy=False), world.publish("3")

    swapped(world, bad, 1)
    world.host.back(world.service, first, 1)
    with world.engine.api() as api:
        back = api.inspect_container(name)
        assert back["State"]["Running"]
        assert back["HostConfig"]["RestartPolicy"] == policy

    deploy(world, good, 2)
    assert world.answers() == "3"
    with world.engine.api() as api:
        assert name not in {row["Names"][0].lstrip("/") for row in api.containers(all=True)}
    assert world.kept() >= {good.short}
    world.host.back(world.service, first, 2)
    world.host.settle(world.service, first)
    assert world.answers() == "1", "also after it was removed: its image was kept"


def test_a_container_that_would_not_be_there_to_go_back_to_is_not_stopped(world: DockerWorld) -> None:
    name = f"old-{world.service.name}"
    stranger(world, "1", name, AutoRemove=True, RestartPolicy={"Name": "no"})
    world.service = replace(world.service, adopts=name)
    second = world.publish("2")
    for move in (lambda: world.host.running(world.service), lambda: world.host.swap(world.service, second, 1)):
        with pytest.raises(HostRefused, match="removes itself") as refused:
            move()
        assert "--rm" in refused.value.hint
    with world.engine.api() as api:
        assert api.inspect_container(name)["State"]["Running"]
        api.stop(name, timeout=0)


# --- drift ---


def test_what_somebody_stopped_or_removed_by_hand_is_seen_and_put_right(world: DockerWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    deploy(world, second, 2)
    assert difference(world.host, world.service, second) == ""
    with world.engine.api() as api:
        api.stop(world.service.name, timeout=0)
        api.update_container(world.service.name, restart_policy={"Name": "no"})
        assert "is not well" in difference(world.host, world.service, second)
        deploy(world, second, 2)
        assert world.restarts() == {"": "unless-stopped"}
        api.remove_container(world.service.name, force=True)
        assert "runs nothing" in difference(world.host, world.service, second)
        deploy(world, second, 2)
    assert difference(world.host, world.service, second) == ""
    assert world.answers() == "2"


def test_what_somebody_changed_on_a_container_is_seen_and_put_right(tmp_path: Path) -> None:
    with engine(networks=True) as networked, registry(tmp_path, listen=networked.near) as near:
        with networked.api() as api:
            for name in ("backend", "metrics", "other"):
                api.create_network(name)
        with docker_world(networked, near) as world, networked.api() as api:
            name = world.service.name
            limits: dict[str, Any] = {"memory": 64 << 20, "cpus": 0.5, "pids": 50, "volumes": (f"{tmp_path}:/data:ro",)}
            world.service = replace(world.service, network="backend", networks=("metrics",), **limits)
            image = world.publish("1")
            deploy(world, image, 1)
            assert difference(world.host, world.service, image) == ""
            changed: dict[str, Callable[[], object]] = {
                "limit of memory is 33554432": lambda: api.update_container(name, mem_limit=32 << 20),
                "restart policy is no": lambda: api.update_container(name, restart_policy={"Name": "no"}),
                "is not on the network metrics": lambda: api.disconnect_container_from_network(name, "metrics"),
                "is on the network other, too": lambda: api.connect_container_to_network(name, "other"),
            }
            for said, change in changed.items():
                change()
                assert said in difference(world.host, world.service, image)
                deploy(world, image, 1)
                assert difference(world.host, world.service, image) == ""
            assert world.containers() == {"": "running"}


def test_a_copy_with_our_labels_and_another_image_is_seen_and_put_right(world: DockerWorld) -> None:
    """As tools make it that update containers by themselves: they copy whatever an engine says."""
    good, other = world.publish("1"), world.publish("not approved")
    deploy(world, good, 1)
    with world.engine.api() as api:
        labels = api.inspect_container(world.service.name)["Config"]["Labels"]
        api.pull(world.service.repository, tag=other)
        api.remove_container(world.service.name, force=True)
        copy = {"Image": f"{world.service.repository}@{other}", "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
        api.start(api.create_container_from_config(copy, world.service.name)["Id"])
    assert world.host.running(world.service).image == other
    assert difference(world.host, world.service, good) == f"runs {other.short}, and should run {good.short}"
    deploy(world, good, 1)
    assert world.answers() == "1"
    assert difference(world.host, world.service, good) == ""


@pytest.mark.parametrize("late", [True, False], ids=["of a late worker", "of a rollout that was overtaken"])
def test_what_was_never_proven_and_runs_beside_is_seen_and_taken_away(world: DockerWorld, late: bool) -> None:
    world.service = replace(world.service, order="start-first")
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 3 if late else 1)
    if late:
        world.host.fetch(world.service, second)
        with world.engine.api() as api:
            asked = create_payload(world.service, goal_of(world.service, second, 2), None)
            api.start(api.create_container_from_config(asked, f"{world.service.name}.next")["Id"])
    else:
        swapped(world, second, 2)
    assert difference(world.host, world.service, first) == f"{world.service.name}.next runs beside it"
    deploy(world, first, 3)
    assert world.containers() == {"": "running"}


def test_whoever_slept_amid_a_move_looks_again_before_anything_is_made_or_started(world: DockerWorld) -> None:
    first, second, third = (world.publish(version) for version in "123")
    deploy(world, first, 1)
    for image in (second, third):
        world.host.fetch(world.service, image)
    late = connect(HostSettings(name="h1", address=world.engine.address), world.store)
    with late as host:
        real = host._look  # type: ignore[attr-defined]
        seen = iter([real(world.service)])
        deploy(world, third, 3)
        host._look = lambda known: next(seen, None) or real(known)  # type: ignore[attr-defined]
        with pytest.raises(Fenced):
            host.swap(world.service, second, 2)
    assert world.containers() == {"": "running"}
    assert world.answers() == "3"


def test_as_many_images_are_kept_as_the_settings_say(world: DockerWorld) -> None:
    images = [world.publish(str(n)) for n in range(1, 6)]
    for keep, kept in ((2, images[1:4]), (0, images[4:])):
        world.service = replace(world.service, keep=keep)
        for generation, image in enumerate(images[: 4 if keep else 5], 1 if keep else 10):
            deploy(world, image, generation)
        assert world.kept() == {image.short for image in kept}, "the one that runs, and so many before it"


def test_a_new_specification_of_the_same_image_keeps_the_image_to_go_back_to(world: DockerWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    deploy(world, second, 2)
    world.service = replace(world.service, env={"TOKEN": "another"})
    assert "another specification" in difference(world.host, world.service, second)
    deploy(world, second, 2)
    assert world.kept() == {first.short, second.short}


# --- images ---


def test_an_image_that_others_use_is_left_to_them(world: DockerWorld) -> None:
    first, second, third = (world.publish(version) for version in "123")
    deploy(world, first, 1)
    with world.engine.api() as api:
        api.tag(f"{world.service.repository}@{first}", "mine", "kept")
        deploy(world, second, 2)
        deploy(world, third, 3)
        assert world.kept() == {second.short, third.short}
        assert api.inspect_image("mine:kept")["RepoTags"] == ["mine:kept"]
        api.remove_image("mine:kept")


def test_an_image_survives_a_prune_while_it_may_be_needed(world: DockerWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    deploy(world, second, 2)
    with world.engine.api() as api:
        api.prune_images({"dangling": True})
    assert world.host.fetch(world.service, first) == 0


# --- others at work ---


def test_two_workers_at_once_get_to_the_same_end(world: DockerWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    world.host.fetch(world.service, second)

    def all_of_it(ended: list[BaseException | None]) -> None:
        settings = HostSettings(name="h1", address=world.engine.address)
        moves = ["swap", "settle"]
        with connect(settings, world.store) as host:
            for _ in range(50):
                try:
                    if "swap" in moves:
                        host.swap(world.service, second, 2)
                        moves.remove("swap")
                    host.settle(world.service, second)
                    ended.append(None)
                    return
                except Temporary:
                    continue
                except BaseException as error:
                    ended.append(error)
                    return

    ended: list[BaseException | None] = []
    threads = [threading.Thread(target=all_of_it, args=(ended,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [None, None]
    assert world.containers() == {"": "running"}
    assert world.host.running(world.service) == Running(second, 2)


def test_a_paused_container_can_be_replaced(world: DockerWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    with world.engine.api() as api:
        api.pause(world.service.name)
    assert prove(world, first).health is Health.UNHEALTHY
    deploy(world, second, 2)
    assert world.answers() == "2"


def test_an_engine_that_restarts_in_the_middle_changes_nothing(real_registry: Registry) -> None:
    with engine() as running, docker_world(running, real_registry) as world:
        world.service = replace(world.service, restart="always")
        first, second = world.publish("1"), world.publish("2")
        deploy(world, first, 1)
        swapped(world, second, 2)
        running.restart()
        wait_for(lambda: world.containers() == {"": "exited", ".next": "running"}, "the new one alone to come back", 20)
        beside = f"{world.service.name}.next runs beside it"
        assert world.host.running(world.service) == Running(first, 1, beside)
        world.host.back(world.service, first, 2)
        running.restart()
        wait_for(lambda: world.containers() == {"": "running", ".failed": "exited"}, "the old one to come back", 20)
