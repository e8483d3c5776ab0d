"""Weighing: what is known turns into decisions, and decisions into bumps, once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.index import FakeIndex
from watcher import config, explain
from watcher.advisory import Advisory, Span
from watcher.bump import Bump, BumpStage
from watcher.decision import Verdict
from watcher.errors import Unfit
from watcher.head import Head
from watcher.http import Http
from watcher.known import Known
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, IndexState, Outcome
from watcher.notice import notices
from watcher.pin import Pin
from watcher.poll import poll_index
from watcher.settings import Settings
from watcher.standing import Standing
from watcher.turn import Turn
from watcher.weigh import weigh

HOUR = timedelta(hours=1)
INDEX = '[indexes.pypi]\nkind = "pypi"\nurl = "https://index.example/simple"\nadvisories = true\n'


def settings(state: Path, policy: str = "", indexes: str = "") -> Settings:
    return config.parse(
        f"""
        [toplayer]
        state = "{state}"
        {indexes or INDEX}
        [advisories.osv]
        kind = "osv"
        url = "https://osv.example"
        [apps.shop]
        repository = "{state}/repo"
        lock = "uv.lock"
        fleet = "ff"
        [apps.shop.policy]
        {policy}
        [apps.shop.image]
        repository = "oci:{state}/images"
        python = "3.11"
        [[fleets.ff.hosts]]
        name = "h1"
        address = "dir:{state}/h1"
        """,
        "test",
    )


@dataclass
class World:
    """A shop, an index in memory, and a source of advisories that has been heard."""

    state: Path
    ledger: Ledger
    now: datetime
    settings: Settings
    index: FakeIndex

    def pins(self, constraint: str = "", **versions: str) -> None:
        """The lock pins these packages; those with a low line before them because another needs them."""
        made = [
            Pin(
                ecosystem="pypi",
                package=name.strip("_"),
                version=v,
                lock="uv.lock",
                direct=not name.startswith("_"),
                constraint=constraint,
            )
            for name, v in versions.items()
        ]
        before = self.ledger.find(Head, app="shop")
        head = Head(
            app="shop", commit=f"c{constraint}{sorted(versions.items())}", surveyed_at=self.now, pins=tuple(made)
        )
        self.ledger.write([(before, replace(head, revision=before.revision if before else 0))], self.now)
        for name in versions:
            heard = Bulletin(source="osv", ecosystem="pypi", package=name.strip("_"), outcome=Outcome.ANSWER)
            self.ledger.add(replace(heard, looked_at=self.now, answered_at=self.now), self.now)

    def warn(self, package: str, *advisories: Advisory) -> None:
        before = self.ledger.find(Bulletin, source="osv", ecosystem="pypi", package=package)
        assert before is not None
        self.ledger.replace(before, replace(before, advisories=advisories, changed_at=self.now), self.now)
        self._state("osv")

    def _state(self, name: str) -> None:
        before = self.ledger.find(IndexState, index=name)
        after = replace(before or IndexState(index=name), polled_at=self.now, changed_at=self.now)
        self.ledger.write([(before, after)], self.now)

    def poll(self, name: str = "pypi") -> IndexState:
        before = self.ledger.find(IndexState, index=name) or self.ledger.add(IndexState(index=name), self.now)
        assert before is not None
        everybody = Turn(self.now, self.now + timedelta(seconds=1), at_once=True)
        after = poll_index(before, self.settings, self.ledger, self.index, Http(), everybody)
        return self.ledger.replace(before, after, self.now)

    def weigh(self) -> bool:
        head = self.ledger.find(Head, app="shop")
        assert head is not None
        return weigh(head, self.settings, self.ledger, self.now)

    def also(self, *pins: Pin, beside: tuple[Pin, ...] = ()) -> None:
        """The lock pins these, too; and `beside` stands in locks that are in no image."""
        before = self.ledger.find(Head, app="shop")
        assert before is not None
        after = replace(before, commit=f"{before.commit}+", pins=(*before.pins, *pins), beside=beside)
        self.ledger.replace(before, after, self.now)
        for pin in (*pins, *beside):
            heard = Bulletin(source="osv", ecosystem="pypi", package=pin.package, outcome=Outcome.ANSWER)
            self.ledger.add(replace(heard, looked_at=self.now, answered_at=self.now), self.now)

    def fail(self, id: str, reason: str = "blocked by gamma") -> None:
        """The bump was tried on what is there now, and cannot be made."""
        (bump,), head = self.ledger.all(Bump, id=id), self.ledger.find(Head, app="shop")
        assert head is not None
        basis = Known.read(self.settings, self.ledger).ground(bump, head.pins)
        failed = replace(bump.refused(self.now, Unfit(reason)), basis=basis)
        self.ledger.replace(bump, failed, self.now)

    def decision(self, package: str) -> tuple[Verdict, str]:
        decision = self.standing(package).decision
        return decision.verdict, decision.candidate

    def standing(self, package: str) -> Standing:
        """The first one about the package, in the order of its versions."""
        return next(one for one in self.ledger.standing("shop") if one.decision.package == package)

    def said(self, package: str) -> str:
        return self.standing(package).decision.said

    def bumps(self) -> dict[str, BumpStage]:
        return {bump.id: bump.stage for bump in self.ledger.all(Bump, app="shop", order="id")}


@pytest.fixture
def world(tmp_path: Path, now: datetime) -> Iterator[World]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    index = FakeIndex()
    for name in ("alpha", "beta"):
        index.publish(name, "1.0")
    yield World(tmp_path, ledger, now, settings(tmp_path), index)
    ledger.close()


def test_an_answer_becomes_a_decision_and_the_decision_a_bump(world: World) -> None:
    world.pins(alpha="1.0", _beta="1.0")
    world.index.publish("alpha", "1.1")
    world.index.publish("beta", "1.1")
    world.poll()

    assert world.weigh()

    assert world.decision("alpha") == (Verdict.TAKEN, "1.1")
    assert world.decision("beta") == (Verdict.REFUSED, "")
    assert world.bumps() == {"shop:alpha:1.1": BumpStage.FOUND}


def test_what_has_not_changed_is_not_weighed_again(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1", at=world.now - HOUR)
    world.poll()
    while world.weigh():
        pass
    written = len(world.ledger.decisions("shop"))

    world.now += HOUR
    world.poll()

    assert not world.weigh()
    assert len(world.ledger.decisions("shop")) == written == 1
    world.now += timedelta(days=3)
    assert world.weigh(), "what was held is free now"
    assert world.decision("alpha") == (Verdict.TAKEN, "1.1")


def test_a_policy_that_is_edited_counts_at_the_next_look(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "2.0")
    world.poll()
    world.weigh()

    world.settings = settings(world.state, 'allow = "minor"')
    world.weigh()

    assert world.decision("alpha") == (Verdict.REFUSED, "")
    assert world.bumps() == {"shop:alpha:2.0": BumpStage.SUPERSEDED}


def test_a_requirement_that_may_be_raised_from_now_on_lets_the_release_in_at_the_next_look(world: World) -> None:
    world.pins("<2", alpha="1.0")
    world.index.publish("alpha", "2.0")
    world.poll()
    world.weigh()
    assert world.decision("alpha") == (Verdict.REFUSED, "")

    world.settings = settings(world.state, 'requirement = "widen"')
    world.weigh()

    assert world.decision("alpha") == (Verdict.TAKEN, "2.0")


def test_hours_and_groups_say_nothing_about_a_release_so_no_decision_is_made_again_for_them(world: World) -> None:
    world.pins(alpha="1.0")
    world.poll()
    world.weigh()
    before = world.standing("alpha").basis

    world.settings = settings(
        world.state, 'windows = ["22:00-06:00"]\nfreeze = ["2026-11-01..2026-11-03"]\ngroup = "greek"'
    )
    world.weigh()

    assert world.standing("alpha").basis == before


def test_a_new_source_of_advisories_holds_what_was_decided_without_it(world: World) -> None:
    more = '\n[advisories.ours]\nkind = "osv"\nurl = "https://ours.example"\n'
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.poll()
    world.weigh()
    assert world.decision("alpha") == (Verdict.TAKEN, "1.1")

    world.settings = settings(world.state, indexes=INDEX + more)
    world.weigh()

    assert world.decision("alpha")[0] is Verdict.HELD


def test_a_newer_release_takes_the_place_of_a_bump_that_was_only_found(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.poll()
    world.weigh()
    world.now += HOUR
    world.index.publish("alpha", "1.2")
    world.poll()

    world.weigh()

    assert world.bumps() == {"shop:alpha:1.1": BumpStage.SUPERSEDED, "shop:alpha:1.2": BumpStage.FOUND}


def test_a_release_that_is_taken_back_takes_its_proposal_with_it(world: World) -> None:
    world.pins(django="1.0")
    world.index.publish("django", "1.0", at=world.now - 90 * HOUR)
    world.index.publish("django", "1.1", at=world.now - 90 * HOUR)
    world.poll()
    world.weigh()
    (found,) = world.ledger.all(Bump)
    world.ledger.replace(
        found, found.at(BumpStage.PROPOSED, world.now, branch="toplayer/shop/django", commit="c9"), world.now
    )
    head = world.ledger.find(Head, app="shop")
    assert head is not None
    world.ledger.replace(head, replace(head, branches=(("toplayer/shop/django", "c9"),)), world.now)

    world.index.yank("django", "1.1", "it eats data")
    world.now += HOUR
    world.poll()
    world.weigh()

    (bump,) = world.ledger.all(Bump)
    assert (bump.stage, bump.reason) == (BumpStage.SUPERSEDED, "1.1 is yanked: it eats data")


def test_closing_a_proposal_silences_exactly_that_version(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.poll()
    world.weigh()
    (bump,) = world.ledger.all(Bump, app="shop")
    world.ledger.replace(bump, bump.at(BumpStage.CLOSED, world.now, reason="closed by ana"), world.now)
    world.weigh()
    assert world.decision("alpha") == (Verdict.REFUSED, "")

    world.now += HOUR
    world.index.publish("alpha", "1.2")
    world.poll()
    world.weigh()

    assert world.decision("alpha") == (Verdict.TAKEN, "1.2")


def test_what_failed_gives_way_to_the_next_best_and_is_tried_again_after_a_day(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.index.publish("alpha", "1.2")
    world.poll()
    world.weigh()
    world.fail("shop:alpha:1.2")

    world.weigh()

    assert world.bumps() == {"shop:alpha:1.1": BumpStage.FOUND, "shop:alpha:1.2": BumpStage.FAILED}
    (failed, _) = world.standing("alpha").decision.reasons
    assert (failed.verdict, failed.rule, failed.free_at) == (Verdict.HELD, "failed", world.now + 24 * HOUR)
    assert failed.said == ("1.2 could not be proposed, and is tried again by 2026-11-03 09:00 UTC: blocked by gamma")
    while world.weigh():
        pass
    world.now += 24 * HOUR
    assert world.weigh()
    assert world.bumps() == {"shop:alpha:1.1": BumpStage.SUPERSEDED, "shop:alpha:1.2": BumpStage.FOUND}


@pytest.mark.parametrize("change", ["lock", "constraint", "policy", "index"])
def test_what_failed_is_tried_again_as_soon_as_something_that_it_was_tried_on_is_another(
    world: World, change: str
) -> None:
    world.pins(alpha="1.0", beta="1.0")
    world.index.publish("alpha", "1.2")
    world.poll()
    world.weigh()
    world.fail("shop:alpha:1.2")
    while world.weigh():
        pass
    assert world.bumps() == {"shop:alpha:1.2": BumpStage.FAILED}

    world.now += HOUR
    match change:
        case "lock":
            world.pins(alpha="1.0", beta="1.1")
        case "constraint":
            world.pins("<3", alpha="1.0", beta="1.0")
        case "policy":
            world.settings = settings(world.state, 'requirement = "widen"')
        case "index":
            world.index.publish("alpha", "0.9")
            world.poll()
    world.weigh()

    assert world.bumps()["shop:alpha:1.2"] is BumpStage.FOUND


def test_people_hear_of_a_failure_once_for_as_long_as_it_has_the_same_reason(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.2")
    world.poll()
    world.weigh()
    for reason in ("blocked by gamma", "blocked by gamma", "blocked by delta"):
        world.fail("shop:alpha:1.2", reason)
        world.now += 24 * HOUR
        world.weigh()

    told = [event.facts.get("reason") for event in world.ledger.events() if event.kind == "bump.failed"]
    assert told == ["blocked by gamma", "blocked by delta"]


def test_where_a_group_fails_each_of_its_packages_is_tried_by_itself(world: World) -> None:
    world.settings = settings(world.state, 'rules = [{ packages = ["alpha", "beta"], group = "greek" }]')
    world.pins(alpha="1.0", beta="1.0")
    world.index.publish("alpha", "1.1")
    world.index.publish("beta", "2.0")
    world.poll()
    world.weigh()
    ((together, _),) = world.bumps().items()
    world.fail(together)

    world.weigh()

    alone = {"shop:alpha:1.1": BumpStage.FOUND, "shop:beta:2.0": BumpStage.FOUND}
    assert world.bumps() == alone | {together: BumpStage.FAILED}
    assert {bump.subject for bump in world.ledger.all(Bump, stage=BumpStage.FOUND)} == {"alpha", "beta"}
    assert world.decision("beta") == (Verdict.TAKEN, "2.0")
    while world.weigh():
        pass
    world.now += 24 * HOUR
    assert world.weigh()
    assert world.bumps()[together] is BumpStage.FOUND


def test_packages_of_a_group_move_in_one_bump(world: World) -> None:
    world.settings = settings(world.state, 'rules = [{ packages = ["alpha", "beta"], group = "greek" }]')
    world.pins(alpha="1.0", beta="1.0")
    world.index.publish("alpha", "1.1")
    world.index.publish("beta", "2.0")
    world.poll()

    world.weigh()

    (bump,) = world.ledger.all(Bump, app="shop")
    assert [str(part) for part in bump.parts] == ["alpha 1.0 → 1.1", "beta 1.0 → 2.0"]
    assert (bump.group, bump.package) == ("greek", "alpha")


def test_an_advisory_moves_what_nobody_asks_for_and_is_told_once(world: World) -> None:
    world.pins(alpha="1.0", _beta="1.0")
    for version in ("1.1", "1.2"):
        world.index.publish("beta", version, at=world.now)
    world.poll()
    world.weigh()
    assert world.bumps() == {}

    world.warn("beta", Advisory(id="GHSA-1", spans=(Span(fixed="1.1"),)))
    while world.weigh():
        world.now += timedelta(seconds=1)

    assert world.decision("beta") == (Verdict.TAKEN, "1.1")
    (bump,) = world.ledger.all(Bump, app="shop")
    assert (bump.to_version, bump.advisories) == ("1.1", ("GHSA-1",))
    assert [event.kind for event in world.ledger.events()].count("pin.hit") == 1


def test_a_pin_at_the_newest_release_that_is_yanked_or_abandoned_is_told_once(world: World) -> None:
    world.pins(alpha="1.0", beta="1.0")
    world.poll()
    world.weigh()
    assert world.said("alpha") == "nothing is newer than 1.0"

    world.now += HOUR
    world.index.yank("alpha", "1.0", "it eats data")
    world.index.call("beta", "abandoned", "use gamma")
    world.poll()
    world.weigh()
    world.settings = settings(world.state, 'allow = "minor"')
    world.weigh()

    assert world.said("alpha") == "nothing is newer than 1.0, which is yanked: it eats data"
    assert world.said("beta") == "nothing is newer than 1.0; its index calls it abandoned: use gamma"
    told = [event for event in world.ledger.events() if event.kind.startswith("pin.")]
    assert [(one.kind, one.subject) for one in told] == [("pin.flawed", "shop:alpha"), ("pin.abandoned", "shop:beta")]
    assert [(one.text, one.urgent) for one in notices(told)] == [
        ("shop: alpha flawed: nothing is newer than 1.0, which is yanked: it eats data", True),
        ("shop: beta abandoned: nothing is newer than 1.0; its index calls it abandoned: use gamma", False),
    ]


def test_what_was_found_as_any_other_release_is_a_fix_once_an_advisory_says_so(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.poll()
    world.weigh()

    world.warn("alpha", Advisory(id="GHSA-1", spans=(Span(fixed="1.1"),)))
    world.weigh()

    (bump,) = world.ledger.all(Bump, app="shop")
    assert (bump.to_version, bump.advisories, bump.why) == ("1.1", ("GHSA-1",), world.said("alpha"))


DEV = Pin(ecosystem="pypi", package="gamma", version="1.0", lock="uv.lock", groups=("dev",))


@pytest.mark.parametrize("where", ["group", "platform", "in step"])
def test_what_is_in_no_image_is_watched_for_advisories_and_for_nothing_else(world: World, where: str) -> None:
    world.pins(alpha="1.0")
    for version in ("1.0", "1.1", "1.2"):
        world.index.publish("gamma", version, at=world.now)
    match where:
        case "group":
            world.also(DEV)
        case "platform":
            world.also(replace(DEV, groups=(), marker='sys_platform == "win32"'))
        case "in step":
            world.also(beside=(replace(DEV, groups=(), lock="requirements-dev.txt"),))
    world.poll()
    world.weigh()
    assert world.decision("gamma") == (Verdict.REFUSED, "")
    assert "is in no image (only" in world.said("gamma")

    world.warn("gamma", Advisory(id="GHSA-1", spans=(Span(fixed="1.1"),)))
    world.weigh()

    assert world.decision("gamma") == (Verdict.TAKEN, "1.1")
    assert world.bumps() == {"shop:gamma:1.1": BumpStage.FOUND}
    assert [event.subject for event in world.ledger.events() if event.kind == "pin.hit"] == ["shop:gamma"]


def test_each_version_of_a_package_that_a_lock_has_is_decided_about_by_itself(world: World) -> None:
    world.pins(alpha="2.0")
    old = Pin(ecosystem="pypi", package="alpha", version="1.0", lock="uv.lock", marker="python_version < '3.9'")
    for version in ("1.1", "2.0", "2.1"):
        world.index.publish("alpha", version)
    world.also(old)
    world.poll()
    world.weigh()
    assert world.bumps() == {"shop:alpha:2.1": BumpStage.FOUND}
    (bump,) = world.ledger.all(Bump)
    assert str(bump.parts[0]) == "alpha 2.0 → 2.1"

    world.warn("alpha", Advisory(id="GHSA-1", spans=(Span(fixed="1.1"),)))
    world.weigh()

    decisions = {one.decision.current: one.decision for one in world.ledger.standing("shop")}
    assert (decisions["1.0"].advisories, decisions["1.0"].candidate) == (("GHSA-1",), "1.1")
    assert (decisions["2.0"].advisories, decisions["2.0"].candidate) == ((), "2.1")
    assert world.bumps() == {"shop:alpha:1.1": BumpStage.FOUND, "shop:alpha:2.1": BumpStage.SUPERSEDED}, "one by one"
    bumps = {bump.to_version: bump for bump in world.ledger.all(Bump)}
    assert (bumps["1.1"].from_version, bumps["1.1"].advisories) == ("1.0", ("GHSA-1",))

    found = explain.find(world.settings, world.ledger, "shop", "Alpha", None)
    assert [one.current for one in found] == ["2.0", "1.0"], "that of the image first"

    waiting = bumps["1.1"].at(BumpStage.PROPOSED, world.now, branch="toplayer/shop/alpha", commit="c9")
    world.ledger.replace(bumps["1.1"], waiting, world.now)
    world.weigh()
    assert world.bumps()["shop:alpha:2.1"] is BumpStage.SUPERSEDED, "it has the branch of the package"


def test_an_outage_takes_nothing_back_and_is_no_decision(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1")
    world.poll()
    world.weigh()
    world.index.down = True
    world.now += HOUR

    state = world.poll()
    world.weigh()

    assert (state.unknown, state.unknown_since) == (1, world.now)
    assert world.decision("alpha") == (Verdict.UNKNOWN, "1.1")
    assert world.bumps() == {"shop:alpha:1.1": BumpStage.FOUND}


def test_an_index_that_stays_silent_is_a_notice_once_and_so_is_the_end_of_it(world: World) -> None:
    world.pins(alpha="1.0")
    world.poll()
    world.index.down = True
    for _ in range(5):
        world.now += timedelta(minutes=15)
        world.poll()
    world.index.down = False
    world.poll()

    kinds = [event.kind for event in world.ledger.events() if event.kind.startswith("index.")]
    assert kinds == ["index.unreachable", "index.answers"]


def test_a_file_of_unknown_age_is_dated_by_our_first_sight_of_it(world: World) -> None:
    world.pins(alpha="1.0")
    world.index.publish("alpha", "1.1", at=None)
    world.poll()
    world.weigh()
    assert world.decision("alpha")[0] is Verdict.HELD

    world.now += timedelta(days=3)
    world.poll()
    world.weigh()

    assert world.decision("alpha") == (Verdict.TAKEN, "1.1")


def test_a_package_that_left_the_lock_is_decided_about_no_more(world: World) -> None:
    world.pins(alpha="1.0", beta="1.0")
    world.poll()
    world.weigh()
    world.pins(alpha="1.0")

    world.weigh()

    assert [one.decision.package for one in world.ledger.standing("shop")] == ["alpha"]
    assert len(world.ledger.decisions("shop", "beta")) == 1, "and what was decided is remembered"


TWO: dict[str, Any] = {
    "indexes": """
        [indexes.internal]
        kind = "pypi"
        url = "https://internal.example/simple"
        only = ["beta"]
        [indexes.first]
        kind = "pypi"
        url = "https://first.example/simple"
        [indexes.second]
        kind = "pypi"
        url = "https://second.example/simple"
        """
}


def test_the_first_index_that_has_a_package_is_the_one_that_counts(world: World) -> None:
    world.settings = settings(world.state, **TWO)
    world.pins(alpha="1.0", beta="1.0")
    world.index = FakeIndex()
    world.poll("second")
    world.poll("first")
    assert world.ledger.rows(IndexState, "packages", index="second") == [(0,)], "the first one was not asked yet"

    world.index.publish("alpha", "1.1")
    world.poll("second")
    world.poll("internal")
    world.weigh()

    assert world.decision("alpha") == (Verdict.TAKEN, "1.1")
    assert world.decision("beta")[0] is Verdict.REFUSED, "it comes from the internal index and from no other"
    assert (world.standing("alpha").decision.index, world.standing("beta").decision.index) == ("second", "internal")
