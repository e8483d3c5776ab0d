"""A container that somebody made by hand becomes a specification of ours, which makes the same one again."""

import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.image import busybox, publish
from tests.rig.process import need
from tests.rig.registry import Registry, registry
from tests.workers.fleet.worlds import RUNS, DockerWorld, deploy, docker_world
from watcher.cli.hands import Adopted
from watcher.fleet import HostSettings
from watcher.run import RunSettings
from workers.adopt import adopt
from workers.fleet.host import HostRefused


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealEngine, Registry]]:
    with engine(networks=True) as networked:
        with networked.api() as api:
            api.create_network("backend")
            api.create_network("metrics")
            api.create_network("first", ipam={"Config": [{"Subnet": "172.30.98.0/24"}]})
            api.create_network("second", ipam={"Config": [{"Subnet": "172.30.99.0/24"}]})
        with registry(tmp_path_factory.mktemp("registry"), listen=networked.near) as near:
            yield networked, near


@pytest.fixture
def world(parts: tuple[RealEngine, Registry]) -> Iterator[DockerWorld]:
    with docker_world(*parts) as made:
        yield made
        with made.engine.api() as api:
            for row in api.containers(all=True):
                api.remove_container(row["Id"], force=True)


def image(world: DockerWorld) -> str:
    shell: dict[str, Any] = {
        "Cmd": list(RUNS),
        "Env": ["PATH=/bin", "LANG=C"],
        "WorkingDir": "/tmp",
        "Labels": {"by": "us"},
    }
    digest = publish(world.store, [busybox()], Volumes={"/cache": {}}, **shell)
    return f"{world.service.repository}@{digest}"


