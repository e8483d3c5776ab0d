"""The main job for a project that keeps its Dockerfile: from a release to a running host, by the engine's BuildKit."""

import platform
import re
from pathlib import Path

import pytest

from tests.rig.engine import engine
from tests.rig.image import Link, busybox, layer, publish, publish_index
from tests.rig.process import need
from tests.rig.registry import registry
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import make_world
from watcher.image import Platform
from workers.dockerfile.earlier import earlier
from workers.oci.stores import open_store

pytestmark = pytest.mark.journey

DOCKERFILE = """FROM {base}
COPY shop /shop
COPY requirements.txt /
RUN sleep 0.2 && echo pip install -r /requirements.txt > /installed
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
        how = {"engine": docker.address, "network": "none", "labels": {"team": "field"}, "follow": "digests"}
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
        assert "nothing is made anew" in world.toplayer("plan", "shop").stdout
        world.origin.write({"shop/new.py": "1\n"})
        assert "shop/new.py enters at line 2: COPY shop /shop" in world.toplayer("plan", "shop").stdout
        foreseen = world.json("plan", "shop")
        assert [step["fate"] for step in foreseen["steps"]] == ["kept", "rebuilt", "rebuilt", "rebuilt"]
        assert foreseen["classic"]["most"] > 0
        # What the builds measured is what lint reckons with.
        (tmp_path / "here").mkdir()
        (tmp_path / "here/Dockerfile").write_text(world.origin.text("Dockerfile"))
        (tmp_path / "here/requirements.txt").write_text("alpha==1.1\n")
        advice = world.json("lint", str(tmp_path / "here/Dockerfile"), "--app", "shop", expect=None)
        assert advice["before"]["build_seconds"] > 0


SEVERAL = """FROM --platform=$BUILDPLATFORM {base} AS build
COPY requirements.txt /
RUN echo pip install -r /requirements.txt && cat /requirements.txt > /installed
FROM {base}
ARG TARGETARCH
COPY shop /shop
COPY start/$TARGETARCH /start
COPY --from=build /installed /installed
CMD ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="hosts are to be of one of the two kinds")
def test_a_dockerfile_for_several_platforms_is_built_for_each_and_a_host_pulls_its_own(tmp_path: Path) -> None:
    need("docker")
    with SimpleIndex() as index, registry(tmp_path / "registry") as real, engine() as docker:
        index.publish("alpha", "1.0")
        bases = open_store(f"{real.address}/base", {})
        both = {
            of: publish(bases, [busybox({"kind": of})], architecture=of.partition("/")[2], Env=["PATH=/bin"])
            for of in ("linux/amd64", "linux/arm64")
        }
        publish_index(bases, both, "1")
        files = {
            "requirements.txt": "alpha==1.0\n",
            "Dockerfile": SEVERAL.replace("{base}", f"{real.address}/base:1"),
            "start/amd64": "amd64\n",
            "start/arm64": "arm64\n",
        }
        world = make_world(tmp_path / "world", files, index.url)
        how = {"engine": docker.address, "network": "none", "follow": "digests"}
        image = {"builder": "dockerfile", "repository": f"{real.address}/team/shop", "dockerfile": how}
        run = {"network": "none", "stop_grace": "3s"}
        image["platforms"] = list(both)
        world.configure({"one": docker.address}, image=image, run=run, health=["sh", "-c", "grep -q amd64 /start"])
        text = re.sub(r"(?m)^(command = \[\"python\".*|interpreter = .*|libc = .*)\n", "", world.config.read_text())
        world.config.write_text(text.replace('"health"', "health"))

        world.toplayer("run", "--once")
        (first,) = world.json("status")["rollouts"]
        assert first["stage"] == "done"
        assert "nothing is made anew" in world.toplayer("plan", "shop").stdout
        index.publish("alpha", "1.1")
        world.toplayer("run", "--once")

        second = world.json("status")["rollouts"][0]
        assert (second["stage"], second["new_layers"], second["warning"]) == ("done", 1, "")
        assert second["foreseen"] == pytest.approx(second["new_size"], abs=50)
        store = open_store(f"{real.address}/team/shop", {})
        for of in both:
            before, after = (earlier(store, one["image"], Platform.parse(of)) for one in (first, second))
            assert before
            assert after
            assert before.manifest.layers[:-1] == after.manifest.layers[:-1]
            assert str(after.config.platform) == of
        with docker.api() as api:
            (container,) = api.containers()
            own = api.inspect_image(container["ImageID"])
        assert own["Architecture"] == "amd64"
        assert own["Config"]["Labels"]["org.opencontainers.image.revision"] == world.origin.tip()

        # What of the fleet's past and present speaks of the index, and every host of what it has of it.
        assert all(row["well"] for row in world.json("drift"))
        plan = world.json("plan", "shop")
        assert [(one["platform"], one["image"]) for one in (plan, *plan["others"])] == [
            (of, second["image"]) for of in both
        ]
        world.origin.write({"start/arm64": "arm64, again\n"})
        said = world.toplayer("plan", "shop").stdout
        assert "linux/arm64: start/arm64 enters at line 7: COPY start/$TARGETARCH /start" in said
        assert "linux/amd64: nothing is made anew" in said
        (tmp_path / "here").mkdir()
        for name in ("Dockerfile", "requirements.txt"):
            (tmp_path / "here" / name).write_text(world.origin.text(name))
        world.json("lint", str(tmp_path / "here/Dockerfile"), "--app", "shop", expect=None)
        # To this host it brings nothing but a name.
        world.toplayer("run", "--once")
        assert world.json("status")["rollouts"][0]["stage"] == "done"
        world.toplayer("rollback", "shop")
        world.toplayer("run", "--once")
        back = world.json("status")["rollouts"][0]
        assert (back["stage"], back["image"]) == ("done", second["image"])


