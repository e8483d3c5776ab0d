"""The door to the engine: who is to blame when something fails, and that nothing goes on without us."""

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.process import free_port, need, wait_for
from tests.rig.registry import Registry
from tests.rig.toolbox import load_images
from watcher.dockerfile.settings import DockerfileSettings
from watcher.image import Platform, Reference
from watcher.settings import RegistrySettings
from workers.dockerfile.engine import Engine
from workers.dockerfile.errors import BuildCutOff, BuildRefused, BuildTimedOut, EngineGone
from workers.dockerfile.plan import Plan
from workers.oci.store import StoreUnreachable
from workers.oci.stores import open_store

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def docker() -> Iterator[RealEngine]:
    need("docker")
    with engine() as running, running.api() as api:
        load_images(api, ("busybox:latest",))
        yield running


@pytest.fixture
def door(docker: RealEngine, tmp_path: Path) -> Engine:
    (tmp_path / "login").mkdir()
    return Engine(DockerfileSettings(engine=docker.address), tmp_path / "login")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "context").mkdir()
    return Plan(
        dockerfile=tmp_path / "Dockerfile",
        name="Dockerfile",
        context=tmp_path / "context",
        platform=Platform("linux", "amd64"),
        network="none",
    )


def test_a_registry_that_does_not_answer_is_nobodys_fault_and_not_the_engines(door: Engine, docker: RealEngine) -> None:
    address = f"127.0.0.1:{free_port()}"
    with docker.api() as api:
        api.tag("busybox:latest", f"{address}/shop", "1")
    with pytest.raises(StoreUnreachable, match=address):
        door.push(f"{address}/shop:1")
    door.forget(f"{address}/shop:1")


def test_a_registry_that_lets_nobody_in_is_a_persons_business(door: Engine, docker: RealEngine, real: Registry) -> None:
    name = f"{real.address}/shop:1"
    with docker.api() as api:
        api.tag("busybox:latest", f"{real.address}/shop", "1")
    with pytest.raises(BuildRefused, match=r"no basic auth credentials|unauthorized|denied"):
        door.push(name)
    door.log_in([Reference.parse(name)], {real.address: real.settings})
    assert door.push(name)


def test_a_login_of_the_machine_lets_the_engine_in_as_it_lets_us(
    door: Engine, docker: RealEngine, real: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Engine(DockerfileSettings(engine=docker.address), _directory(tmp_path / "home"))
    name = Reference.parse(f"{real.address}/other:1")
    home.log_in([name], {real.address: real.settings})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "home"))
    with docker.api() as api:
        api.tag("busybox:latest", name.repository, "1")
    door.log_in([name], {real.address: RegistrySettings(plain_http=True)})
    door.push(str(name))
    assert open_store(name.repository, {real.address: real.settings}).manifest("1")


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def test_an_engine_that_nobody_may_speak_to_is_a_persons_business(
    docker: RealEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DockerfileSettings(engine=f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(EngineGone):
        Engine(settings, _directory(tmp_path / "one"))
    script = tmp_path / "bin/docker"
    script.parent.mkdir()
    said = f"permission denied while trying to connect to the Docker daemon socket at {docker.address}"
    script.write_text(f"#!/bin/sh\n[ $1 = buildx ] || {{ echo {said} >&2; exit 1; }}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    with pytest.raises(BuildRefused, match="permission denied"):
        Engine(settings, _directory(tmp_path / "two"))


def test_a_step_that_cannot_reach_the_world_is_told_apart_from_one_that_fails(door: Engine, plan: Plan) -> None:
    plan.dockerfile.write_text("FROM busybox\nRUN wget http://127.0.0.1:9/list.txt\n")
    with pytest.raises(BuildCutOff) as cut_off:
        door.build(plan)
    assert "[2/2] RUN wget" in str(cut_off.value)


def test_a_step_that_says_much_before_it_hangs_is_named_all_the_same(door: Engine, plan: Plan) -> None:
    plan.dockerfile.write_text("FROM busybox\nRUN seq 1 20000; sleep 600\n")
    with pytest.raises(BuildTimedOut) as timed_out:
        door.build(
            Plan(**{field: getattr(plan, field) for field in plan.__slots__} | {"deadline": timedelta(seconds=5)})
        )
    assert timed_out.value.step == "[2/2] RUN seq 1 20000; sleep 600"


def test_a_build_ends_with_the_process_that_asked_for_it(door: Engine, plan: Plan) -> None:
    plan.dockerfile.write_text("FROM busybox\nRUN sleep 4322\n")
    ours = os.fork()
    if ours == 0:
        with contextlib.suppress(BaseException):
            door.build(plan)
        os._exit(0)
    wait_for(lambda: running("sleep\0" + "4322"), "the step to run", 60)
    os.kill(ours, signal.SIGKILL)
    os.waitpid(ours, 0)
    wait_for(lambda: not running("sleep\0" + "4322"), "the step to be ended")


def running(command: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if command.encode() in path.read_bytes():
                return True
    return False
