"""Polling: what is asked, and what is kept of the answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import watcher.poll
from tests.conftest import MONDAY
from tests.rig.osv import OsvServer
from tests.rig.simple_index import ERROR, SimpleIndex
from watcher import config
from watcher.advisories import SOURCES
from watcher.errors import Overtaken
from watcher.event import SILENT_AFTER
from watcher.head import Head
from watcher.http import Http, Limits
from watcher.indexes.pypi import PyPI
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, IndexState, Lookup, Outcome
from watcher.order import Order
from watcher.patience import spares_all, terms
from watcher.pin import Pin
from watcher.poll import ask, dated, poll_index, poll_source
from watcher.release import File, Release
from watcher.settings import Settings
from watcher.settings.app import AppSettings
from watcher.turn import Turn
from watcher.watchlist import Watchlist
from watcher.weigh import weigh
from watcher.wishes import PolicySettings

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SHOP = AppSettings.model_construct(policy=PolicySettings())  # type: ignore[call-arg]
TURN = Turn(MONDAY, MONDAY - 8 * MINUTE)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(limits=Limits(attempts=1, pause=0.01)) as client:
        yield client


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    with SimpleIndex() as running:
        running.publish("alpha", "1.0")
        yield running


@pytest.fixture
def osv() -> Iterator[OsvServer]:
    with OsvServer() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, index: SimpleIndex, osv: OsvServer) -> Iterator[Settings]:
    """Two indexes, of which the first has nothing, and a source of advisories."""
    with SimpleIndex() as empty:
        yield read(tmp_path, empty, index, osv)


def read(state: Path, empty: SimpleIndex, index: SimpleIndex, osv: OsvServer) -> Settings:
    return config.parse(
        f"""
        [toplayer]
        state = "{state}"
        [indexes.empty]
        kind = "pypi"
        url = "{empty.url}"
        [indexes.full]
        kind = "pypi"
        url = "{index.url}"
        advisories = true
        [advisories.osv]
        kind = "osv"
        url = "{osv.url}"
        """,
        "test",
    )


def pin(package: str = "alpha", version: str = "1.0") -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="uv.lock")


def test_what_the_ledger_does_not_know_is_asked_for_at_once(
    settings: Settings, ledger: Ledger, http: Http, index: SimpleIndex, osv: OsvServer
) -> None:
    osv.publish("GHSA-1", "alpha", {"introduced": "0"})

    ask([pin()], settings, ledger, http, lambda: MONDAY, lambda name: PyPI(settings.indexes[name]))

    empty, full = (ledger.find(Lookup, index=name, package="alpha") for name in ("empty", "full"))
    bulletin = ledger.find(Bulletin, source="osv", package="alpha")
    assert empty is not None
    assert full is not None
    assert bulletin is not None
    assert (empty.outcome, full.outcome) == (Outcome.ABSENT, Outcome.ANSWER)
    assert [one.id for one in bulletin.advisories] == ["GHSA-1"]


def test_what_is_known_is_not_asked_for_again_unless_a_version_is_missing(
    settings: Settings, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    ask([pin()], settings, ledger, http, lambda: MONDAY, lambda name: PyPI(settings.indexes[name]))
    asked = len(index.asked)

    ask([pin()], settings, ledger, http, lambda: MONDAY + HOUR, lambda name: PyPI(settings.indexes[name]))
    assert len(index.asked) == asked
    ask([pin(version="1.1")], settings, ledger, http, lambda: MONDAY + HOUR, lambda name: PyPI(settings.indexes[name]))

    assert len(index.asked) == asked + 1


def test_an_index_is_asked_by_one_at_a_time(settings: Settings, ledger: Ledger, http: Http) -> None:
    with ledger.lease(f"{Order.POLL}:empty", lambda: MONDAY), pytest.raises(Overtaken):
        ask([pin()], settings, ledger, http, lambda: MONDAY, lambda name: PyPI(settings.indexes[name]))


def test_a_source_is_asked_about_packages_of_public_indexes_and_about_no_others(
    settings: Settings, ledger: Ledger, http: Http, osv: OsvServer
) -> None:
    app = Head(app="shop", pins=(pin(), pin("internal-tool")))
    settings = settings.model_copy(update={"apps": {"shop": SHOP}})
    ledger.add(app, MONDAY)
    for package, name in (("alpha", "full"), ("internal-tool", "empty")):
        ledger.add(Lookup(index="empty", package=package, outcome=outcome(name, "empty")), MONDAY)
        ledger.add(Lookup(index="full", package=package, outcome=outcome(name, "full")), MONDAY)

    state = poll_source(
        IndexState(index="osv"), settings, ledger, SOURCES["osv"](settings.advisories["osv"]), http, TURN
    )

    assert (state.packages, state.unknown) == (1, 0)
    assert ledger.rows(Bulletin, "package") == [("alpha",)]


def watching(settings: Settings, ledger: Ledger, *pins: Pin) -> Settings:
    """The settings with an app that has these pins."""
    ledger.add(Head(app="shop", pins=pins), MONDAY)
    return settings.model_copy(update={"apps": {"shop": SHOP}})


def poll(settings: Settings, ledger: Ledger, http: Http, state: IndexState, now: datetime) -> IndexState:
    turn = Turn(now, now - 8 * MINUTE)
    return poll_index(state, settings, ledger, PyPI(settings.indexes["full"]), http, turn)


def asked_for(index: SimpleIndex) -> list[str]:
    """The pages that were asked for since the last call."""
    found = sorted(one.path.strip("/").rpartition("/")[2] for one in index.asked)
    index.asked.clear()
    return found


@pytest.fixture
def full(settings: Settings) -> Settings:
    return settings.model_copy(update={"indexes": {"full": settings.indexes["full"]}})


def test_a_package_that_is_new_or_has_failed_costs_no_round(
    full: Settings, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    index.publish("beta", "1.0")
    index.spoil("beta", ERROR)
    settings = watching(full, ledger, pin(), pin("beta"))
    first = poll(settings, ledger, http, IndexState(index="full"), MONDAY)
    assert (asked_for(index), first.packages, first.unknown) == (["alpha", "beta"], 2, 1)

    again = poll(settings, ledger, http, first, MONDAY + MINUTE)
    assert (asked_for(index), again.packages, again.unknown, again.attempts) == (["beta"], 2, 0, 0)
    assert (again.polled_at, again.answered_at) == (MONDAY + MINUTE, MONDAY + MINUTE)

    head = ledger.find(Head, app="shop")
    assert head is not None
    ledger.replace(head, replace(head, pins=(*head.pins, pin("gamma"))), MONDAY)
    later = poll(settings, ledger, http, again, MONDAY + 2 * MINUTE)
    assert (asked_for(index), later.packages) == (["gamma"], 3)

    soon = poll(settings, ledger, http, later, MONDAY + 15 * MINUTE)
    assert asked_for(index) == ["gamma"], "which the index does not have yet; the others have to wait for days"

    poll(settings, ledger, http, soon, MONDAY + 24 * HOUR)
    assert asked_for(index) == ["alpha", "beta", "gamma"]


def test_what_has_to_wait_anyway_is_asked_about_less_often_and_at_once_when_it_matters(
    tmp_path: Path, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    settings = with_shop(tmp_path, index)
    ledger.add(Head(app="shop", commit="c", pins=(pin(),)), MONDAY)
    now = MONDAY
    state = poll(settings, ledger, http, IndexState(index="full"), now)
    weigh(ledger.all(Head, app="shop")[0], settings, ledger, now)

    asked = []
    for _ in range(4 * 96):
        asked_for(index)
        now += 15 * MINUTE
        state = poll(settings, ledger, http, state, now)
        weigh(ledger.all(Head, app="shop")[0], settings, ledger, now)
        asked.append(len(index.asked))
    assert asked[0] == 1, "what was decided since is asked again"
    assert 5 <= sum(asked) <= 7, "and then once a day"
    assert state.polled_at == now, "the index was polled all the same"

    asked_for(index)
    person = Turn(now, now + MINUTE, at_once=True)
    poll_index(state, settings, ledger, PyPI(settings.indexes["full"]), http, person)
    assert asked_for(index) == ["alpha"]


def with_shop(tmp_path: Path, index: SimpleIndex, cooldown: str = "3d") -> Settings:
    return config.parse(
        f"""
        [toplayer]
        state = "{tmp_path}"
        [advisories]
        [indexes.full]
        kind = "pypi"
        url = "{index.url}"
        [apps.shop]
        repository = "{tmp_path}/repo"
        lock = "uv.lock"
        fleet = "ff"
        policy.cooldown = "{cooldown}"
        [apps.shop.image]
        repository = "oci:{tmp_path}/images"
        python = "3.12"
        [[fleets.ff.hosts]]
        name = "h1"
        address = "dir:{tmp_path}/h1"
        """,
        "test",
    )


def test_who_is_asked_at_all_is_asked_about_what_would_be_due_soon(
    full: Settings, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    now = MONDAY + 20 * HOUR
    for package, until in (("due", now), ("soon", now + 59 * MINUTE), ("later", now + 2 * HOUR)):
        index.publish(package, "1.0")
        ledger.add(replace(lookup(), package=package, looked_at=MONDAY, spared_until=until), MONDAY)
    settings = watching(full, ledger, pin("due"), pin("soon"), pin("later"))

    state = IndexState(index="full", changed_at=MONDAY, spared_by=terms(settings))

    assert spares_all(state, settings, ledger, Turn(now - MINUTE, MONDAY))
    assert not spares_all(state, settings, ledger, Turn(now - MINUTE, now - MINUTE, at_once=True))
    assert not spares_all(state, settings, ledger, Turn(now, MONDAY))
    poll(settings, ledger, http, state, now)
    assert asked_for(index) == ["due", "soon"]


def test_what_is_about_to_come_in_is_asked_about_once_more(
    full: Settings, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    now = MONDAY + 20 * HOUR
    settings = watching(full, ledger, pin())
    poll(settings, ledger, http, IndexState(index="full"), MONDAY)
    index.yank("alpha", "1.0")
    asked_for(index)
    for _ in range(2):
        ask([pin()], settings, ledger, http, lambda: now, lambda name: PyPI(settings.indexes[name]))
    assert asked_for(index) == ["alpha"]
    (known,) = ledger.all(Lookup)
    assert known.releases[0].yanked is not None
    assert known.spared_until is None


def test_an_index_that_is_another_one_is_asked_about_everything(
    tmp_path: Path, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    ledger.add(Head(app="shop", commit="c", pins=(pin(),)), MONDAY)
    settings = with_shop(tmp_path, index)
    state = poll(settings, ledger, http, IndexState(index="full"), MONDAY)
    later = Turn(MONDAY + HOUR, MONDAY + HOUR - 8 * MINUTE)
    assert spares_all(state, settings, ledger, later)
    assert not spares_all(replace(state, due_at=MONDAY), settings, ledger, later), "it has failed, and is tried again"
    for other in ({"url": "https://mirror.example/simple"}, {"vulnerabilities": "https://index.example/pypi"}):
        moved = {"indexes": {"full": settings.indexes["full"].model_copy(update=other)}}
        assert not spares_all(state, settings.model_copy(update=moved), ledger, later)


def test_an_index_never_forgets_when_an_answer_was_another_one(
    full: Settings, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    index.publish("beta", "1.0", at=None)
    settings = watching(full, ledger, pin(), pin("beta"))
    state = poll(settings, ledger, http, IndexState(index="full"), MONDAY)
    index.publish("alpha", "1.1")
    state = poll(settings, ledger, http, state, MONDAY + DAY)
    assert state.changed_at == MONDAY + DAY
    asked_for(index)

    state = poll(settings, ledger, http, state, MONDAY + DAY + HOUR)
    assert asked_for(index) == ["beta"], "which the index does not date"
    assert state.changed_at == MONDAY + DAY


def test_what_was_spared_by_another_policy_is_asked_about(
    tmp_path: Path, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    ledger.add(Head(app="shop", commit="c", pins=(pin(),)), MONDAY)
    state = poll(with_shop(tmp_path, index), ledger, http, IndexState(index="full"), MONDAY)
    asked_for(index)

    state = poll(with_shop(tmp_path, index), ledger, http, state, MONDAY + HOUR)
    assert asked_for(index) == []
    state = poll(with_shop(tmp_path, index, "1d"), ledger, http, state, MONDAY + HOUR + MINUTE)
    assert asked_for(index) == ["alpha"]
    poll(with_shop(tmp_path, index, "1d"), ledger, http, state, MONDAY + 2 * HOUR)
    assert asked_for(index) == []


def test_what_nobody_pins_keeps_nobody_busy_until_somebody_does_again(
    tmp_path: Path, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    settings = with_shop(tmp_path, index)
    head = ledger.add(Head(app="shop", commit="c", pins=(pin(),)), MONDAY)
    assert head is not None
    state = poll(settings, ledger, http, IndexState(index="full"), MONDAY)
    weigh(head, settings, ledger, MONDAY)
    other = ledger.replace(head, replace(head, commit="d", pins=()), MONDAY)
    weigh(other, settings, ledger, MONDAY + 23 * HOUR)
    later = MONDAY + 24 * HOUR
    state = poll(settings, ledger, http, state, later)
    assert spares_all(state, settings, ledger, Turn(later + HOUR, later))
    asked_for(index)

    again = ledger.replace(other, replace(head, revision=other.revision), later)
    weigh(again, settings, ledger, later + HOUR)
    assert not spares_all(state, settings, ledger, Turn(later + 2 * HOUR, later))
    poll(settings, ledger, http, state, later + 2 * HOUR)
    assert asked_for(index) == ["alpha"]


def test_a_page_that_another_toplayer_has_read_is_read_again(
    full: Settings, ledger: Ledger, http: Http, index: SimpleIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = watching(full, ledger, pin())
    state = poll(settings, ledger, http, IndexState(index="full"), MONDAY)
    poll(settings, ledger, http, state, MONDAY + 1 * DAY)
    assert "if-none-match" in index.asked[-1].headers
    monkeypatch.setattr(watcher.poll, "program", lambda: "the next one")

    poll(settings, ledger, http, state, MONDAY + 2 * DAY)
    assert "if-none-match" not in index.asked[-1].headers
    poll(settings, ledger, http, state, MONDAY + 3 * DAY)
    assert "if-none-match" in index.asked[-1].headers


def test_an_index_that_had_a_package_leads_to_no_other_one_when_it_lacks_it(
    settings: Settings, ledger: Ledger, http: Http, index: SimpleIndex
) -> None:
    """A private index says "not found" to who has lost the key, and PyPI may have a 99.0 of anybody's by that name."""
    watching(settings, ledger, pin())
    settings = settings.model_copy(update={"apps": {"shop": SHOP}})
    assert Watchlist.read(settings, ledger).packages("full") == set()
    gone = Lookup(index="empty", package="alpha", outcome=Outcome.ANSWER, answered_at=MONDAY).absent(MONDAY + HOUR)
    ledger.add(gone, MONDAY)

    assert Watchlist.read(settings, ledger).packages("full") == set()
    assert Watchlist.read(settings, ledger).subjects() == set()
    ledger.replace(gone, replace(gone, had_at=None), MONDAY)
    assert Watchlist.read(settings, ledger).packages("full") == {"alpha"}


