"""Bad input: a clear error with its place and a hint, and nothing half-done in git, registry, ledger or host."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.rig.wheel import wheel, wheel_name
from tests.rig.world import World, make_world
from workers.oci.layout import LayoutStore
from workers.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, canonical, digest_of

pytestmark = pytest.mark.journey


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as running:
        running.publish("alpha", "1.0", files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        yield running


@pytest.fixture
def world(tmp_path: Path, index: SimpleIndex) -> World:
    made = make_world(tmp_path / "world", {"requirements.txt": "alpha==1.0\n"}, index.url)
    made.configure({"h1": f"dir:{made.root}/h1"})
    made.toplayer("run", "--once")
    return made


def state(world: World) -> tuple[Any, ...]:
    """What must not change: the branches, the images, and what the host runs."""
    branches = world.origin.git("for-each-ref", "--format=%(refname) %(objectname)")
    images = json.loads((world.root / "images" / "index.json").read_text())["manifests"]
    return branches, sorted(row["digest"] for row in images), (world.root / "h1" / "current").readlink()


def test_a_broken_lockfile_is_named_with_its_line_and_holds_everything(world: World) -> None:
    world.origin.write({"requirements.txt": "alpha==1.0\nbeta; rm -rf /\n"}, "Break it")
    before = state(world)
    ran = world.toplayer("run", "--once", "--patience", "2s", expect=1)
    assert "requirements.txt: line 2" in ran.stdout
    assert state(world) == before
    assert "requirements.txt: line 2" in world.toplayer("status").stdout


def test_an_index_that_lies_is_unknown_and_never_nothing_new(world: World, index: SimpleIndex) -> None:
    from tests.rig.simple_index import Fault

    before = state(world)
    index.spoil("alpha", Fault(body=b'{"meta": {"api-version": "1.1"}, "files": 7}'), forever=True)
    ran = world.toplayer("run", "--once", "--patience", "2s", expect=1)
    assert "nothing to do" not in ran.stdout
    assert "alpha" in ran.stdout
    status = world.json("status")
    assert status["indexes"][0]["unknown"] == 1
    assert world.json("check", "--cached", expect=1)[0]["verdict"] == "unknown"
    assert state(world) == before


def test_a_wheel_that_reaches_out_of_its_place_never_becomes_an_image(world: World, index: SimpleIndex) -> None:
    evil = wheel("alpha", "1.1", files={"alpha/__init__.py": "", "../../evil.py": "print('gotcha')\n"})
    index.add("alpha", wheel_name("alpha", "1.1"), evil)
    _, images, current = state(world)
    ran = world.toplayer("run", "--once", expect=1)
    assert "evil.py" in ran.stdout
    rollout = world.json("status")["rollouts"][0]
    assert (rollout["stage"], rollout["image"]) == ("halted", None)
    assert state(world)[1:] == (images, current)


def test_a_release_without_a_wheel_for_the_target_is_not_proposed_and_why_says_so(
    world: World, index: SimpleIndex
) -> None:
    index.publish("alpha", "1.1", files={"alpha/__init__.py": ""}, tags=["cp311-cp311-win_amd64"])
    before = state(world)
    assert "nothing to do" in world.toplayer("run", "--once").stdout
    assert state(world) == before
    why = world.toplayer("why", "shop", "alpha").stdout
    assert "1.1" in why
    assert "manylinux" in why


def test_a_base_for_another_platform_is_refused_by_name(world: World) -> None:
    store = LayoutStore(world.root / "base")
    raw = canonical({"os": "linux", "architecture": "s390x", "rootfs": {"type": "layers", "diff_ids": []}})
    store.put_blob(digest_of(raw), raw)
    config = Descriptor(media_type=OCI_CONFIG, digest=digest_of(raw), size=len(raw))
    store.put_manifest(Manifest.make(config, (), {}).raw, OCI_MANIFEST, "s390x")
    world.configure({"h1": f"dir:{world.root}/h1"}, image={"base": f"oci:{world.root}/base:s390x"})
    world.origin.write({"new.txt": "a new commit\n"}, "Something to build")
    before = state(world)
    ran = world.toplayer("run", "--once", expect=1)
    assert "expected an image for linux/amd64, got one for linux/s390x" in ran.stdout
    assert state(world) == before


def test_a_lock_that_is_not_whole_is_refused_with_what_is_missing(world: World, index: SimpleIndex) -> None:
    index.publish("gamma", "1.0", requires=["delta>=2"], files={"gamma/__init__.py": ""})
    index.publish("delta", "2.0", files={"delta/__init__.py": ""})
    world.origin.write({"requirements.txt": "alpha==1.0\ngamma==1.0\n"}, "A lock with a hole")
    _, images, current = state(world)
    ran = world.toplayer("run", "--once", expect=1)
    assert "delta>=2" in ran.stdout
    assert state(world)[1:] == (images, current)


def test_hostile_names_in_a_lock_are_refused_and_inert(world: World) -> None:
    for name in ("alpha==1.0;$(touch /tmp/pwned)", "--index-url=http://evil.example", "../../etc==1", "a<b>==1"):
        world.origin.write({"requirements.txt": f"{name}\n"}, "Evil")
        ran = world.toplayer("run", "--once", "--patience", "2s", expect=None)
        assert "\x1b" not in ran.stdout
        world.origin.write({"requirements.txt": "alpha==1.0\n"}, "Good again")
    assert not Path("/tmp/pwned").exists()


def test_the_demo_without_a_network_is_one_clear_line(world: World) -> None:
    world.env = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    ran = world.toplayer("demo", expect=1)
    (said,) = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
    assert "did not answer" in said
    assert "is the network up?" in ran.stderr


def test_doctor_finds_what_is_wrong_and_changes_nothing(world: World, index: SimpleIndex) -> None:
    before = state(world)
    assert all(row["well"] for row in world.json("doctor"))
    index.down = True
    world.configure(
        {"h1": f"dir:{world.root}/h1"},
        app={"repository": f"{world.root}/gone.git"},
        image={"base": f"oci:{world.root}/gone:latest"},
    )
    bad = {row["subject"] for row in world.json("doctor", expect=1) if not row["well"]}
    assert bad == {"index pypi", "shop: repository", "shop: base"}
    assert state(world) == before
