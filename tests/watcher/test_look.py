"""The look: it orders what is due, once, takes the turns that are due, and does nothing itself."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.index import FakeIndex
from watcher import config, decide
from watcher.bump import Bump, BumpStage
from watcher.desk import Desk
from watcher.errors import IndexUnreachable, Refused, Temporary
from watcher.fleet import FleetSettings
from watcher.head import Head
from watcher.http import Http
from watcher.hurry import hurry
from watcher.image import Digest
from watcher.ledger import EVERYTHING, Ledger, host_scope
from watcher.look import look
from watcher.lookup import IndexState, Lookup
from watcher.order import Lane, Order
from watcher.patience import terms
from watcher.pin import Pin
from watcher.receiver import Receiver
from watcher.rollout import Built, HostStage, HostState, Rollout, RolloutStage
from watcher.settings import Settings

MINUTE = timedelta(minutes=1)
IMAGE = Digest("sha256:" + "1" * 64)
PIN = Pin(ecosystem="pypi", package="django", version="1.0", lock="requirements.txt")


def settings(state: Path, hosts: int = 3) -> Settings:
    rows = "".join(f'[[fleets.ff.hosts]]\nname = "h{n}"\naddress = "dir:{state}/h{n}"\n' for n in range(1, hosts + 1))
    return config.parse(
        f"""
        [toplayer]
        state = "{state}"
        [indexes.pypi]
        kind = "pypi"
        url = "https://index.example/simple"
        [apps.shop]
        repository = "{state}/repo"
        lock = "requirements.txt"
        propose = "commit"
        fleet = "ff"
        [apps.shop.image]
        repository = "oci:{state}/images"
        python = "3.11"
        [notify.webhooks.audit]
        url = "https://hooks.example"
        [fleets.ff]
        {rows}
        """,
        "test",
    )


@dataclass
class FakePost:
    """Keeps what was sent, as long as there is room."""

    sent: list[tuple[Order, str]] = field(default_factory=list)
    room: int = 1_000
    nudged: int = 0

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        if len(self.sent) == self.room:
            raise Temporary("the broker is away")
        self.sent.append((order, id))

    def nudge(self) -> None:
        self.nudged += 1

    def taken(self) -> set[tuple[Order, str]]:
        sent, self.sent = set(self.sent), []
        return sent


@dataclass
class Clock:
    """Time that a test moves."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield Desk(settings(tmp_path), ledger, clock, FakePost())
    ledger.close()


def sent(desk: Desk) -> set[tuple[Order, str]]:
    assert isinstance(desk.post, FakePost)
    return desk.post.taken()


def surveyed(desk: Desk, commit: str = "c1", version: str = "1.0") -> Head:
    now = desk.clock()
    head = Head(app="shop", commit=commit, surveyed_at=now, pins=(replace(PIN, version=version),))
    before = desk.ledger.find(Head, app="shop")
    if before is None:
        return desk.ledger.write([(None, head)], now)[0]
    return desk.ledger.replace(before, replace(head, revision=before.revision), now)


def polled(desk: Desk) -> None:
    now = desk.clock()
    desk.ledger.add(IndexState(index="pypi", polled_at=now), now)
    index = FakeIndex()
    for version in ("1.0", "2.0"):
        index.publish("django", version)
    for lookup in index.look_up([Lookup(index="pypi", package="django")], Http(), now):
        desk.ledger.add(lookup, now)


def bump(now: datetime) -> Bump:
    return Bump(
        id="shop:django:2.0",
        app="shop",
        ecosystem="pypi",
        package="django",
        from_version="1.0",
        to_version="2.0",
        found_at=now,
    )


def rollout(now: datetime, generation: int = 1, stage: RolloutStage = RolloutStage.BUILT) -> Rollout:
    built = Built(image=IMAGE, layers=1, new_layers=1, size=1, new_size=1, pushed=1, seconds=0.1)
    id = Rollout.id_of("shop", generation)
    made = Rollout(id=id, app="shop", generation=generation, commit=f"c{generation}", wanted_at=now)
    return made if stage is RolloutStage.WANTED else replace(made, stage=stage, image=IMAGE, built=built)


