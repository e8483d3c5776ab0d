"""Polling: what is asked, and what is kept of the answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import MONDAY
from tests.rig.osv import OsvServer
from tests.rig.simple_index import SimpleIndex
from watcher import config
from watcher.advisories import SOURCES
from watcher.errors import Overtaken
from watcher.head import Head
from watcher.http import Http, Limits
from watcher.indexes.pypi import PyPI
from watcher.ledger import Ledger
from watcher.lookup import Bulletin, IndexState, Lookup, Outcome
from watcher.order import Order
from watcher.pin import Pin
from watcher.poll import ask, dated, poll_source
from watcher.release import File, Release
from watcher.settings import Settings

HOUR = timedelta(hours=1)


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
    settings = settings.model_copy(update={"apps": {"shop": None}})
    ledger.add(app, MONDAY)
    for package, name in (("alpha", "full"), ("internal-tool", "empty")):
        ledger.add(Lookup(index="empty", package=package, outcome=outcome(name, "empty")), MONDAY)
        ledger.add(Lookup(index="full", package=package, outcome=outcome(name, "full")), MONDAY)

    state = poll_source(
        IndexState(index="osv"), settings, ledger, SOURCES["osv"](settings.advisories["osv"]), http, MONDAY
    )

    assert (state.packages, state.unknown) == (1, 0)
    assert ledger.rows(Bulletin, "package") == [("alpha",)]


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
