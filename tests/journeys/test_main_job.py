"""The main job, the whole way, on real parts: from an upstream release to running hosts."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.proxy import half_the_time, proxy
from tests.rig.registry import Registry, registry
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import World, make_world

pytestmark = pytest.mark.journey
HOSTS = 3


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as running:
        running.publish("alpha", "1.0", requires=["beta>=1"], files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        running.publish("beta", "1.0")
        yield running


@pytest.fixture
def world(tmp_path: Path, index: SimpleIndex) -> World:
    made = make_world(tmp_path / "world", {"requirements.txt": "# ours\nalpha==1.0\nbeta==1.0  # keep\n"}, index.url)
    made.configure(directories(made))
    return made


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[RealEngine, RealEngine]]:
    with engine() as one, engine() as two:
        yield one, two


@pytest.fixture
def real_registry(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path / "registry") as running:
        yield running


def directories(world: World) -> dict[str, str]:
    return {f"h{n}": f"dir:{world.root}/h{n}" for n in range(1, HOSTS + 1)}


def inside(host: RealEngine, *words: str) -> str:
    """What a command says in the container of the shop."""
    with host.api() as api:
        started = api.exec_create("shop", list(words))
        said: bytes = api.exec_start(started["Id"])
        assert api.exec_inspect(started["Id"])["ExitCode"] == 0, said
        return said.decode().strip()


def test_a_release_reaches_directory_hosts_and_a_second_run_has_nothing_to_do(world: World, index: SimpleIndex) -> None:
    world.toplayer("run", "--once")
    first = world.json("status")["rollouts"][0]
    assert first["stage"] == "done"
    index.publish("alpha", "1.1", requires=["beta>=1"], files={"alpha/__init__.py": "VERSION = '1.1'\n"})

    world.toplayer("run", "--once")

    status = world.json("status")
    (bump,) = status["bumps"]
    rollout = status["rollouts"][0]
    assert (bump["package"], bump["from"], bump["to"], bump["stage"]) == ("alpha", "1.0", "1.1", "merged")
    assert world.origin.text("requirements.txt") == "# ours\nalpha==1.1\nbeta==1.0  # keep\n"
    assert rollout["commit"] == bump["commit"] == world.origin.tip()
    assert (rollout["stage"], rollout["new_layers"]) == ("done", 1)
    assert [host["stage"] for host in rollout["hosts"]] == ["done"] * HOSTS
    assert {host["digest"] for host in rollout["hosts"]} == {rollout["image"]}
    for n in range(1, HOSTS + 1):
        release = world.root / f"h{n}" / "current"
        said = subprocess.run(
            [release / "opt/venv/bin/python", "-c", "import alpha; print(alpha.VERSION)"],
            capture_output=True,
            text=True,
        )
        assert said.stdout.strip() == "1.1"
        # Only what changed has travelled: one layer, the configuration and the manifest.
        assert rollout["hosts"][n - 1]["bytes"] < first["hosts"][n - 1]["bytes"]

    again = world.toplayer("run", "--once")
    assert "nothing to do" in again.stdout
    assert world.origin.log() == ["Bump alpha from 1.0 to 1.1", "The shop"]


def test_a_real_release_of_a_real_index_reaches_two_docker_engines(
    tmp_path: Path, engines: tuple[RealEngine, RealEngine], real_registry: Registry
) -> None:
    pyproject = (
        '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["certifi", "idna"]\n'
    )
    world = make_world(tmp_path / "world", {"pyproject.toml": pyproject, "shop/health.py": "import certifi, idna\n"})
    before = locked(tmp_path / "lock", pyproject)
    world.origin.write({"uv.lock": before}, "Lock")
    hosts = {"one": engines[0].address, "two": engines[1].address}
    repository = f"{real_registry.address}/team/shop"
    world.configure(hosts, app={"lock": "uv.lock", "policy": {"cooldown": "0s"}}, **world.on_engines(repository))
    world.toplayer("run", "--once", "--patience", "120s")

    status = world.json("status")
    (bump,) = [bump for bump in status["bumps"] if bump["stage"] == "merged"]
    rollout = status["rollouts"][0]
    assert bump["package"] == "certifi"
    assert rollout["stage"] == "done"
    after = world.origin.text("uv.lock")
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert 1 <= len(changed) <= 3, changed
    assert all("certifi" in line or bump["to"] in line for line in changed)
    for host in engines:
        version = inside(host, "python", "-c", "import importlib.metadata as m; print(m.version('certifi'))")
        assert version == bump["to"]
        assert inside(host, "python", "-c", "import certifi; print(certifi.__file__)").startswith("/opt/venv/lib")
    assert {host["digest"] for host in rollout["hosts"]} == {rollout["image"]}
    assert "nothing to do" in world.toplayer("run", "--once").stdout


def locked(directory: Path, pyproject: str) -> str:
    """A lock of real packages in which certifi is behind."""
    from uv import find_uv_bin

    directory.mkdir()
    (directory / "pyproject.toml").write_text(pyproject)
    subprocess.run(
        [find_uv_bin(), "lock", "--quiet", "--upgrade-package", "certifi==2026.7.22"], cwd=directory, check=True
    )
    return (directory / "uv.lock").read_text()


def test_a_bad_image_stops_at_the_canary_and_the_old_container_still_runs(
    world: World, index: SimpleIndex, engines: tuple[RealEngine, RealEngine], real_registry: Registry
) -> None:
    hosts = {"one": engines[0].address, "two": engines[1].address}
    for host in engines:
        host.clear()
    world.configure(hosts, **world.on_engines(f"{real_registry.address}/team/shop"))
    world.toplayer("run", "--once")
    good = world.json("status")["rollouts"][0]["image"]
    index.publish("alpha", "2.0", requires=["beta>=1"], files={"alpha/__init__.py": "raise SystemExit('broken')\n"})

    world.toplayer("run", "--once", expect=1)

    rollout = world.json("status")["rollouts"][0]
    assert rollout["stage"] == "halted"
    assert "one" in rollout["reason"]
    assert "broken" in rollout["reason"]
    one, two = rollout["hosts"]
    assert (one["stage"], one["digest"]) == ("returned", good)
    assert two["stage"] == "pending"
    for host in engines:
        assert inside(host, "python", "-c", "import alpha; print(alpha.VERSION)") == "1.0"
    with engines[0].api() as api:
        # What failed is kept for its log, and does not run.
        states = {row["Names"][0]: row["State"] for row in api.containers(all=True)}
        assert states == {"/shop": "running", "/shop.failed": "exited"}
    # It stays halted: nothing tries the same image again by itself.
    world.toplayer("run", "--once")
    assert world.json("status")["rollouts"][0]["id"] == rollout["id"]


def test_a_remote_that_refuses_the_push_is_told_in_words_and_costs_no_version(world: World, index: SimpleIndex) -> None:
    world.toplayer("run", "--once")
    before = world.origin.tip()
    world.origin.hook("pre-receive", "echo 'main is protected' >&2; exit 1")
    index.publish("alpha", "1.1", requires=["beta>=1"])

    ran = world.toplayer("run", "--once", expect=1)

    assert "main is protected" in ran.stdout
    assert world.origin.tip() == before
    (bump,) = world.json("status")["bumps"]
    assert (bump["stage"], bump["to"]) == ("found", "1.1")
    assert "main is protected" in bump["reason"]
    # A person mends it, and asks by name in order not to wait for the next try.
    (world.origin.directory / "hooks" / "pre-receive").unlink()
    world.toplayer("bump", "shop", "alpha")
    assert "alpha==1.1" in world.origin.text("requirements.txt")


def test_a_registry_that_fails_half_of_the_time_only_costs_time(
    world: World, index: SimpleIndex, real_registry: Registry
) -> None:
    with proxy(f"http://{real_registry.address}", half_the_time) as flaky:
        world.configure(directories(world), image={"repository": f"{flaky.address}/team/shop"})
        world.toplayer("run", "--once", "--patience", "120s")
        index.publish("alpha", "1.1", requires=["beta>=1"], files={"alpha/__init__.py": ""})
        world.toplayer("run", "--once", "--patience", "120s")
    rollout = world.json("status")["rollouts"][0]
    assert (rollout["stage"], rollout["new_layers"]) == ("done", 1)
    uploads = real_registry.uploads()
    assert len(uploads) == len(set(uploads)), "no blob is uploaded twice"


def test_a_branch_waits_for_a_person_and_its_merge_is_noticed(world: World, index: SimpleIndex) -> None:
    world.configure(directories(world), app={"propose": "branch"})
    index.publish("alpha", "1.1", requires=["beta>=1"], files={"alpha/__init__.py": ""})
    world.toplayer("run", "--once")
    (bump,) = world.json("status")["bumps"]
    assert bump["stage"] == "proposed"
    assert "alpha==1.0" in world.origin.text("requirements.txt")
    assert "alpha==1.1" in world.origin.text("requirements.txt", bump["branch"])

    world.origin.git("update-ref", "refs/heads/main", world.origin.tip(bump["branch"]))
    world.toplayer("run", "--once")

    status = world.json("status")
    assert status["bumps"][0]["stage"] == "merged"
    assert status["rollouts"][0]["commit"] == world.origin.tip()
    assert status["rollouts"][0]["stage"] == "done"


def test_a_host_that_is_away_is_pending_and_catches_up(world: World, index: SimpleIndex) -> None:
    hosts = directories(world) | {"away": "unix:///nonexistent/docker.sock"}
    with registry(world.root / "registry") as running:
        world.configure(hosts, image={"repository": f"{running.address}/team/shop"})
        world.toplayer("run", "--once", expect=3)
        status = world.json("status", expect=3)
        stages = {host["name"]: host["stage"] for host in status["rollouts"][0]["hosts"]}
        assert stages == {"h1": "done", "h2": "done", "h3": "done", "away": "pending"}
        # It "returns": the same name, somewhere that answers.
        hosts["away"] = f"dir:{world.root}/returned"
        world.configure(hosts, image={"repository": f"{running.address}/team/shop"})
        world.toplayer("run", "--once", "--patience", "60s")
        assert world.json("status")["rollouts"][0]["stage"] == "done"


def test_a_rollback_brings_the_earlier_image_back(world: World, index: SimpleIndex) -> None:
    world.toplayer("run", "--once")
    good = world.json("status")["rollouts"][0]["image"]
    index.publish("alpha", "1.1", requires=["beta>=1"], files={"alpha/__init__.py": "VERSION = '1.1'\n"})
    world.toplayer("run", "--once")

    world.toplayer("rollback", "shop", "--why", "it smells")

    rolled, before = world.json("history")[:2]
    assert (rolled["stage"], rolled["cause"], rolled["image"]) == ("done", "rollback", good)
    assert before["stage"] == "rolled back"
    assert "it smells" in before["reason"]
    assert all(host["bytes"] == 0 for host in rolled["hosts"]), "hosts still had it"
    assert "nothing to do" in world.toplayer("run", "--once").stdout


def test_building_and_deploying_are_two_orders_if_a_person_wants(world: World) -> None:
    world.toplayer("pause", "shop")
    world.toplayer("run", "--once")
    assert world.json("status")["rollouts"][0]["stage"] == "wanted"
    world.toplayer("resume", "shop")
    built = world.json("build", "shop")
    assert (built["stage"], built["held"], built["hosts"]) == ("built", True, [])
    deployed = world.json("deploy", "shop")
    assert (deployed["id"], deployed["stage"]) == (built["id"], "done")
