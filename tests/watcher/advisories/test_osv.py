"""OSV: one request says what is news, and only that is asked in full."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.conftest import MONDAY
from tests.rig.osv import OsvServer
from watcher.advisories.osv import Osv
from watcher.advisories.osv_record import parse
from watcher.advisory import Advisory, Span
from watcher.errors import IndexLied
from watcher.http import Http, Limits
from watcher.lookup import Bulletin, Outcome
from watcher.settings import AdvisorySettings
from watcher.versions import SCHEMES

URL = "https://osv.example/v1/query"


@pytest.fixture
def server() -> Iterator[OsvServer]:
    with OsvServer() as running:
        yield running


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(limits=Limits(attempts=1)) as client:
        yield client


def bulletin(package: str = "alpha", ecosystem: str = "pypi") -> Bulletin:
    return Bulletin(source="osv", ecosystem=ecosystem, package=package)


def ask(server: OsvServer, http: Http, *known: Bulletin) -> dict[str, Bulletin]:
    source = Osv(AdvisorySettings(kind="osv", url=server.url))
    return {one.package: one for one in source.look_up(known, http, MONDAY)}


def test_what_is_known_of_a_package_is_known_of_all_of_its_versions(server: OsvServer, http: Http) -> None:
    server.publish(
        "GHSA-1",
        "Alpha",
        {"introduced": "0"},
        {"fixed": "1.10"},
        aliases=["CVE-2026-1"],
        summary="It burns",
        database_specific={"severity": "HIGH"},
        published="2026-10-30T08:00:00Z",
    )
    server._records["GHSA-1"]["affected"][0]["package"]["name"] = "alpha"

    (one,) = ask(server, http, bulletin())["alpha"].advisories

    assert (one.name, one.summary, one.severity, one.malware) == ("CVE-2026-1", "It burns", "high", False)
    assert one.spans == (Span(fixed="1.10"),)
    assert [one.affects(version, SCHEMES["pypi"]) for version in ("1.9", "1.10", "2.0")] == [True, False, False]


def test_a_package_without_advisories_is_an_answer(server: OsvServer, http: Http) -> None:
    found = ask(server, http, bulletin())["alpha"]

    assert (found.outcome, found.advisories, found.answered_at) == (Outcome.ANSWER, (), MONDAY)
    assert server.asked == ["/v1/querybatch"]


def test_only_what_is_news_is_asked_in_full(server: OsvServer, http: Http) -> None:
    for package in ("alpha", "beta", "gamma"):
        server.publish(f"GHSA-{package}", package, {"introduced": "0"})
    known = ask(server, http, bulletin("alpha"), bulletin("beta"), bulletin("gamma"))
    server.asked.clear()

    again = ask(server, http, *known.values())
    assert server.asked == ["/v1/querybatch"]
    server.publish("GHSA-beta", "beta", {"introduced": "0"}, {"fixed": "2.0"}, modified="2026-11-02T00:00:00Z")
    later = ask(server, http, *again.values())

    assert server.asked[1:] == ["/v1/querybatch", "/v1/query"]
    assert later["beta"].advisories[0].spans == (Span(fixed="2.0"),)
    assert later["alpha"].advisories == known["alpha"].advisories


def test_what_comes_in_pages_is_read_to_the_end(http: Http) -> None:
    with OsvServer(page=2) as server:
        for n in range(5):
            server.publish(f"GHSA-{n}", "alpha", {"introduced": "0"})

        found = ask(server, http, bulletin(), bulletin("beta"))

    assert [one.id for one in found["alpha"].advisories] == [f"GHSA-{n}" for n in range(5)]
    assert found["beta"].advisories == ()


def test_an_outage_leaves_what_was_known_and_says_unknown(server: OsvServer, http: Http) -> None:
    server.publish("GHSA-1", "alpha", {"introduced": "0"})
    before = ask(server, http, bulletin())["alpha"]
    server.down = True

    after = ask(server, http, before)["alpha"]

    assert (after.outcome, after.advisories, after.answered_at) == (Outcome.UNKNOWN, before.advisories, MONDAY)
    assert "503" in after.reason


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"[]", "body: expected an object, got list"),
        (b"{", "body: expected JSON"),
        (b'{"results": [{}, {}]}', "results: expected 1 of them, got 2"),
        (b'{"results": [{"vulns": [{"modified": "x"}]}]}', "results[0].vulns[0].id: expected a text, got nothing"),
        (b'{"results": [' + b"[" * 1_000_000, "body: expected JSON"),
    ],
    ids=["list", "half", "too many", "no id", "deep"],
)
def test_what_is_no_answer_is_unknown_with_its_place(server: OsvServer, http: Http, answer: bytes, said: str) -> None:
    server.answer = answer

    found = ask(server, http, bulletin())["alpha"]

    assert found.outcome is Outcome.UNKNOWN
    assert said in found.reason


def advisory(**more: Any) -> Advisory:
    row = {"id": "GHSA-1", "affected": [{"package": {"name": "alpha", "ecosystem": "PyPI"}, **more}]}
    (found,) = parse({"vulns": [row]}, "pypi", "alpha", URL)
    return found


def affected(found: Advisory, versions: Sequence[str]) -> list[str]:
    return [version for version in versions if found.affects(version, SCHEMES["pypi"])]


def test_ranges_are_read_in_the_order_of_versions_however_they_are_written() -> None:
    events = [{"fixed": "1.10"}, {"introduced": "2.0"}, {"introduced": "1.2"}, {"last_affected": "2.3"}]

    found = advisory(ranges=[{"type": "ECOSYSTEM", "events": events}])

    assert affected(found, ["1.1", "1.2", "1.9", "1.10", "2.0", "2.3", "2.3.1"]) == ["1.2", "1.9", "2.0", "2.3"]


def test_a_range_may_be_one_version_and_may_begin_where_the_last_one_was_fixed() -> None:
    one = advisory(ranges=[{"type": "ECOSYSTEM", "events": [{"introduced": "1.2"}, {"last_affected": "1.2"}]}])
    events = [{"introduced": "1.0"}, {"fixed": "1.1"}, {"introduced": "1.1"}, {"fixed": "1.2"}]
    twice = advisory(ranges=[{"type": "ECOSYSTEM", "events": events}])

    assert affected(one, ["1.1", "1.2", "1.2.1", "9.0"]) == ["1.2"]
    assert affected(twice, ["0.9", "1.0", "1.1", "1.2"]) == ["1.0", "1.1"]


def test_single_versions_and_commits_are_understood_or_left_alone() -> None:
    git = {"type": "GIT", "events": [{"introduced": "0"}]}

    assert affected(advisory(ranges=[git], versions=["1.0.0", "junk"]), ["1.0.0", "1.1"]) == ["1.0.0"]


def test_what_was_withdrawn_and_what_is_about_another_package_affects_nothing() -> None:
    everything = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    row: dict[str, Any] = {"package": {"name": "alpha", "ecosystem": "PyPI"}, "ranges": everything}
    others = [{**row, "package": {"name": "beta", "ecosystem": "PyPI"}}, {**row, "package": {"name": "alpha"}}]

    withdrawn = {"id": "A", "withdrawn": "2026-11-01T00:00:00Z", "affected": [row]}
    found = parse({"vulns": [withdrawn, {"id": "B", "affected": others}]}, "pypi", "alpha", URL)

    assert [one.id for one in found] == ["A", "B"]
    assert not any(one.affects("1.0", SCHEMES["pypi"]) for one in found)


def test_malware_is_told_by_its_id() -> None:
    (found,) = parse({"vulns": [{"id": "MAL-2026-1"}]}, "pypi", "alpha", URL)
    assert found.malware


_KEYS = "vulns id affected package name ecosystem ranges events introduced versions aliases severity type withdrawn"
_WORDS = ["PyPI", "alpha", "ECOSYSTEM", "1.0", "0"]
_leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(_WORDS)
_json: st.SearchStrategy[Any] = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS.split()), inner, max_size=5),
    max_leaves=25,
)


@examples(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_json, max_size=3))
def test_whatever_it_says_only_our_own_errors_come_out(rows: list[Any]) -> None:
    try:
        found = parse({"vulns": rows}, "pypi", "alpha", URL)
    except IndexLied:
        return
    assert all(isinstance(one, Advisory) and replace(one) == one for one in found)
