"""Any process may be killed at any step: the next run finishes the work, with no second commit, image or deploy."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.killer import Killer
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import World, make_world

pytestmark = pytest.mark.journey
LANES = 2
EVERY = 1 if os.environ.get("TOPLAYER_EVERY_EFFECT") else 30
"""Which effects are tried: every thirtieth, or all of them with TOPLAYER_EVERY_EFFECT=1 (`make kill`)."""


@dataclass
class Lane:
    """One world at the moment before a release comes in, and a copy of it to go back to."""

    world: World
    killer: Killer
    backup: Path

    def reset(self) -> None:
        shutil.rmtree(self.world.root)
        shutil.copytree(self.backup, self.world.root, symlinks=True)

    def run(self, last: int = 0) -> tuple[int, int]:
        words = ["--config", str(self.world.config), "run", "--once"]
        return self.killer.run(words, self.backup.with_suffix(".out"), last)

    @property
    def said(self) -> str:
        return self.backup.with_suffix(".out").read_text()


@pytest.fixture
def lanes(tmp_path: Path) -> Iterator[list[Lane]]:
    with SimpleIndex() as index:
        index.publish("alpha", "1.0", files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        made = []
        for number in range(LANES):
            world = make_world(tmp_path / f"world{number}", {"requirements.txt": "alpha==1.0\n"}, index.url)
            world.configure({"h1": f"dir:{world.root}/h1", "h2": f"dir:{world.root}/h2"})
            world.toplayer("run", "--once")
            backup = tmp_path / f"backup{number}"
            shutil.copytree(world.root, backup, symlinks=True)
            made.append(Lane(world, Killer(world.environment), backup))
        index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
        with made[0].killer, made[1].killer:
            yield made


def test_wherever_it_is_killed_the_next_run_finishes_the_work(lanes: list[Lane]) -> None:
    code, effects = lanes[0].run()
    assert code == 0, lanes[0].said
    finished(lanes[0].world)
    assert effects > 60

    def go(lane: Lane) -> None:
        for last in range(1 + EVERY * lanes.index(lane), effects + 1, EVERY * LANES):
            lane.reset()
            code, _ = lane.run(last)
            assert code in (137, 0)  # how often a host is asked for its health is a matter of time
            code, _ = lane.run()
            assert code == 0, f"killed at effect {last}: {lane.said}"
            finished(lane.world)

    with ThreadPoolExecutor(LANES) as pool:
        list(pool.map(go, lanes))


def finished(world: World) -> None:
    """What has to be true in the end, however it came about."""
    assert world.origin.log() == ["Bump alpha from 1.0 to 1.1", "The shop"]
    tags = {
        row["annotations"]["org.opencontainers.image.ref.name"]: row["digest"]
        for row in json.loads((world.root / "images" / "index.json").read_text())["manifests"]
        if "annotations" in row
    }
    image = tags[f"shop-{world.origin.tip()[:12]}"]
    assert len([tag for tag in tags if tag.startswith("shop-")]) == 2
    for name in ("h1", "h2"):
        state = json.loads((world.root / name / "state.json").read_text())
        assert state["current"]["image"] == image
        assert (world.root / name / "current").readlink() == Path(f"releases/{image[7:19]}")
        assert not list((world.root / name / "new").iterdir())
    status = world.json("status")
    (bump,) = status["bumps"]
    assert (bump["stage"], bump["to"]) == ("merged", "1.1")
    newest, *_ = status["rollouts"]
    assert (newest["id"], newest["stage"], newest["image"]) == ("shop:2", "done", image)
    kinds = [(event["kind"], event["subject"]) for event in world.json("history", "--events", "-n", "500")]
    once = [kind for kind in kinds if kind[0] in ("bump.merged", "rollout.built", "rollout.done", "host.done")]
    assert len(once) == len(set(once))
    assert not [path for path in (world.root / "state" / "tmp").iterdir() if path.is_dir()]
