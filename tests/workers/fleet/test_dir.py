"""A directory in place of a Docker engine: whole or not at all, whoever is killed, whatever runs full."""

import fcntl
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.death import changes_files, dies_at
from tests.rig.image import Entry, Link, layer, publish
from tests.rig.process import need_root
from tests.workers.fleet.worlds import LATER, DirWorld, deploy, dir_world
from watcher.errors import Refused
from watcher.image import Digest, Platform
from workers.fleet.dir import DirHost
from workers.fleet.host import Health, HostBusy, HostRefused, Running, Service
from workers.fleet.release import inside_env
from workers.oci.manifest import ImageConfig, Manifest


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DirWorld]:
    with dir_world(tmp_path) as made:
        yield made


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_the_bytes_are_those_of_the_layers_the_configuration_and_the_manifest(tmp_path: Path) -> None:
    store = FakeStore()
    host, service = DirHost("h1", tmp_path, store), Service(name="shop", repository=store.where)
    shared = layer({"base": os.urandom(9000)})
    images = [publish(store, [shared, layer({"own": text})]) for text in "12"]
    first, second = (Manifest.parse(store.manifests[image], store.where) for image in images)
    assert host.fetch(service, images[0]) == first.size
    assert host.fetch(service, images[1]) == second.size - second.layers[0].size
    assert host.fetch(service, images[1]) == 0


def test_the_link_current_is_flipped_in_one_step_when_the_image_is_proven(world: DirWorld) -> None:
    first, second = world.publish("1"), world.publish("2")
    deploy(world, first, 1)
    link = world.root / "current"
    assert link.readlink() == Path("releases") / first.short
    world.host.fetch(world.service, second)
    world.host.swap(world.service, second, 2)
    assert link.readlink() == Path("releases") / first.short
    world.host.settle(world.service, second)
    assert link.readlink() == Path("releases") / second.short
    assert {path.name for path in (world.root / "releases").iterdir()} == {first.short, second.short}


def test_an_image_that_fails_its_health_command_is_never_current(world: DirWorld) -> None:
    good, bad = world.publish("1"), world.publish("2", healthy=False)
    deploy(world, good, 1)
    world.host.fetch(world.service, bad)
    world.host.swap(world.service, bad, 2)
    proof = world.host.prove(world.service, bad, LATER)
    assert proof.health is Health.UNHEALTHY
    assert "`sh` ended with 1" in proof.said
    assert "No such file or directory" in proof.said
    assert world.answers() == "1"


def test_a_health_command_that_hangs_is_ended(world: DirWorld) -> None:
    image = world.publish("1")
    world.service = replace(
        world.service,
        health_command=("sh", "-c", "echo waiting >&2; sleep 60"),
        health_timeout=timedelta(seconds=1),
    )
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, 1)
    proof = world.host.prove(world.service, image, LATER)
    assert proof.health is Health.UNHEALTHY
    assert proof.said == "`sh` did not end within 1 s\nwaiting"


def test_the_health_command_sees_the_image_and_the_machine_behind_it(tmp_path: Path) -> None:
    """As in a container: the image's PATH, environment and working directory, and the service's environment."""
    store = FakeStore()
    tree: dict[str, Entry] = {
        "opt/venv/bin/python": Link(sys.executable),
        "opt/venv/pyvenv.cfg": f"home = {Path(sys.executable).parent}\ninclude-system-site-packages = false\n",
        f"opt/venv/lib/python3.{sys.version_info.minor}/site-packages/hello.py": "said = 'hello'",
        "app/code.py": "",
        "opt/lib/late.py": "said = 'late'",
    }
    env = ["PATH=/opt/venv/bin:/nowhere/bin", "PYTHONPATH=/opt/lib", "WHO=image", "KEPT=yes", "OTHER=/not/there"]
    image = publish(store, [layer(tree)], Env=env, WorkingDir="/app")
    script = (
        "import hello, late, os; print(hello.said, late.said, os.environ['WHO'], os.environ['KEPT'],"
        " os.environ['OTHER'], os.listdir())"
    )
    service = Service(
        name="shop", repository=store.where, env={"WHO": "service"}, health_command=("python", "-c", script)
    )
    host = DirHost("h1", tmp_path / "host", store)
    host.fetch(service, image)
    host.swap(service, image, 1)
    for command in (service.health_command, ("/opt/venv/bin/python", "-c", script)):
        proof = host.prove(replace(service, health_command=command), image, LATER)
        assert (proof.health, proof.said) == (Health.HEALTHY, "hello late service yes /not/there ['code.py']")


def test_a_program_that_is_nowhere_is_unhealthy(world: DirWorld) -> None:
    image = world.publish("1")
    world.host.fetch(world.service, image)
    world.host.swap(world.service, image, 1)
    missing = replace(world.service, health_command=("no-such-program",))
    proof = world.host.prove(missing, image, LATER)
    assert proof.health is Health.UNHEALTHY
    assert "`no-such-program` ended with 127" in proof.said