def docker(world: DockerWorld, *argv: str) -> str:
    need("docker")
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DOCKER_HOST": world.engine.address}
    done = subprocess.run(["docker", *argv], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def adopted(world: DockerWorld, container: str = "shop", app: str = "shop") -> Adopted:
    with world.engine.api() as api:
        before = {row["Id"]: row["State"] for row in api.containers(all=True)}
        volumes = {row["Name"] for row in api.volumes()["Volumes"] or ()}
        found = adopt(HostSettings(name="h1", address=world.engine.address), container, app)
        assert {row["Id"]: row["State"] for row in api.containers(all=True)} == before, "nothing is left behind"
        assert {row["Name"] for row in api.volumes()["Volumes"] or ()} == volumes
    return found


def settings(found: Adopted, monkeypatch: pytest.MonkeyPatch) -> RunSettings:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    return RunSettings.model_validate(tomllib.loads(found.text)["apps"]["shop"]["run"])


def test_a_plain_container_needs_hardly_a_word(world: DockerWorld) -> None:
    docker(world, "run", "-d", "--name", "shop", image(world))
    found = adopted(world)
    assert found.differs == ()
    (volume,) = tomllib.loads(found.text)["apps"]["shop"]["run"].pop("volumes")
    assert volume.endswith(":/cache"), "the volume that had no name is kept"
    assert tomllib.loads(found.text)["apps"]["shop"]["run"].keys() == {"adopts", "restart", "volumes"}
    said = " ".join(found.unsure)
    for word in ("Cmd", "WorkingDir", "LANG, PATH", "/cache had no name"):
        assert word in said


def test_everything_that_was_asked_for_is_found_again(
    world: DockerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        *("--env", "MODE=fast", "--env", "DB_PASSWORD=hunter2", "--volume", f"{tmp_path}:/data:ro"),
        *("--volume", "named:/cache", "--mount", "type=volume,source=other,target=/other"),
        *("--publish", "8080:80", "--publish", "127.0.0.1:5353:53/udp", "--network", "backend"),
        *("--restart", "always", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--init", "--read-only"),
        *("--tmpfs", "/tmp", "--stop-signal", "SIGINT", "--stop-timeout", "33", "--label", "team=field"),
        *("--user", "1000", "--cap-add", "NET_ADMIN", "--hostname", "kiosk", "--add-host", "db:10.0.0.1"),
        *("--ulimit", "nofile=1000:2000", "--log-opt", "max-size=1m", "--entrypoint", "/bin/sh"),
    ]
    docker(world, "run", "-d", "--name", "shop", *asked, image(world), "-c", RUNS[2])
    docker(world, "network", "connect", "metrics", "shop")
    found = adopted(world)
    assert found.differs == ()
    assert "hunter2" not in found.text
    run = settings(found, monkeypatch)
    assert run.command == ("-c", RUNS[2])
    assert set(run.volumes) == {f"{tmp_path}:/data:ro", "named:/cache", "other:/other"}
    assert set(run.ports) == {"8080:80", "127.0.0.1:5353:53/udp"}
    assert (run.network, run.networks, run.restart) == ("backend", ("metrics",), "always")
    assert (run.memory, run.cpus, run.pids, run.init, run.read_only) == (64 << 20, 0.5, 50, True, True)
    assert (run.tmpfs, run.stop_signal, run.stop_grace.total_seconds()) == (("/tmp",), "SIGINT", 33)
    assert run.labels == {"team": "field"}
    assert run.engine["User"] == "1000"
    assert run.engine["Hostname"] == "kiosk"
    assert run.engine["Entrypoint"] == ["/bin/sh"]
    assert run.engine["HostConfig"]["CapAdd"] == ["CAP_NET_ADMIN"]


def test_what_the_settings_cannot_say_is_told(world: DockerWorld) -> None:
    odd = ("--rm", "--publish", "80", "--network", "backend")
    docker(world, "run", "-d", "--name", "old-shop", *odd, image(world))
    found = adopted(world, "old-shop")
    said = "\n".join(found.differs)
    for word in ("HostConfig.AutoRemove", "run.ports.0", "know it as old-shop now"):
        assert word in said


def test_what_a_network_was_told_is_found_again_or_told(world: DockerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.engine.api() as api:
        docker(world, "run", "-d", "--name", "db", "--network", "first", image(world))
        told = {"IPAMConfig": {"IPv4Address": "172.30.98.7"}, "Aliases": ["orders"], "Links": ["db:store"]}
        asked = {
            "Image": image(world),
            "MacAddress": "02:42:00:00:00:07",
            "HostConfig": {"NetworkMode": "first"},
            "NetworkingConfig": {"EndpointsConfig": {"first": told}},
        }
        api.start(api.create_container_from_config(asked, "shop")["Id"])
        api.connect_container_to_network("shop", "second", aliases=["orders"], ipv4_address="172.30.99.9")
    found = adopted(world)
    run = settings(found, monkeypatch)
    assert (run.network, run.networks, run.aliases) == ("first", ("second",), ("orders",))
    assert run.addresses == {"first": "172.30.98.7", "second": "172.30.99.9"}
    assert run.engine["MacAddress"] == "02:42:00:00:00:07"
    (link,) = found.differs
    assert 'first: Links [\\"db:store\\"]' in link


def test_links_of_the_old_kind_and_a_count_of_restarts_are_found_again(
    world: DockerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(world, "run", "-d", "--name", "db", image(world))
    docker(world, "run", "-d", "--name", "shop", "--link", "db:store", "--restart", "on-failure:5", image(world))
    found = adopted(world)
    assert found.differs == ()
    run = settings(found, monkeypatch)
    assert run.engine["HostConfig"]["Links"] == ["db:store"]
    assert run.restart == "on-failure:5"


def test_what_was_adopted_is_replaced_by_a_swap_like_any_other(world: DockerWorld) -> None:
    docker(world, "run", "-d", "--name", "shop", "--network", "none", image(world))
    assert adopted(world).differs == ()
    world.service = replace(world.service, adopts="shop")
    deploy(world, world.publish("2"), 1)
    assert world.answers() == "2"


def test_a_container_that_is_not_there_is_told_with_those_that_are(world: DockerWorld) -> None:
    docker(world, "run", "-d", "--name", "shop", image(world))
    with pytest.raises(HostRefused, match="there are: shop"):
        adopted(world, "shopp")


def test_a_directory_has_no_containers(tmp_path: Path) -> None:
    with pytest.raises(HostRefused, match="directory"):
        adopt(HostSettings(name="h1", address=f"dir:{tmp_path}"), "shop", "shop")
