"""Everybody who wants to know is told, a dead receiver delays and loses nothing, and no secret shows anywhere."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.git_server import git_host
from tests.rig.registry import PASSWORD, USERNAME, registry
from tests.rig.simple_index import SimpleIndex
from tests.rig.sink import Sink
from tests.rig.world import World, make_world

pytestmark = pytest.mark.journey
KEY = "whsec_" + base64.b64encode(b"canary-webhook-key-0123456789").decode()
CANARIES = {
    "TEST_GIT": "canary-git-token",
    "TEST_REGISTRY": PASSWORD,
    "TEST_APP": "canary-database-password",
    "TEST_HOOK": KEY,
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with SimpleIndex() as index:
        index.publish("alpha", "1.0", files={"alpha/__init__.py": ""})
        yield make_world(tmp_path / "world", {"requirements.txt": "alpha==1.0\n"}, index.url)


def test_every_event_is_told_and_no_secret_shows_anywhere(world: World, tmp_path: Path) -> None:
    with (
        Sink() as slack,
        Sink() as audit,
        git_host(world.root, {"toplayer": CANARIES["TEST_GIT"]}) as git,
        registry(tmp_path / "registry", auth=True) as images,
    ):
        slack_url = f"{slack.url}/services/canary-slack-path"
        world.env = CANARIES | {"TEST_SLACK": slack_url}
        world.configure(
            {"h1": f"dir:{world.root}/h1"},
            app={
                "repository": f"{git.url}/shop.git",
                "git": {"username": "toplayer", "password": {"env": "TEST_GIT"}},
            },
            image={"repository": f"{images.address}/team/shop"},
            run={"env": {"DATABASE_URL": {"env": "TEST_APP"}}},
            more=f'[registries."{images.address}"]\nusername = "{USERNAME}"\npassword = {{ env = "TEST_REGISTRY" }}\n'
            '[notify.slack]\nurl = { env = "TEST_SLACK" }\n'
            f'[notify.webhooks.audit]\nurl = "{audit.url}/hook"\nsecret = {{ env = "TEST_HOOK" }}\n',
        )
        audit.status = 503
        said = [world.toplayer("run", "--once")]
        assert world.json("status")["rollouts"][0]["stage"] == "done", "a dead receiver delays nothing"
        assert audit.refused
        audit.status = 200
        while len(audit.taken) < len(world.json("history", "--events", "-n", "500")):
            said.append(world.toplayer("run", "--once"))
        said += [world.toplayer("status"), world.toplayer("doctor", expect=None)]
        said += [world.toplayer("history", "--events", "-n", "500")]
        events = world.json("history", "--events", "-n", "500")
        commands = "\n".join(git.commands)

    told = [json.loads(posted.body) for posted in audit.taken]
    assert [event["type"] for event in told] == [event["kind"] for event in events], "nothing is lost, in order"
    assert len({posted.headers["webhook-id"] for posted in audit.taken}) == len(told)
    for posted in audit.taken:
        signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
        digest = hmac.new(b"canary-webhook-key-0123456789", signed, hashlib.sha256).digest()
        assert posted.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    lines = [line for posted in slack.taken for line in json.loads(posted.body)["text"].splitlines()]
    assert any("shop:1 done" in line for line in lines)
    assert len(slack.taken) < len(events), "a burst is one message"

    secrets = [*CANARIES.values(), "canary-slack-path"]
    for text in (*(ran.stdout + ran.stderr for ran in said), commands):
        for secret in secrets:
            assert secret not in text
    for path in world.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            raw = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in raw], path
