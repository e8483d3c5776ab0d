"""SIGKILL anywhere between a release and its merge: never two proposals, never a lost one."""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.rig.death import dies_at
from tests.rig.forges.hub import Hub
from tests.rig.forges.server import forge_server
from tests.rig.git_server import Origin
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.forges.conftest import DIALECTS
from tests.workers.propose.forges.life import BRANCH, LOCK, Life
from watcher.proposal import Checks

_EVERY = bool(os.environ.get("TOPLAYER_EVERY_EFFECT"))
STEP = 1 if _EVERY else 18 * len(DIALECTS)
FIRST = {kind: 1 if _EVERY else 1 + 18 * turn for turn, kind in enumerate(DIALECTS)}
"""Which effects are tried: every eighteenth, on one kind of forge after the other; or all of them on each, with
TOPLAYER_EVERY_EFFECT=1."""
_EFFECTS = {"subprocess.Popen", "http.client.send", "os.rename"}
each_kind = pytest.mark.parametrize("life", DIALECTS, indirect=True)


@pytest.fixture
def life(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    monkeypatch.setenv("FORGE_TOKEN", "t0ken-of-the-forge")
    with SimpleIndex() as index:
        index.publish("core", "1.0")
        index.publish("side", "1.0")
        hub = Hub(Origin(tmp_path / "shop.git"))
        with forge_server(hub, DIALECTS[request.param]()) as server:
            made = Life(server, index, tmp_path / "state", 'automerge = "checks"\nlabels = ["dependencies"]')
            made.publish("1.1")
            yield made


def fresh(life: Life) -> None:
    """The world at the moment when 1.1 is out, and nobody has looked yet."""
    shutil.rmtree(life.state, ignore_errors=True)
    shutil.rmtree(life.hub.origin.directory, ignore_errors=True)
    life.state.mkdir()
    life.hub.origin = Origin(life.hub.origin.directory)
    life.hub.origin.write({"requirements.txt": LOCK, "app.py": "print()\n"}, "First")
    life.hub.pulls.clear()
    life.hub.opened.clear()
    life.hub.checks.clear()
    life.hub.after_change = lambda: None


def goes_on(life: Life) -> None:
    """Another process takes over: in the end there was one proposal, and it is merged and cleared away."""
    life.rounds(minutes=5)
    assert len(life.hub.opened) == 1
    assert life.hub.get(1).labels == ("dependencies",)
    if life.hub.get(1).state == "open":
        assert life.stages() == {"1.1": "proposed"}
        life.hub.checks[life.hub.origin.tip(BRANCH)] = Checks.GREEN
    for _ in range(3):
        life.rounds(minutes=15)
    assert life.stages() == {"1.1": "merged"}
    assert sorted(life.hub.origin.log()) == ["Bump side from 1.0 to 1.1", "First", f"Merge {BRANCH}"]
    assert life.hub.origin.tip(BRANCH) == ""
    assert len(life.hub.opened) == 1
    assert life.hub.get(1).comments == ()


def whole_life(life: Life) -> None:
    """What the process does that is going to be killed: it opens it, and merges it when it is green."""
    life.rounds()
    life.rounds(minutes=2)
    life.rounds(minutes=2)


def green_at_once(hub: Hub) -> None:
    """Its checks are green as soon as it is there."""
    tip = hub.origin.tip(BRANCH)
    if tip:
        hub.checks[tip] = Checks.GREEN


@pytest.mark.journey
@each_kind
def test_wherever_it_dies_there_is_one_proposal_and_it_is_merged(life: Life, request: pytest.FixtureRequest) -> None:
    def counts(event: str, _: tuple[Any, ...]) -> bool:
        return event in _EFFECTS

    count, died = FIRST[request.node.callspec.params["life"]], True
    while died:
        fresh(life)
        life.hub.after_change = lambda: green_at_once(life.hub)
        died = dies_at(count, counts, lambda: whole_life(life))
        goes_on(life)
        count += STEP
    assert count > 54


DEEDS = list(product(DIALECTS, range(1, 4))) if _EVERY else list(zip(DIALECTS, range(1, 4), strict=True))


@pytest.mark.parametrize(("life", "deed"), DEEDS, indirect=["life"])
def test_a_death_between_a_deed_and_its_answer_does_no_harm(life: Life, deed: int) -> None:
    """It is opened, labelled or merged, and whoever asked for it is dead before the answer comes."""
    fresh(life)
    _killed_after(life, deed, lambda: whole_life(life))
    goes_on(life)


@each_kind
def test_what_was_opened_by_one_who_died_is_closed_when_its_release_is_yanked(life: Life) -> None:
    fresh(life)
    _killed_after(life, 1, lambda: whole_life(life))
    life.pause()
    life.index.yank("side", "1.1", "it eats data")
    for _ in range(2):
        life.rounds(minutes=20)
    assert life.stages() == {"1.1": "superseded"}
    (pull,) = life.hub.all()
    assert pull.state == "closed"
    assert "yanked" in pull.comments[0]
    assert life.hub.origin.tip(BRANCH) == ""


def _killed_after(life: Life, deed: int, do: Callable[[], None]) -> None:
    """Does it in a process that the forge kills after its `deed`-th change, before it answers."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read, 1)
        try:
            do()
        finally:
            os._exit(0)
    seen = 0

    def kill() -> None:
        nonlocal seen
        seen += 1
        green_at_once(life.hub)
        if seen == deed:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    life.hub.after_change = kill
    os.write(write, b"x")
    _, status = os.waitpid(pid, 0)
    os.close(read)
    os.close(write)
    life.hub.after_change = lambda: None
    assert os.WIFSIGNALED(status), "it came to its end before it was killed"
