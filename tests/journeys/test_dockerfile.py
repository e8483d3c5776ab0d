"""The main job for a project that keeps its Dockerfile: from a release to a running host, by the engine's BuildKit."""

import re
from pathlib import Path

import pytest

from tests.rig.engine import engine
from tests.rig.image import busybox, publish
from tests.rig.process import need
from tests.rig.registry import registry
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import make_world
from workers.oci.stores import open_store

pytestmark = pytest.mark.journey

DOCKERFILE = """FROM {base}
COPY shop /shop
COPY requirements.txt /
RUN echo pip install -r /requirements.txt > /installed
CMD ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
"""


def test_a_bump_is_built_from_the_dockerfile_and_rolled_out(tmp_path: Path) -> None:
    need("docker")
    with SimpleIndex() as index, registry(tmp_path / "registry") as real, engine() as docker:
        index.publish("alpha", "1.0")
        publish(open_store(f"{real.address}/base", {}), [busybox()], tag="1", Env=["PATH=/bin"])
        files = {
            "requirements.txt": "alpha==1.0\n",
            "Dockerfile": DOCKERFILE.replace("{base}", f"{real.address}/base:1"),
        }
        world = make_world(tmp_path / "world", files, index.url)
        how = {"engine": docker.address, "network": "none", "labels": {"team": "field"}}
        image = {"builder": "dockerfile", "repository": f"{real.address}/team/shop", "dockerfile": how}
        run = {"network": "none", "stop_grace": "3s"}
        world.configure({"one": docker.address}, image=image, run=run, health=["test", "-f", "/installed"])
        text = re.sub(r"(?m)^(command = \[\"python\".*|interpreter = .*|libc = .*)\n", "", world.config.read_text())
        world.config.write_text(text.replace('"health"', "health"))
        assert "by " in next(row["said"] for row in world.json("doctor") if row["subject"] == "shop: builder")

        world.toplayer("run", "--once")
        assert world.json("status")["rollouts"][0]["stage"] == "done"
        index.publish("alpha", "1.1")
        world.toplayer("run", "--once")

        rollout = world.json("status")["rollouts"][0]
        assert (rollout["stage"], rollout["new_layers"], rollout["warning"]) == ("done", 2, "")
        assert rollout["foreseen"] == pytest.approx(rollout["new_size"], abs=50)
        with docker.api() as api:
            (container,) = api.containers()
            labels = api.inspect_image(container["ImageID"])["Config"]["Labels"]
        assert labels["team"] == "field"
        assert labels["org.opencontainers.image.revision"] == world.origin.tip()
        assert "Dockerfile" in world.toplayer("plan", "shop", expect=1).stderr
