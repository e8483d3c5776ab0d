"""The service of a real Compose project: toplayer brings its images, and Compose finds nothing to change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.compose import Project
from tests.rig.engine import RealEngine
from tests.rig.registry import Registry
from tests.workers.fleet.worlds import DockerWorld, deploy, docker_world
from watcher.image import Digest
from workers.fleet.host import SOMEBODYS, Fenced, HostRefused, Running


@pytest.fixture
def world(dockerd: RealEngine, real_registry: Registry) -> Iterator[DockerWorld]:
    with docker_world(dockerd, real_registry, target="compose") as made:
        try:
            yield made
        finally:
            with dockerd.api() as api:
                for row in api.containers(
                    all=True, filters={"label": f"com.docker.compose.project={made.service.name}"}
                ):
                    api.remove_container(row["Id"], force=True)


@pytest.fixture
def project(world: DockerWorld, tmp_path: Path) -> Project:
    (tmp_path / "compose.yaml").write_text(
        f"""
services:
  worker:
    image: {world.service.repository}:current
    network_mode: none
    environment: {{ TOKEN: hunter2-hunter2 }}
  other:
    image: {world.service.repository}:other
    network_mode: none
"""
    )
    return Project(world.engine, tmp_path, world.service.name)


def ids(project: Project) -> dict[str, str]:
    return {name: project.run("ps", "-q", "-a", name).strip() for name in ("worker", "other")}


def runs(world: DockerWorld, project: Project) -> str:
    with world.engine.api() as api:
        run = api.exec_create(ids(project)["worker"], ["cat", "version"])
        return str(api.exec_start(run["Id"]).decode())


def published(world: DockerWorld, version: str, tag: str) -> Digest:
    image = world.publish(version)
    raw = world.store.manifest(image)
    assert raw
    world.store.put_manifest(raw, "application/vnd.oci.image.manifest.v1+json", tag)
    return image


def test_a_service_of_a_project_is_taken_over_and_compose_finds_nothing_to_change(
    world: DockerWorld, project: Project
) -> None:
    first = published(world, "1", "current")
    published(world, "1", "other")
    project.run("up", "-d")
    assert runs(world, project) == "1"
    other = ids(project)["other"]
    # What Compose brought is what runs; it was not made from our specification.
    running = world.host.running(world.service)
    assert running == Running(first, 0, SOMEBODYS)

    for generation, version in enumerate(("2", "3"), 1):
        deploy(world, world.publish(version), generation)
        before = ids(project)
        said = project.run("up", "-d")
        assert ids(project) == before, said
        assert "Recreat" not in said
        assert runs(world, project) == version
    assert ids(project)["other"] == other
    assert "worker" in project.run("ps")
    assert {row["Names"][0] for row in rows(world)} == {f"/{project.name}-worker-1", f"/{project.name}-other-1"}


def rows(world: DockerWorld) -> list[dict[str, list[str]]]:
    with world.engine.api() as api:
        label = f"com.docker.compose.project={world.service.project}"
        return list(api.containers(all=True, filters={"label": label}))


def test_a_bad_image_gives_way_to_what_compose_had_made(world: DockerWorld, project: Project) -> None:
    first = published(world, "1", "current")
    project.run("up", "-d", "worker")
    mine = ids(project)["worker"]
    bad = world.publish("2", healthy=False)
    world.host.fetch(world.service, bad)
    world.host.swap(world.service, bad, 1)
    world.host.back(world.service, first, 1)
    with world.engine.api() as api:
        found = api.inspect_container(mine)
        assert found["State"]["Running"], "the very container that was there before"
        assert found["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    assert world.host.running(world.service).image == first
    said = project.run("up", "-d", "worker")
    assert "Recreat" not in said
    assert ids(project)["worker"] == mine, "Compose sees the one that runs, and no other"
    with pytest.raises(Fenced):
        world.host.swap(world.service, bad, 1)
    # The next one takes over all the same.
    deploy(world, world.publish("3"), 2)
    assert runs(world, project) == "3"


def test_what_compose_makes_anew_from_a_changed_file_is_drift_and_is_taken_over_again(
    world: DockerWorld, project: Project
) -> None:
    published(world, "1", "current")
    project.run("up", "-d", "worker")
    second = world.publish("2")
    deploy(world, second, 1)
    assert not world.host.running(world.service).differs
    path = project.home / "compose.yaml"
    path.write_text(path.read_text().replace("environment:", "labels: { a: b }\n    environment:", 1))
    assert "Recreat" in project.run("up", "-d", "worker")
    running = world.host.running(world.service)
    assert (running.image, running.differs) == (second, SOMEBODYS)
    deploy(world, second, 2)
    before = ids(project)
    project.run("up", "-d", "worker")
    assert ids(project) == before


def test_a_project_without_a_container_gets_one_that_compose_knows(world: DockerWorld, project: Project) -> None:
    published(world, "1", "current")
    deploy(world, world.publish("2"), 1)
    assert runs(world, project) == "2"
    # It has no hash to compare: Compose makes it from its file once, and is followed.
    assert "Recreat" in project.run("up", "-d", "worker")
    deploy(world, world.publish("3"), 2)
    assert "Recreat" not in project.run("up", "-d", "worker")
    assert runs(world, project) == "3"


def test_a_service_of_several_containers_is_left_alone(world: DockerWorld, project: Project) -> None:
    published(world, "1", "current")
    project.run("up", "-d", "--scale", "worker=2", "worker")
    with pytest.raises(HostRefused, match="has 2 containers"):
        world.host.running(world.service)


def test_a_container_that_was_never_started_is_enough_to_begin_with(world: DockerWorld, project: Project) -> None:
    published(world, "1", "current")
    project.run("up", "--no-start", "worker")
    deploy(world, world.publish("2"), 1)
    assert runs(world, project) == "2"