def test_a_base_that_moves_is_a_bump_like_any_other(tmp_path: Path) -> None:
    need("docker")
    with registry(tmp_path / "registry") as real, engine() as docker:
        bases = open_store(f"{real.address}/base", {})
        first = publish(bases, [busybox()], tag="1", Env=["PATH=/bin"])
        named = f"{real.address}/base:1"
        world = make_world(
            tmp_path / "world", {"Dockerfile": DOCKERFILE.replace("{base}", named), "requirements.txt": ""}
        )
        how = {"engine": docker.address, "network": "none"}
        image = {"builder": "dockerfile", "repository": f"{real.address}/team/shop", "dockerfile": how}
        run = {"network": "none", "stop_grace": "3s"}
        health = ["test", "-f", "/installed"]
        world.configure({"one": docker.address}, app={"lock": "Dockerfile"}, image=image, run=run, health=health)
        text = re.sub(
            r"(?m)^(command = \[\"python\".*|interpreter = .*|libc = .*|python = .*)\n", "", world.config.read_text()
        )
        world.config.write_text(text)
        assert next(row for row in world.json("doctor") if row["subject"] == "shop: images")["said"] == named

        # By its tag alone: the first bump writes down what the tag names.
        world.toplayer("run", "--once")
        assert f"FROM {named}@{first}\n" in world.origin.text("Dockerfile")
        second = publish(bases, [busybox({"news": "1"})], tag="1", Env=["PATH=/bin"])
        (row,) = world.json("check")
        assert (row["package"], row["current"], row["candidate"]) == (named, first, second)
        world.toplayer("run", "--once")

        assert f"FROM {named}@{second}\n" in world.origin.text("Dockerfile")
        bump = next(one for one in world.json("status")["bumps"] if one["to"] == second)
        rollout = world.json("status")["rollouts"][0]
        assert (bump["stage"], rollout["stage"]) == ("merged", "done")
        labels = earlier(open_store(f"{real.address}/team/shop", {}), rollout["image"])
        assert labels is not None
        assert labels.labels["org.opencontainers.image.base.digest"] == second
        assert f"is at {second[:19]}; nothing is newer" in world.toplayer("why", "shop", named).stdout


def test_the_base_of_layers_is_followed_in_a_file_of_the_repository(tmp_path: Path) -> None:
    with SimpleIndex() as index, registry(tmp_path / "registry") as real:
        index.publish("alpha", "1.0")
        bases = open_store(f"{real.address}/base", {})
        first = publish(bases, [layer({"news": "1"})], tag="1", architecture="amd64")
        named = f"{real.address}/base:1"
        files = {"requirements.txt": "alpha==1.0\n", "base.Dockerfile": f"FROM {named}@{first}\n"}
        world = make_world(tmp_path / "world", files, index.url)
        world.configure({}, image={"base": "file:base.Dockerfile"})
        world.toplayer("run", "--once")
        second = publish(bases, [layer({"news": "2"})], tag="1", architecture="amd64")
        world.toplayer("run", "--once")

        assert world.origin.text("base.Dockerfile") == f"FROM {named}@{second}\n"
        image = world.json("status")["rollouts"][0]["image"]
        built = earlier(open_store(f"oci:{world.root}/images", {}), image)
        assert built is not None
        assert built.labels["org.opencontainers.image.base.name"] == named
        assert built.labels["org.opencontainers.image.base.digest"] == second
        plan = world.json("plan", "shop")
        assert plan["base"]["parts"] == [f"{named} (1 layer)"]
        assert named not in str(plan["layers"])


def test_a_build_that_cannot_reach_the_world_is_tried_again_and_then_left_to_a_person(tmp_path: Path) -> None:
    need("docker")
    with registry(tmp_path / "registry") as real, engine() as docker:
        programs = {"bin/wget": Link("busybox")}
        publish(open_store(f"{real.address}/base", {}), [busybox(programs)], tag="1", Env=["PATH=/bin"])
        text = f"FROM {real.address}/base:1\nRUN wget http://127.0.0.1:9/list.txt\n"
        world = make_world(tmp_path / "world", {"Dockerfile": text, "requirements.txt": "alpha==1.0\n"})
        how = {"engine": docker.address, "network": "none", "follow": "none"}
        image = {"builder": "dockerfile", "repository": f"{real.address}/team/shop", "dockerfile": how}
        world.configure({"one": docker.address}, image=image)
        text = re.sub(r"(?m)^(command = \[\"python\".*|interpreter = .*|libc = .*)\n", "", world.config.read_text())
        world.config.write_text(text)

        world.toplayer("run", "--once", expect=None)
        (rollout,) = world.json("status")["rollouts"]
        assert rollout["stage"] == "halted"
        assert rollout["reason"].startswith("given up after 3 tries: Dockerfile: [2/2] RUN wget http://127.0.0.1:9")