def test_two_processes_do_not_work_in_one_directory(world: DirWorld) -> None:
    image = world.publish("1")
    deploy(world, image, 1)
    with (world.root / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(HostBusy):
            world.host.fetch(world.service, image)
        assert world.host.running(world.service) == Running(image, 1)
    assert world.host.fetch(world.service, image) == 0


def test_a_directory_belongs_to_one_app(world: DirWorld) -> None:
    deploy(world, world.publish("1"), 1)
    with pytest.raises(HostRefused, match="belongs to the app shop"):
        world.host.running(replace(world.service, name="other"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"service": 1}', "\ufffd"])
def test_a_broken_state_is_told_and_not_guessed(world: DirWorld, text: str) -> None:
    deploy(world, world.publish("1"), 1)
    (world.root / "state.json").write_text(text)
    with pytest.raises(HostRefused, match=r"state\.json cannot be read"):
        world.host.running(world.service)
    assert world.answers() == "1"


def test_a_hostile_layer_leaves_nothing(world: DirWorld) -> None:
    good = world.publish("1")
    deploy(world, good, 1)
    before = everything(world.root)
    bad = publish(world.store, [layer({"a": "1"}), layer({"../../escaped": "x"})])
    with pytest.raises(Refused):
        world.host.fetch(world.service, bad)
    with pytest.raises(Refused):
        world.host.swap(world.service, bad, 2)
    deploy(world, world.publish("2"), 3)
    assert not (world.root / "escaped").exists()
    assert not list((world.root / "new").iterdir())
    assert before - everything(world.root) == set()


def test_a_layer_whose_bytes_are_not_its_digest_is_not_kept(tmp_path: Path) -> None:
    store = FakeStore()
    host, service = DirHost("h1", tmp_path, store), Service(name="shop", repository=store.where)
    image = publish(store, [layer({"a": "1"})])
    blob = next(digest for digest, raw in store.blobs.items() if raw.startswith(b"\x1f\x8b"))
    store.blobs[blob] = publish_bytes("2")
    with pytest.raises(Refused):
        host.fetch(service, image)
    assert not list((tmp_path / "layers").iterdir())


def publish_bytes(text: str) -> bytes:
    other = FakeStore()
    publish(other, [layer({"a": text})])
    return next(raw for raw in other.blobs.values() if raw.startswith(b"\x1f\x8b"))


def test_a_full_disk_is_told_and_what_runs_runs_on(tmp_path: Path) -> None:
    need_root()
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
    try:
        store = FakeStore()
        host, service = DirHost("h1", small, store), Service(name="shop", repository=store.where)
        good = publish(store, [layer({"a": "1"})])
        large = publish(store, [layer({"a": "1"}), layer({"b": os.urandom(4_000_000)})])
        host.fetch(service, good)
        host.swap(service, good, 1)
        host.settle(service, good)
        free = os.statvfs(small).f_bavail
        with pytest.raises(HostRefused, match="No space left") as refused:
            host.fetch(service, large)
        assert "free disk space" in refused.value.hint
        assert abs(os.statvfs(small).f_bavail - free) < 16
        assert host.running(service) == Running(good, 1)
        assert (small / "current" / "a").read_text() == "1"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_process_may_be_killed_at_any_change_of_any_move(tmp_path: Path) -> None:
    store = FakeStore()
    service = Service(name="shop", repository=store.where, health_command=("cat", "whole"))
    root = tmp_path / "host"
    host = DirHost("h1", root, store)
    shared = layer({"shared/a": "a", "shared/b": Link("a")})

    def image(generation: int) -> Digest:
        tree: dict[str, Entry] = {"whole": f"{generation}"}
        if generation % 2:
            tree |= {"d/x": "x", ".wh.shared": b""}
        return publish(store, [shared, layer(tree)])

    first = image(0)
    host.fetch(service, first)
    host.swap(service, first, 1)
    host.settle(service, first)
    generation, runs, deaths = 1, first, 0
    for move in ("fetch", "swap", "settle", "back"):
        for count in itertools.count(1):
            generation += 1
            new = image(generation)
            moves: dict[str, Callable[[], object]] = {
                "fetch": partial(host.fetch, service, new),
                "swap": partial(host.swap, service, new, generation),
                "settle": partial(host.settle, service, new),
                "back": partial(host.back, service, runs, generation),
            }
            order = ["fetch", "swap", "back" if move == "back" else "settle"]
            for name in order[: order.index(move)]:
                moves[name]()
            died = dies_at(count, changes_files, moves[move])
            deaths += died
            # The link leads to a whole release at every moment, and the next process carries on.
            assert (root / "current" / "whole").read_text()
            for name in order[order.index(move) :]:
                moves[name]()
            runs = runs if move == "back" else new
            assert host.running(service).image == runs
            assert host.prove(service, runs, LATER).health is Health.HEALTHY
            host.settle(service, runs)
            assert not list((root / "new").iterdir())
            assert len(list((root / "releases").iterdir())) <= 2
            if not died:
                break
    assert deaths > 60


def test_a_release_keeps_its_byte_code_by_itself(tmp_path: Path) -> None:
    env = ["PYTHONPYCACHEPREFIX=/var/cache/python/0123456789ab", "A=b"]
    config = ImageConfig(platform=Platform("", ""), diff_ids=(), table={"config": {"Env": env}})

    found = inside_env(tmp_path, config, Service(name="shop", repository="registry.example/shop"))

    assert {*found} == {"A", "PATH"}