def test_the_first_look_asks_for_a_survey_and_nothing_else(desk: Desk) -> None:
    look(desk)
    assert sent(desk) == {(Order.SURVEY, "shop")}


def test_after_the_survey_comes_the_poll_and_after_its_answer_the_image(desk: Desk) -> None:
    surveyed(desk)
    look(desk)
    assert sent(desk) == {(Order.POLL, "pypi")}, "how its layers are laid depends on what the index says"
    made = desk.ledger.find(Rollout, id="shop:1")
    assert made is not None
    assert made.commit == "c1"

    polled(desk)
    look(desk)
    assert (Order.BUILD, "shop:1") in sent(desk)


def test_an_index_that_cannot_be_asked_does_not_hold_up_the_first_image(desk: Desk) -> None:
    surveyed(desk)
    state = desk.ledger.add(IndexState(index="pypi"), desk.clock())
    assert state is not None

    desk.ledger.replace(state, state.again(desk.clock(), IndexUnreachable("index.example", "down")), desk.clock())
    look(desk)

    assert (Order.BUILD, "shop:1") in sent(desk)


def test_no_later_image_waits_for_an_index(desk: Desk, clock: Clock) -> None:
    surveyed(desk, "c2")
    desk.ledger.add(rollout(clock.now, stage=RolloutStage.DONE), clock.now)
    look(desk)
    assert (Order.BUILD, "shop:2") in sent(desk)


def test_an_image_that_is_not_laid_in_layers_by_us_waits_for_no_index(tmp_path: Path, desk: Desk) -> None:
    surveyed(desk)
    image = desk.settings.apps["shop"].image.model_copy(update={"builder": "dockerfile"})
    shop = desk.settings.apps["shop"].model_copy(update={"image": image})
    look(replace(desk, settings=desk.settings.model_copy(update={"apps": {"shop": shop}})))
    assert (Order.BUILD, "shop:1") in sent(desk)


