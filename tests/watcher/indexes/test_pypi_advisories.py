"""What an index itself knows against the releases that are pinned, where it has a JSON API that tells."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.rig.simple_index import Fault, SimpleIndex
from tests.watcher.indexes.test_packagist_hostile import _JSON
from watcher.advisory import affecting
from watcher.errors import IndexLied
from watcher.http import Http, Limits, Response
from watcher.indexes.pypi import PyPI
from watcher.indexes.pypi_advisories import Page
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.secret import Secret
from watcher.settings import IndexSettings
from watcher.versions import SCHEMES

BURNS = {
    "id": "PYSEC-1",
    "aliases": ["CVE-2026-1", 5],
    "details": "It burns",
    "link": "https://advisories.example/1",
    "fixed_in": ["2.0", "1.2", "0.9", "junk", 7],
    "withdrawn": None,
}


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with Http(limits=Limits(pause=0.01, attempts=1)) as http:
        yield http


@pytest.fixture
def server() -> Iterator[SimpleIndex]:
    with SimpleIndex() as server:
        for version in ("1.0", "1.1", "1.2", "2.0"):
            server.publish("shop-api", version)
        server.vulnerabilities = {("shop-api", "1.1"): [BURNS], ("shop-api", "2.0"): []}
        yield server


def look(
    server: SimpleIndex,
    http: Http,
    now: datetime,
    known: Lookup | None = None,
    pinned: Sequence[str] = ("1.1",),
    **more: Any,
) -> Lookup:
    server.asked.clear()
    index = PyPI(IndexSettings(kind="pypi", url=server.url, vulnerabilities=f"{server.origin}/pypi/", **more))
    pins = [Pin(ecosystem="pypi", package="shop-api", version=version, lock="uv.lock") for version in pinned]
    (found,) = index.look_up([known or Lookup(index="own", package="shop-api")], http, now, pins)
    return found


def hit(lookup: Lookup) -> list[str]:
    scheme = SCHEMES["pypi"]
    return [one.version for one in lookup.releases if affecting(one.version, lookup.advisories, scheme)]


def test_what_is_wrong_with_a_pinned_release_is_wrong_until_it_is_mended(
    server: SimpleIndex, http: Http, now: datetime
) -> None:
    found = look(server, http, now)

    (one,) = found.advisories
    assert (found.outcome, one.name, one.summary, one.malware) == (Outcome.ANSWER, "CVE-2026-1", "It burns", False)
    assert hit(found) == ["1.1"]
    assert [asked.path for asked in server.asked] == ["/simple/shop-api/", "/pypi/shop-api/1.1/json"]


def test_what_is_mended_in_no_release_is_wrong_in_all_that_come_after(
    server: SimpleIndex, http: Http, now: datetime
) -> None:
    server.vulnerabilities["shop-api", "1.1"] = [{**BURNS, "fixed_in": None}, {**BURNS, "id": "B", "withdrawn": "x"}]

    found = look(server, http, now)

    assert (hit(found), len(found.advisories)) == (["1.1", "1.2", "2.0"], 1)


def test_what_has_not_changed_is_not_read_again(server: SimpleIndex, http: Http, now: datetime) -> None:
    known = look(server, http, now, pinned=("1.1", "2.0"))

    again = look(server, http, now + timedelta(hours=1), known, pinned=("1.1", "2.0"))

    assert all("if-none-match" in asked.headers for asked in server.asked)
    assert (again.advisories, again.files) == (known.advisories, known.files)
    moved = look(server, http, now, again, pinned=("2.0",))
    assert (moved.advisories, list(moved.files)) == ((), ["2.0/json"]), "nobody has it any more"
    gone = look(server, http, now, moved, pinned=("0.5",))
    assert gone.outcome is Outcome.ANSWER, "what the index does not have, it has no page of"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "status: expected 200, since it has this release, got 404"),
        ("x", "vulnerabilities: expected a list, got 'x'"),
        ([{"id": "A", "fixed_in": [], "aliases": []}] * 5_001, "at most 5,000 advisories about a package"),
    ],
)
def test_who_was_asked_to_tell_and_does_not_is_not_taken_for_silent(
    server: SimpleIndex, http: Http, now: datetime, said: Any, reason: str
) -> None:
    server.vulnerabilities["shop-api", "1.1"] = said

    found = look(server, http, now)

    assert found.outcome is Outcome.UNKNOWN
    assert reason in found.reason
    server.vulnerabilities["shop-api", "1.1"] = [BURNS]
    assert hit(look(server, http, now, found)) == ["1.1"]


def test_a_project_that_does_not_answer_is_not_asked_about(server: SimpleIndex, http: Http, now: datetime) -> None:
    server.spoil("shop-api", Fault(status=500))

    assert look(server, http, now).outcome is Outcome.UNKNOWN
    assert len(server.asked) == 1


def test_the_key_goes_to_the_index_and_to_no_other_host(
    server: SimpleIndex, http: Http, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    look(server, http, now, password=Secret(env="KEY"), username="anna")
    assert all("authorization" in asked.headers for asked in server.asked)
    with SimpleIndex() as other:
        other.vulnerabilities = server.vulnerabilities
        index = PyPI(
            IndexSettings(
                kind="pypi", url=server.url, vulnerabilities=f"{other.origin}/pypi", password=Secret(env="KEY")
            )
        )
        pin = Pin(ecosystem="pypi", package="shop-api", version="1.1", lock="uv.lock")
        list(index.look_up([Lookup(index="own", package="shop-api")], http, now, [pin]))

    assert [asked.headers.get("authorization") for asked in other.asked] == [None]


def test_only_an_index_of_python_packages_has_such_an_address() -> None:
    with pytest.raises(ValidationError, match='expected nothing beside "packagist"'):
        IndexSettings(kind="packagist", vulnerabilities="https://packages.example/pypi")


_KEYS = ["id", "aliases", "details", "summary", "link", "fixed_in", "withdrawn", "vulnerabilities"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(_KEYS), _JSON) | _JSON, max_size=3) | _JSON)
def test_whatever_it_says_only_our_own_error_comes_out(rows: Any) -> None:
    body = json.dumps({"vulnerabilities": rows}).encode()
    page = Page(Lookup(index="own", package="shop-api"), "1.1")
    with contextlib.suppress(IndexLied):
        found, _ = page.read(Response("https://index.example", 200, {}, body))
        assert all(one.affects("1.1", SCHEMES["pypi"]) for one in found)
