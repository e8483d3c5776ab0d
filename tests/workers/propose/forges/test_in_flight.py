"""What keeps a bump from being proposed, and what does not: by the real look and steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.forges.github import GitHubDialect
from tests.rig.forges.hub import Hub
from tests.rig.forges.server import forge_server
from tests.rig.git_server import Origin
from tests.rig.osv import OsvServer
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.forges.life import BRANCH, LOCK, Life
from watcher.event import STALLED_AFTER
from watcher.ledger import Ledger
from watcher.notice import notices

CORE = "toplayer/shop/core"


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    """`side` is pinned at 1.0, and 1.1 is out. People work with git alone."""
    origin = Origin(tmp_path / "shop.git")
    origin.write({"requirements.txt": LOCK, "app.py": "print()\n"}, "First")
    monkeypatch.setenv("FORGE_TOKEN", "t0ken")
    with SimpleIndex() as index, forge_server(Hub(origin), GitHubDialect()) as server:
        index.publish("core", "1.0")
        index.publish("side", "1.0")
        made = Life(server, index, tmp_path / "state", plain=True)
        made.state.mkdir()
        made.publish("1.1")
        yield made


def told(life: Life) -> list[str]:
    ledger = Ledger(f"sqlite:///{life.state}/ledger.db")
    try:
        return [one.text for one in notices(ledger.events()) if one.urgent]
    finally:
        ledger.close()


def test_a_remote_that_refuses_costs_no_version_and_is_asked_again(life: Life) -> None:
    hook = life.hub.origin.hook("pre-receive", "echo 'the office is closed'; exit 1")
    for _ in range(STALLED_AFTER):
        life.rounds(minutes=6)
    bump = life.bumps()["1.1"]
    assert (bump.stage, bump.attempts) == ("found", STALLED_AFTER)
    assert "the office is closed" in bump.reason
    assert len(told(life)) == 1

    hook.unlink()
    life.rounds(minutes=6)
    assert life.stages() == {"1.1": "proposed"}


def test_what_another_package_forbids_fails_and_is_tried_again_once_the_lock_is_another(life: Life) -> None:
    life.index.publish("core", "5.0")
    life.index.publish("side", "1.2", requires=["core>=5"])
    life.policy += ', rules = [{ packages = ["core"], watch = "none" }]'
    life.rounds()
    assert life.stages() == {"1.1": "proposed", "1.2": "failed"}
    assert "core>=5" in life.bumps()["1.2"].reason
    life.rounds(minutes=24 * 60)
    assert life.stages() == {"1.1": "proposed", "1.2": "failed"}
    assert len([line for line in told(life) if "failed" in line]) == 1

    life.hub.origin.write({"requirements.txt": LOCK.replace("core==1.0", "core==5.0")}, "A newer core")
    life.rounds(minutes=2)
    assert life.stages() == {"1.1": "superseded", "1.2": "proposed"}


def test_a_directory_that_cannot_be_written_to_is_no_fault_of_a_release(life: Life) -> None:
    (life.state / "scratch").write_text("in the way")
    life.rounds()
    bump = life.bumps()["1.1"]
    assert bump.stage == "found"
    assert "make room on the disk" in bump.reason

    (life.state / "scratch").unlink()
    life.rounds(minutes=6)
    assert life.stages() == {"1.1": "proposed"}


@pytest.mark.parametrize("touched", [False, True])
def test_a_security_fix_does_not_wait_until_something_else_is_merged(life: Life, touched: bool) -> None:
    origin = life.hub.origin
    with OsvServer() as osv:
        life.osv = osv.url
        life.rounds()
        assert origin.log(BRANCH) == ["Bump side from 1.0 to 1.1", "First"]
        if touched:
            origin.write({"app.py": "print('for 1.1')\n"}, "What 1.1 needs", BRANCH)
        theirs = origin.tip(BRANCH)

        life.index.publish("core", "1.1", at=life.now)
        osv.publish("GHSA-1", "core", {"introduced": "0"}, {"fixed": "1.1"})
        life.rounds(minutes=75)
        assert life.packages() == {"side": "proposed", "core": "proposed"}
        assert origin.log(CORE) == ["Bump core from 1.0 to 1.1", "First"]

        origin.git("update-ref", "refs/heads/main", origin.tip(CORE))
        life.rounds(minutes=2)
        life.rounds(minutes=2)
        assert life.packages() == {"side": "proposed", "core": "merged"}
        assert origin.tip(CORE) == ""
        assert not touched or origin.tip(BRANCH) == theirs