def test_an_index_that_wants_to_be_left_alone_for_a_day_is_silent_at_once() -> None:
    failed = IndexState(index="packagist", polled_at=MONDAY, unknown_since=MONDAY, due_at=MONDAY + 24 * HOUR)

    assert failed.is_silent(SILENT_AFTER)
    assert not replace(failed, due_at=MONDAY + 15 * MINUTE).is_silent(SILENT_AFTER)
    assert not replace(failed, due_at=None).is_silent(SILENT_AFTER)


def test_a_person_waits_for_no_pause_but_the_one_that_an_index_wants() -> None:
    person = Turn(MONDAY, MONDAY - MINUTE, at_once=True)
    asked_at = MONDAY - HOUR

    assert person.has(asked_at, MONDAY + 15 * MINUTE)
    assert not person.has(MONDAY, MONDAY + 15 * MINUTE), "but it was asked for this person already"
    assert not person.has(asked_at, MONDAY + MINUTE, throttled=True)
    assert person.has(asked_at, MONDAY, throttled=True)
    assert not replace(person, at_once=False).has(asked_at, MONDAY + 15 * MINUTE)


def outcome(there: str, index: str) -> Outcome:
    return Outcome.ANSWER if there == index else Outcome.ABSENT


def lookup(*times: datetime | None) -> Lookup:
    files = tuple(
        File(filename=f"alpha-1.{n}.tar.gz", url="https://index.example/", uploaded_at=at) for n, at in enumerate(times)
    )
    releases = tuple(Release(package="alpha", version=f"1.{n}", files=(file,)) for n, file in enumerate(files))
    return Lookup(index="full", package="alpha", outcome=Outcome.ANSWER, releases=releases)


def test_a_file_without_a_time_keeps_the_hour_at_which_it_was_seen_first() -> None:
    first = dated(None, lookup(None), MONDAY)
    second = dated(first, lookup(None, None, MONDAY), MONDAY + HOUR)

    seen = [release.files[0].seen_at for release in second.releases]
    assert seen == [MONDAY, MONDAY + HOUR, None]
    assert dated(second, replace(second, etag="x"), MONDAY + 2 * HOUR).releases == second.releases
