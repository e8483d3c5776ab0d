"""From a release to a host by way of a pull request, with the real command line and a forge on loopback."""

import json
from pathlib import Path

import pytest

from tests.rig.forges.gitea import GiteaDialect
from tests.rig.forges.hub import Hub
from tests.rig.forges.server import PROJECT, forge_server
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import make_world

pytestmark = pytest.mark.journey


def test_a_release_becomes_a_pull_request_and_its_merge_an_image_on_the_host(tmp_path: Path) -> None:
    with SimpleIndex() as index:
        index.publish("alpha", "1.0", files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        world = make_world(tmp_path, {"requirements.txt": "alpha==1.0\n"}, index.url)
        hub = Hub(world.origin)
        world.env["FORGE_TOKEN"] = hub.token
        with forge_server(hub, GiteaDialect()) as server:
            forge = {"kind": "gitea", "url": server.url, "project": PROJECT, "token": {"env": "FORGE_TOKEN"}}
            hosts = {"h1": f"dir:{tmp_path}/h1"}
            world.configure(hosts, app={"propose": "branch", "survey": "1s", "forge": forge})
            world.toplayer("run", "--once")
            index.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = '1.1'\n"})
            world.toplayer("run", "--once")

            (pull,) = hub.all()
            assert pull.title == "Bump alpha from 1.0 to 1.1"
            assert "### What a host downloads" in pull.body
            assert "with the containerd image store (1 host): about" in pull.body
            assert "classic graph driver" not in pull.body
            (bump,) = world.json("status")["bumps"]
            assert (bump["stage"], bump["url"]) == ("proposed", f"{server.url}/{PROJECT}/pulls/1")
            assert running(tmp_path / "h1") == "1.0"

            hub.merge(1)
            world.toplayer("run", "--once")

            (bump,) = world.json("status")["bumps"]
            assert bump["stage"] == "merged"
            assert running(tmp_path / "h1") == "1.1"
            assert hub.opened == [1]
            said = world.toplayer("doctor").stdout
            assert "the token may write there" in said


def running(host: Path) -> str:
    """The version of alpha that the host's current release has."""
    assert json.loads((host / "state.json").read_text())["current"]
    (module,) = (host / "current").resolve().glob("**/site-packages/alpha/__init__.py")
    return module.read_text().split("'")[1]
