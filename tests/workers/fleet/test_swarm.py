"""A service of a real swarm: by digest, a part at a time, and stopped at the first task that does not come up."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.rig.engine import RealEngine
from tests.rig.image import busybox, publish
from tests.rig.process import wait_for
from tests.rig.registry import Registry
from tests.workers.fleet.worlds import LATER, RUNS, SwarmWorld, deploy, proof_of, swarm_world
from watcher.fleet import HostSettings
from workers.fleet.engine import Engine
from workers.fleet.host import Fenced, Health, HostRefused, Running, Service
from workers.fleet.swarm_spec import hash_of, spec_of, whole
from workers.fleet.targets import connect

BARE = Service(name="shop", repository="registry.example/shop")


@pytest.fixture
def world(swarm: RealEngine, real_registry: Registry) -> Iterator[SwarmWorld]:
    with swarm_world(swarm, real_registry) as made:
        yield made


@pytest.mark.journey
def test_a_bad_image_reaches_one_task_and_the_others_go_on(world: SwarmWorld) -> None:
    world.service = replace(world.service, replicas=3)
    good, bad = world.publish("1"), world.publish("2", healthy=False)
    deploy(world, good, 1)
    world.host.fetch(world.service, bad)
    world.host.swap(world.service, bad, 2)
    with world.engine.api() as api:

        def is_paused() -> bool:
            status = api.inspect_service(world.service.name).get("UpdateStatus") or {}
            return status.get("State") == "paused"

        wait_for(is_paused, "the swarm to stop", 60)
        spec = api.inspect_service(world.service.name)["Spec"]
        assert spec["UpdateConfig"]["Parallelism"] == 1
        assert spec["UpdateConfig"]["FailureAction"] == "pause"
        assert spec["TaskTemplate"]["ContainerSpec"]["Image"] == f"{world.service.repository}@{bad}"
        tasks = api.tasks({"service": world.service.name, "desired-state": "running"})
        up = [task for task in tasks if task["Status"]["State"] == "running"]
        assert len([task for task in up if task["Spec"]["ContainerSpec"]["Image"].endswith(good)]) == 2
    proof = world.host.prove(world.service, bad, LATER)
    assert proof.health is Health.UNHEALTHY
    assert "update paused" in proof.said
    assert "hunter2" not in proof.said

    world.host.back(world.service, good, 2)
    assert proof_of(world, good).health is Health.HEALTHY
    world.host.settle(world.service, good)
    assert world.answers() == "1"


def test_somebody_elses_service_is_left_alone(world: SwarmWorld) -> None:
    with world.engine.api() as api:
        task = {"ContainerSpec": {"Image": "registry.example/other:1"}}
        made = api.create_service(task, name=world.service.name, mode={"Replicated": {"Replicas": 0}})
        with pytest.raises(HostRefused, match="that toplayer did not make"):
            world.host.running(world.service)
        api.remove_service(made["ID"])


def test_an_engine_that_manages_no_swarm_is_told(dockerd: RealEngine, world: SwarmWorld) -> None:
    settings = HostSettings(name="h1", address=dockerd.address, target="swarm")
    with connect(settings, world.store) as host, pytest.raises(HostRefused, match="no manager") as refused:
        host.running(world.service)
    assert "swarm init" in refused.value.hint


def test_a_specification_becomes_a_service() -> None:
    service = replace(
        BARE,
        command=("serve",),
        env={"B": "2", "A": "1"},
        volumes=("/srv/data:/data:ro", "cache:/cache"),
        tmpfs=("/tmp",),
        ports=("8080:80", "53:53/udp"),
        network="backend",
        networks=("metrics",),
        memory=64 << 20,
        cpus=0.5,
        restart="always",
        order="start-first",
        health_command=("true",),
        steady=timedelta(seconds=7),
        within=timedelta(seconds=90),
        replicas=4,
        parallelism=2,
    )
    spec = spec_of(service, "{}", None, "h1")
    task = spec["TaskTemplate"]
    assert task["ContainerSpec"]["Args"] == ["serve"]
    assert task["ContainerSpec"]["Env"] == ["A=1", "B=2"]
    assert task["ContainerSpec"]["Healthcheck"]["Interval"] == 7 * 10**9
    assert task["ContainerSpec"]["Healthcheck"]["StartPeriod"] == 90 * 10**9
    assert [mount["Type"] for mount in task["ContainerSpec"]["Mounts"]] == ["bind", "volume", "tmpfs"]
    assert task["Resources"] == {"Limits": {"MemoryBytes": 64 << 20, "NanoCPUs": 500_000_000}}
    assert task["RestartPolicy"]["Condition"] == "any"
    assert [network["Target"] for network in task["Networks"]] == ["backend", "metrics"]
    assert spec["UpdateConfig"] == {
        "Parallelism": 2,
        "FailureAction": "pause",
        "Delay": 7 * 10**9,
        "Monitor": 7 * 10**9,
        "MaxFailureRatio": 0,
        "Order": "start-first",
    }
    assert [port["Protocol"] for port in spec["EndpointSpec"]["Ports"]] == ["tcp", "udp"]
    assert spec["Mode"] == {"Replicated": {"Replicas": 0}}, "nothing is wanted of it"


def test_the_whole_has_the_time_of_all_of_its_parts() -> None:
    assert whole(BARE) == BARE.within
    assert whole(replace(BARE, replicas=5, parallelism=2)) == 3 * (BARE.within + BARE.steady)


@pytest.mark.journey
@pytest.mark.parametrize("command", [("cat", "/tmp/up"), ()], ids=["our own", "the image's own"])
def test_a_task_that_takes_its_time_is_not_ended_for_it(world: SwarmWorld, command: tuple[str, ...]) -> None:
    """Three checks that fail, one a second, would be the end of a container that has no time to start."""
    slow = ("sh", "-c", f"sleep 6; echo up > /tmp/up; {RUNS[2]}")
    check = {"Test": ["CMD", "cat", "/tmp/up"], "Interval": 10**9, "Retries": 2}
    image = publish(world.store, [busybox({"tmp": None})], Env=["PATH=/bin"], Cmd=list(slow), Healthcheck=check)
    world.service = replace(world.service, health_command=command, within=timedelta(minutes=1))
    deploy(world, image, 1)
    with world.engine.api() as api:
        states = [task["Status"]["State"] for task in api.tasks({"service": world.service.name})]
    assert states == ["running"], "the first one, and no other"


@pytest.mark.journey
def test_the_last_words_of_a_task_are_told(world: SwarmWorld) -> None:
    command = ("sh", "-c", "echo token $TOKEN; echo it is too hot >&2; sleep 1; exit 3")
    image = publish(world.store, [busybox()], Env=["PATH=/bin"], Cmd=list(command))
    world.service = replace(world.service, health_command=())
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, 1)
    said: list[str] = []

    def are_told() -> bool:
        proof = world.host.prove(world.service, image, LATER)
        assert proof.health is not Health.HEALTHY
        said[:] = [proof.said]
        return "it is too hot" in proof.said

    wait_for(are_told, "its last words to be told", 60)
    assert "token ***" in said[0]


@pytest.mark.journey
def test_a_swarm_of_two_nodes_pulls_on_both_and_tells_of_both(world: SwarmWorld, second_node: RealEngine) -> None:
    world.service = replace(world.service, replicas=2)
    image = world.publish("1")
    deploy(world, image, 1)
    with world.engine.api() as api:
        nodes = {task["NodeID"] for task in api.tasks({"service": world.service.name, "desired-state": "running"})}
    assert len(nodes) == 2
    with second_node.api() as api:
        assert len(api.containers(filters={"label": f"com.docker.swarm.service.name={world.service.name}"})) == 1
        (task,) = [
            row["Labels"]["com.docker.swarm.task.id"]
            for row in api.containers()
            if row["Labels"].get("com.docker.swarm.service.name") == world.service.name
        ]
    assert Engine("h1", world.engine.address).task_log(task) == "it runs\n", "by way of the manager"


@pytest.mark.exhaustive
@pytest.mark.journey
def test_a_service_that_was_there_before_is_taken_over_if_the_settings_say_so(world: SwarmWorld) -> None:
    first, bad, good = world.publish("1"), world.publish("2", healthy=False), world.publish("3")
    name = world.service.name
    template = {
        "ContainerSpec": {"Image": f"{world.service.repository}@{first}", "Env": ["MINE=1"]},
        "Networks": [{"Target": "host"}],
    }
    with world.engine.api() as api:
        api.create_service(template, name=name, mode={"Replicated": {"Replicas": 1}}, labels={"mine": "1"})
        world.service = replace(world.service, adopts=name)
        assert world.host.running(world.service) == Running(first, 0, "was made by somebody else")
        world.host.fetch(world.service, bad)
        world.host.swap(world.service, bad, 1)
        world.host.back(world.service, first, 1)
        spec = api.inspect_service(name)["Spec"]
        assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["MINE=1"], "as it was"
        assert spec["Labels"]["mine"] == "1"
        assert proof_of(world, first).health is Health.HEALTHY
        world.host.settle(world.service, first)
        with pytest.raises(Fenced):
            world.host.swap(world.service, bad, 1)
    deploy(world, good, 2)
    assert world.answers() == "3"
    assert world.host.running(world.service) == Running(good, 2)


def test_a_changed_specification_has_another_hash() -> None:
    for other in ({"env": {"A": "1"}}, {"replicas": 2}, {"ports": ("80:80",)}, {"networks": ("metrics",)}):
        assert hash_of(replace(BARE, **other), "h1") != hash_of(BARE, "h1")
    assert hash_of(replace(BARE, password="x"), "h1") == hash_of(BARE, "h1")


@pytest.mark.parametrize(
    ("more", "said"),
    [({"engine": {"User": "1000"}}, "no words of the engine"), ({"ports": ("127.0.0.1:80:80",)}, "every address")],
)
def test_what_a_swarm_has_no_word_for_is_told(more: dict[str, object], said: str) -> None:
    with pytest.raises(HostRefused, match=said):
        spec_of(replace(BARE, **more), "{}", None, "h1")  # type: ignore[arg-type]