def test_an_order_that_is_on_its_way_is_not_sent_again(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    look(desk)
    sent(desk)
    look(desk)
    assert sent(desk) <= {(Order.TELL, "webhook:audit")}
    clock.now += 2 * MINUTE
    look(desk)
    assert (Order.BUILD, "shop:1") in sent(desk)


def test_what_could_not_be_sent_is_sent_by_the_next_look(desk: Desk) -> None:
    surveyed(desk)
    look(replace(desk, fresh_since=desk.clock() + MINUTE))
    both = sent(desk)
    assert both == {(Order.SURVEY, "shop"), (Order.POLL, "pypi")}
    desk.ledger.answered("survey:shop", "poll:pypi")
    two = FakePost(room=2)
    with pytest.raises(Temporary, match="the broker is away"):
        look(replace(desk, fresh_since=desk.clock() + MINUTE, post=two))
    assert two.sent == [(Order.TELL, "webhook:audit"), (Order.SURVEY, "shop")]
    look(replace(desk, fresh_since=desk.clock() + MINUTE))
    assert sent(desk) == {(Order.POLL, "pypi")}, "and what was sent is on its way"


def test_a_look_while_another_is_going_on_leaves_it_the_work(desk: Desk) -> None:
    with desk.ledger.lease("look", desk.clock):
        assert look(desk) is None
    assert sent(desk) == set()


def test_an_index_of_which_nothing_is_to_be_asked_has_its_turn_without_an_order(desk: Desk, clock: Clock) -> None:
    surveyed(desk, version="2.0")
    polled(desk)
    look(desk)
    (known,) = desk.ledger.all(Lookup)
    (state,) = desk.ledger.all(IndexState, index="pypi")
    clock.now += MINUTE
    spared = replace(known, looked_at=clock.now, changed_at=clock.now, spared_until=clock.now + 20 * 60 * MINUTE)
    desk.ledger.replace(known, spared, clock.now)
    desk.ledger.replace(state, replace(state, changed_at=clock.now, spared_by=terms(desk.settings)), clock.now)
    sent(desk)

    clock.now += 19 * MINUTE
    look(desk)
    assert (Order.POLL, "pypi") not in sent(desk)
    (state,) = desk.ledger.all(IndexState, index="pypi")
    assert state.polled_at == clock.now

    clock.now += 20 * 60 * MINUTE
    look(desk)
    assert (Order.POLL, "pypi") in sent(desk)


def test_a_package_that_an_index_was_never_asked_about_is_asked_about_at_once(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    look(desk)
    assert (Order.POLL, "pypi") not in sent(desk)
    head = desk.ledger.all(Head, app="shop")[0]
    more = replace(head, commit="c2", pins=(*head.pins, replace(PIN, package="flask")))
    desk.ledger.replace(head, more, clock())

    look(desk)
    assert (Order.POLL, "pypi") in sent(desk)


def test_who_comes_as_a_look_ends_looks_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    post, busy = desk.ledger.post, ExitStack()
    assert busy.enter_context(desk.ledger.lease("look", desk.clock))

    def posted(names: Collection[str], now: datetime) -> list[str]:
        busy.close()
        return post(names, now)

    monkeypatch.setattr(desk.ledger, "post", posted)
    assert look(desk) is not None


def test_nobody_looks_while_one_rests_after_its_look(desk: Desk) -> None:
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        assert look(desk) is None

    look(desk, rest=rest)
    assert len(rests) == 1
    assert 0 < rests[0] <= 2.0
    assert isinstance(desk.post, FakePost)
    assert desk.post.nudged == 1


def test_whoever_came_while_a_look_was_going_on_has_it_asked_for_again(desk: Desk) -> None:
    @dataclass
    class Busy(FakePost):
        """While it sends, somebody else comes to look."""

        def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
            assert look(desk) is None

    busy = Busy()
    look(replace(desk, post=busy))
    assert busy.nudged == 1
    look(replace(desk, post=busy, fresh_since=desk.clock() + MINUTE))
    assert busy.nudged == 1, "nobody came"


def test_a_bump_is_proposed_and_then_surveyed_and_then_merged(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    desk.ledger.add(rollout(clock.now, stage=RolloutStage.DONE), clock.now)
    found = desk.ledger.add(bump(clock.now), clock.now)
    assert found is not None
    look(desk)
    assert sent(desk) == {(Order.PROPOSE, found.id)}
    clock.now += MINUTE / 2
    desk.ledger.replace(found, found.at(BumpStage.PROPOSED, clock.now, branch="main", commit="c2"), clock.now)
    look(desk)
    assert sent(desk) - {(Order.TELL, "webhook:audit")} == {(Order.SURVEY, "shop")}
    clock.now += MINUTE / 4
    surveyed(desk, commit="c2", version="2.0")
    look(desk)
    merged = desk.ledger.find(Bump, id=found.id)
    assert merged is not None
    assert (merged.stage, merged.commit) == (BumpStage.MERGED, "c2")
    assert (Order.BUILD, "shop:2") in sent(desk)


def test_the_hosts_are_called_wave_by_wave(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    desk.ledger.add(rollout(clock.now), clock.now)
    look(desk)
    look(desk)
    assert (Order.ROLL, "shop:1:h1") in sent(desk)
    states = desk.ledger.all(HostState, rollout="shop:1", order="position")
    assert [state.stage for state in states] == [HostStage.CALLED, HostStage.PENDING, HostStage.PENDING]
    canary = states[0]
    desk.ledger.replace(canary, canary.at(HostStage.DONE, clock.now), clock.now)
    look(desk)
    assert {(Order.ROLL, "shop:1:h2"), (Order.ROLL, "shop:1:h3")} <= sent(desk)


def test_a_host_that_joins_the_fleet_joins_the_rollout(desk: Desk, clock: Clock, tmp_path: Path) -> None:
    surveyed(desk)
    desk.ledger.add(rollout(clock.now, stage=RolloutStage.ROLLING), clock.now)
    look(desk)
    look(replace(desk, settings=settings(tmp_path, hosts=4)))
    assert len(desk.ledger.all(HostState, rollout="shop:1")) == 4
    look(replace(desk, settings=settings(tmp_path, hosts=1)))
    assert desk.ledger.find(Rollout, id="shop:1") is not None


def test_nothing_new_is_ordered_while_everything_is_paused(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    desk.ledger.add(bump(clock.now), clock.now)
    desk.ledger.hold(EVERYTHING, "ana", "", clock.now)
    look(desk)
    assert sent(desk) - {(Order.TELL, "webhook:audit")} == set()
    desk.ledger.unhold(EVERYTHING, "ana", "", clock.now)
    look(desk)
    assert {(Order.PROPOSE, "shop:django:2.0"), (Order.BUILD, "shop:1")} <= sent(desk)


def test_a_receiver_hears_what_happens_from_now_on(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    look(desk)
    receiver = desk.ledger.find(Receiver, receiver="webhook:audit")
    assert receiver is not None
    assert receiver.cursor == 1
    sent(desk)
    look(desk)
    assert (Order.TELL, "webhook:audit") in sent(desk)


def test_a_fresh_run_asks_again_whatever_the_intervals_say(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    desk.ledger.add(rollout(clock.now, stage=RolloutStage.DONE), clock.now)
    desk.ledger.hold("shop", "ana", "", clock.now)
    look(desk)
    sent(desk)
    clock.now += timedelta(seconds=1)
    look(desk)
    assert sent(desk) - {(Order.TELL, "webhook:audit")} == set()
    look(replace(desk, fresh_since=clock.now))
    assert {(Order.SURVEY, "shop"), (Order.POLL, "pypi")} <= sent(desk)


def test_who_starts_a_round_does_not_wait_for_the_pauses_after_failures(desk: Desk, clock: Clock) -> None:
    head = surveyed(desk)
    polled(desk)
    away = decide.offline(
        HostState(rollout="shop:1", host="h1", position=0, stage=HostStage.CALLED), clock.now, Temporary("no answer")
    )
    hosts = (replace(away, host="h2", position=1), clock.now, IndexUnreachable("registry.example", "429", 60.0))
    throttled = decide.offline(*hosts)
    rolling = replace(rollout(clock.now, stage=RolloutStage.ROLLING), rolling_at=clock.now, wave=1, wave_at=clock.now)
    desk.ledger.write([(None, rolling), (None, away), (None, throttled)], clock.now)
    desk.ledger.replace(head, head.refused(clock.now, Refused("it cannot be read")), clock.now)
    clock.now += timedelta(seconds=1)
    look(desk)
    began = sent(desk)
    assert (Order.ROLL, "shop:1:h3") in began, "others go on"
    assert not began & {(Order.SURVEY, "shop"), (Order.ROLL, "shop:1:h1")}

    assert hurry(desk.settings, desk.ledger, clock.now) == 2, (
        "and not whom the other side told to wait, be it for a minute"
    )
    assert hurry(desk.settings, desk.ledger, clock.now) == 0
    look(replace(desk, fresh_since=clock.now))
    assert (Order.SURVEY, "shop") in sent(desk)
    again = desk.ledger.find(HostState, rollout="shop:1", host="h1")
    assert again is not None
    assert (again.is_due(clock.now), again.attempts) == (True, 1), "how often it was tried in vain is still known"


def test_a_bump_that_waits_for_its_hour_is_not_hurried(desk: Desk, clock: Clock) -> None:
    waits = replace(bump(clock.now), due_at=clock.now + MINUTE)
    desk.ledger.write([(None, waits), (None, replace(waits, id="shop:other:2.0", attempts=1))], clock.now)
    assert hurry(desk.settings, desk.ledger, clock.now) == 1
    assert desk.ledger.find(Bump, id=waits.id) == waits


def test_a_rollout_that_is_halted_before_it_has_hosts_takes_back_what_the_one_before_left(
    desk: Desk, clock: Clock
) -> None:
    surveyed(desk)
    polled(desk)
    one, two = (replace(rollout(clock.now, n, RolloutStage.SUPERSEDED), rolling_at=clock.now) for n in (1, 2))
    two = replace(two, stage=RolloutStage.HALTED, reason="aborted by anna")
    midway = HostState(rollout="shop:1", host="h1", position=0, stage=HostStage.PROVING, previous=IMAGE)
    done = HostState(rollout="shop:1", host="h2", position=1, stage=HostStage.DONE, previous=IMAGE)
    desk.ledger.write([(None, one), (None, two), (None, midway), (None, done)], clock.now)
    look(desk)
    assert (Order.ROLL, "shop:2:h1") in sent(desk)
    states = {host.host: host.stage for host in desk.ledger.all(HostState, rollout="shop:2")}
    assert states == {"h1": HostStage.RECALLED, "h2": HostStage.PENDING, "h3": HostStage.PENDING}
    look(desk)
    assert all(id == "shop:2:h1" for order, id in sent(desk) if order is Order.ROLL), "the others keep what they run"


def test_a_halted_rollout_takes_its_hosts_back_before_anything_newer_starts(desk: Desk, clock: Clock) -> None:
    surveyed(desk, commit="c2")
    polled(desk)
    halted = replace(rollout(clock.now, stage=RolloutStage.HALTED), reason="h1: unhealthy", rolling_at=clock.now)
    desk.ledger.add(halted, clock.now)
    desk.ledger.add(rollout(clock.now, 2), clock.now)
    failed = HostState(rollout="shop:1", host="h1", position=0, stage=HostStage.FAILED, previous=IMAGE)
    desk.ledger.add(failed, clock.now)
    look(desk)
    assert (Order.ROLL, "shop:1:h1") in sent(desk)
    second = desk.ledger.find(Rollout, id="shop:2")
    assert second is not None
    assert second.stage is RolloutStage.BUILT
    desk.ledger.replace(failed, failed.at(HostStage.RETURNED, clock.now), clock.now)
    look(desk)
    second = desk.ledger.find(Rollout, id="shop:2")
    assert second is not None
    assert second.stage is RolloutStage.ROLLING


def done_rollout(desk: Desk, *hosts: str) -> Rollout:
    now = desk.clock()
    done = Rollout(id="shop:1", app="shop", generation=1, commit="c1", image=IMAGE, wanted_at=now)
    done = replace(done.at(RolloutStage.ROLLING, now).at(RolloutStage.DONE, now), wave=2)
    desk.ledger.write([(None, done)], now)
    for position, host in enumerate(hosts):
        desk.ledger.add(HostState(rollout="shop:1", host=host, position=position).at(HostStage.DONE, now), now)
    return done


def test_a_host_that_is_new_in_the_fleet_goes_straight_to_its_image(desk: Desk) -> None:
    surveyed(desk)
    polled(desk)
    done_rollout(desk, "h1", "h2")
    look(desk)
    assert (Order.ROLL, "shop:1:h3") in sent(desk)
    assert not any(order is Order.ROLL and id != "shop:1:h3" for order, id in sent(desk))


def test_every_host_that_is_done_is_inspected_when_an_hour_has_gone_by(desk: Desk, clock: Clock) -> None:
    done_rollout(desk, "h1", "h2", "h3")
    desk.ledger.hold(host_scope("ff", "h2"), "anna", "", clock())
    look(desk)
    assert not any(order is Order.INSPECT for order, _ in sent(desk))
    clock.now += 60 * MINUTE
    look(desk)
    found = {id for order, id in sent(desk) if order is Order.INSPECT}
    assert found == {"shop:1:h1", "shop:1:h3"}, "one that is cordoned is somebody's workbench"


def test_drift_is_an_event_and_so_is_its_end(desk: Desk, clock: Clock) -> None:
    done_rollout(desk, "h1")
    state = desk.ledger.find(HostState, rollout="shop:1", host="h1")
    assert state is not None
    drifted = desk.ledger.replace(state, decide.inspected(state, "runs nothing", False, clock()), clock())
    desk.ledger.replace(drifted, decide.inspected(drifted, "", False, clock()), clock())
    told = [event for event in desk.ledger.events() if event.kind.startswith("host.")]
    assert [(event.kind, event.facts.get("reason")) for event in told] == [
        ("host.drifted", "runs nothing"),
        ("host.runs_what_it_should", None),
    ]


def test_what_a_halted_rollout_left_on_a_host_that_is_away_is_the_next_ones_business(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    halted = replace(rollout(clock.now, stage=RolloutStage.HALTED), reason="h1: unhealthy", rolling_at=clock.now)
    lost = HostState(rollout="shop:1", host="h1", position=0, stage=HostStage.PROVING, previous=IMAGE, attempts=9)
    desk.ledger.write([(None, halted), (None, rollout(clock.now, 2))], clock.now)
    desk.ledger.add(lost, clock.now)
    look(desk)
    look(desk)
    second = desk.ledger.find(Rollout, id="shop:2")
    assert second is not None
    assert second.stage is RolloutStage.ROLLING
    sent(desk)
    clock.now += 2 * MINUTE
    look(desk)
    assert {id for order, id in sent(desk) if order is Order.ROLL} == {"shop:2:h1"}


def test_apps_of_one_fleet_share_what_its_sites_bear(tmp_path: Path, desk: Desk, clock: Clock) -> None:
    hosts = [{"name": name, "address": f"dir:/{name}", "site": "seoul"} for name in ("h1", "h2")]
    site = FleetSettings.model_validate({"sites": {"seoul": {"at_once": 1}}, "hosts": hosts})
    both = dict.fromkeys(("shop", "till"), desk.settings.apps["shop"])
    shared = replace(desk, settings=desk.settings.model_copy(update={"apps": both, "fleets": {"ff": site}}))
    for name in both:
        began = rollout(clock.now).at(RolloutStage.ROLLING, clock.now).with_wave(2, clock.now)
        desk.ledger.add(replace(began, id=f"{name}:1", app=name), clock.now)
    look(shared)
    moving = [host.name for host in desk.ledger.all(HostState) if host.stage.is_moving]
    assert moving == ["shop:1:h1"], "and not one of each"


def test_who_is_done_is_looked_at_while_the_rollout_goes_on_to_others(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    polled(desk)
    began = rollout(clock.now).at(RolloutStage.ROLLING, clock.now).with_wave(1, clock.now)
    desk.ledger.add(began, clock.now)
    look(desk)
    canary = desk.ledger.find(HostState, rollout="shop:1", host="h1")
    assert canary is not None
    desk.ledger.replace(canary, canary.at(HostStage.DONE, clock.now), clock.now)
    sent(desk)
    look(desk)
    assert (Order.INSPECT, "shop:1:h1") not in sent(desk)
    clock.now += MINUTE
    look(desk)
    assert (Order.INSPECT, "shop:1:h1") in sent(desk)


def test_what_a_host_is_owed_goes_on_to_the_next_rollout_and_is_paid_when_that_one_halts(
    desk: Desk, clock: Clock
) -> None:
    surveyed(desk)
    first = replace(rollout(clock.now, stage=RolloutStage.SUPERSEDED), rolling_at=clock.now)
    second = rollout(clock.now, 2).at(RolloutStage.ROLLING, clock.now).with_wave(1, clock.now)
    desk.ledger.write([(None, first), (None, second)], clock.now)
    old = Digest(f"sha256:{9:064x}")
    lost = HostState(rollout="shop:1", host="h3", position=2, stage=HostStage.PROVING, previous=old, attempts=9)
    desk.ledger.add(lost, clock.now)
    look(desk)
    owed = desk.ledger.find(HostState, rollout="shop:2", host="h3")
    assert owed is not None
    assert (owed.stage, owed.midway, owed.previous) == (HostStage.PENDING, True, old)
    second = desk.ledger.find(Rollout, id="shop:2") or second
    desk.ledger.replace(second, second.at(RolloutStage.HALTED, clock.now, reason="h1: sick"), clock.now)
    look(desk)
    back = desk.ledger.find(HostState, rollout="shop:2", host="h3")
    assert back is not None
    assert (back.stage, back.midway, back.previous) == (HostStage.RECALLED, False, old)


def test_the_way_back_and_the_bytes_have_lanes_of_their_own(desk: Desk, clock: Clock) -> None:
    surveyed(desk)
    rolling = rollout(clock.now).at(RolloutStage.ROLLING, clock.now).with_wave(2, clock.now)
    stages = {"h1": HostStage.FAILED, "h2": HostStage.CALLED, "h3": HostStage.PROVING}
    hosts = [HostState(rollout="shop:1", host=host, position=0, stage=stage) for host, stage in stages.items()]
    found = {host.host: decide.lane(host, rolling) for host in hosts}
    assert found == {"h1": Lane.BACK, "h2": Lane.PULLS, "h3": Lane.HOSTS}
    assert decide.lane(hosts[2], replace(rolling, stage=RolloutStage.HALTED)) is Lane.BACK
