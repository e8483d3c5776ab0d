"""What the door to Packagist asks, and how it reads answers, good and bad."""

import hashlib
import json
import threading
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.rig.composer_repository import ComposerRepository, minified
from tests.rig.simple_index import Fault, bomb
from watcher.errors import IndexLied
from watcher.http import Http, Limits, basic
from watcher.indexes.packagist import Packagist
from watcher.indexes.packagist_advisories import read_advisories
from watcher.indexes.packagist_metadata import Metadata, parse
from watcher.indexes.packagist_root import may_lead, read_root
from watcher.lookup import Lookup, Outcome
from watcher.pin import Pin
from watcher.secret import Secret
from watcher.settings import IndexSettings
from watcher.versions import SCHEMES

URL = "https://packages.example/p2/acme/http.json"
ADVISORY = {
    "advisoryId": "PKSA-1",
    "affectedVersions": ">=1.0,<1.1",
    "title": "It tells secrets",
    "cve": "CVE-2026-1",
    "severity": "medium",
    "link": "https://advisories.example/1",
    "sources": [{"name": "GitHub", "remoteId": "GHSA-1"}],
    "reportedAt": "2026-10-01 08:00:00",
}


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with Http(limits=Limits(pause=0.01, stall=2.0, lag=0.01)) as http:
        yield http


@pytest.fixture
def server() -> Iterator[ComposerRepository]:
    with ComposerRepository() as server:
        server.publish("acme/http", "1.0.0", requires={"php": ">=8.1", "acme/core": "^1"})
        server.publish("acme/http", "v1.1.0")
        yield server


def look(
    server: ComposerRepository,
    http: Http,
    now: datetime,
    *known: Lookup,
    branches: Collection[str] = (),
    **given: Any,
) -> dict[str, Lookup]:
    server.asked.clear()
    index = Packagist(IndexSettings(kind="packagist", url=server.url, **given))
    return {one.package: one for one in index.look_up(known or [unseen("acme/http")], http, now, on(branches))}


def on(branches: Collection[str]) -> list[Pin]:
    """Pins of projects that would take what was not released yet."""
    return [
        Pin(ecosystem="packagist", package=name, version="1.0.0", lock="composer.lock", stability="dev")
        for name in branches
    ]


def unseen(package: str) -> Lookup:
    return Lookup(index="packagist", package=package)


def paths(server: ComposerRepository) -> list[str]:
    return [asked.path.partition("?")[0] for asked in server.asked]


def said(lookup: Lookup) -> Lookup:
    """All of it but how far the feed was read by then."""
    return replace(lookup, feed=None)


def versions(lookup: Lookup) -> list[str]:
    return [release.version for release in lookup.releases]


# --- what is asked ---


def test_the_first_look_reads_everything(server: ComposerRepository, http: Http, now: datetime) -> None:
    found = look(server, http, now)["acme/http"]

    assert (found.outcome, found.looked_at, found.answered_at) == (Outcome.ANSWER, now, now)
    assert versions(found) == ["1.0.0", "1.1.0"]
    assert found.releases[0].needs == {"php": ">=8.1"}
    (file,) = found.releases[0].files
    assert (file.uploaded_at, file.yanked) == (datetime(2026, 1, 1, tzinfo=UTC), None)
    assert file.url == f"{server.url}/dist/acme/http/{file.hashes['sha1']}.zip"
    assert paths(server) == ["/packages.json", "/changes.json", "/p2/acme/http.json"]


def test_an_unchanged_look_over_a_thousand_packages_is_one_request(http: Http, now: datetime) -> None:
    with ComposerRepository() as server:
        names = [f"acme/part-{number}" for number in range(1000)]
        for name in names[:990]:
            server.publish(name, "1.0.0", files={})
        first = look(server, http, now, *map(unseen, names))

        again = look(server, http, now + timedelta(minutes=15), *first.values())

    assert paths(server) == ["/changes.json"]
    assert all(again[name].releases is first[name].releases for name in names)
    assert {again[name].outcome for name in names[990:]} == {Outcome.ABSENT}
    assert {lookup.answered_at for lookup in again.values()} == {now + timedelta(minutes=15)}


def test_only_what_the_feed_tells_of_is_asked_for(server: ComposerRepository, http: Http, now: datetime) -> None:
    server.publish("acme/core", "1.0.0")
    known = look(server, http, now, unseen("acme/http"), unseen("acme/core"))
    server.publish("acme/http", "1.2.0")
    server.publish("acme/other", "1.0.0")
    server.publish("acme/core", "dev-main")

    found = look(server, http, now, *known.values())

    assert versions(found["acme/http"]) == ["1.0.0", "1.1.0", "1.2.0"]
    assert paths(server) == ["/changes.json", "/packages.json", "/p2/acme/http.json"]


def test_a_package_that_was_never_asked_for_waits_for_no_feed(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    server.publish("acme/core", "1.0.0")
    known = look(server, http, now)

    found = look(server, http, now, *known.values(), unseen("acme/core"))

    assert versions(found["acme/core"]) == ["1.0.0"]
    assert paths(server)[-1] == "/p2/acme/core.json"


def test_a_feed_that_has_forgotten_asks_for_everything_again(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    known = look(server, http, now)
    server.clock += 90_000

    found = look(server, http, now, *known.values())

    assert paths(server) == ["/changes.json", "/packages.json", "/p2/acme/http.json"]
    assert server.asked[-1].headers["if-modified-since"] == known["acme/http"].files[""]
    assert found["acme/http"].releases is known["acme/http"].releases
    assert look(server, http, now, *found.values())
    assert paths(server) == ["/changes.json"], "and from there it goes on"


def test_a_look_after_days_does_not_ask_the_feed_for_days(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    known = look(server, http, now)

    look(server, http, now + timedelta(days=2), *known.values())

    assert "since" not in "".join(asked.path for asked in server.asked)


def test_a_feed_that_does_not_answer_costs_requests_and_nothing_else(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    known = look(server, http, now)
    server.publish("acme/http", "1.2.0")
    server.spoil("/changes.json", Fault(status=404))

    assert versions(look(server, http, now, *known.values())["acme/http"])[-1] == "1.2.0"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"timestamp": "x"}',
        b'{"timestamp": 5, "actions": {}}',
        b'{"timestamp": -1}',
        b'{"timestamp": 5, "actions": [{"package": "acme/http", "time": 1e999}]}',
        b'{"timestamp": 5, "actions": [{"package": "acme/http", "time": %s}]}' % (b"9" * 400),
    ],
)
def test_a_feed_that_lies_is_not_believed(server: ComposerRepository, http: Http, now: datetime, body: bytes) -> None:
    known = look(server, http, now)
    server.publish("acme/http", "1.2.0")
    server.spoil("/changes.json", Fault(body=body))

    assert versions(look(server, http, now, *known.values())["acme/http"])[-1] == "1.2.0"


def test_an_answer_that_is_older_than_the_feed_is_asked_for_again_by_the_next_look(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    known = look(server, http, now)
    server.publish("acme/http", "1.2.0")
    server.lag.add("acme/http")

    late = look(server, http, now, *known.values())
    assert paths(server).count("/p2/acme/http.json") == 2, "once more in the same look"
    assert late["acme/http"].feed == known["acme/http"].feed
    server.lag.clear()

    assert versions(look(server, http, now, *late.values())["acme/http"])[-1] == "1.2.0"


def test_servers_that_were_behind_when_everything_was_asked_for_are_found_out_by_the_next_look(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    known = look(server, http, now)
    server.rest = 0
    server.publish("acme/http", "1.2.0")
    server.lag.add("acme/http")
    asked_all = look(server, http, now + timedelta(days=2), *known.values())
    assert versions(asked_all["acme/http"]) == ["1.0.0", "1.1.0"], "the mark is too old, and nobody says what is new"
    server.lag.clear()

    late = look(server, http, now + timedelta(days=2), *asked_all.values())
    assert versions(late["acme/http"])[-1] == "1.2.0"


def test_a_file_of_tags_that_is_late_is_not_hidden_by_one_of_branches_that_is_not(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    server.publish("acme/http", "dev-main")
    known = look(server, http, now, branches={"acme/http"})
    server.publish("acme/http", "1.2.0")
    server.publish("acme/http", "dev-other")
    server.lag.add("acme/http")

    late = look(server, http, now, *known.values(), branches={"acme/http"})
    assert set(versions(late["acme/http"])) == {"1.0.0", "1.1.0", "dev-main", "dev-other"}
    server.lag.clear()

    assert "1.2.0" in versions(look(server, http, now, *late.values(), branches={"acme/http"})["acme/http"])


def test_a_file_that_is_not_there_yet_is_asked_for_again(server: ComposerRepository, http: Http, now: datetime) -> None:
    known = look(server, http, now, unseen("acme/core"))
    server.publish("acme/core", "1.0.0")
    server.spoil("/p2/acme/core.json", Fault(status=404))

    late = look(server, http, now, *known.values())
    assert (late["acme/core"].outcome, late["acme/core"].feed) == (Outcome.ABSENT, known["acme/core"].feed)
    server.mend("/p2/acme/core.json")

    assert versions(look(server, http, now, *late.values())["acme/core"]) == ["1.0.0"]


def test_servers_that_do_not_agree_yet_are_given_a_moment(server: ComposerRepository, now: datetime) -> None:
    with Http(limits=Limits(lag=0.5)) as patient:
        known = look(server, patient, now)
        server.publish("acme/http", "1.2.0")
        server.lag.add("acme/http")
        threading.Timer(0.2, server.lag.clear).start()

        assert versions(look(server, patient, now, *known.values())["acme/http"])[-1] == "1.2.0"


def test_a_deleted_package_is_absent(server: ComposerRepository, http: Http, now: datetime) -> None:
    known = look(server, http, now)
    server.withdraw("acme/http")

    gone = look(server, http, now, *known.values())["acme/http"]

    assert (gone.outcome, gone.releases, gone.files, gone.had_at) == (Outcome.ABSENT, (), {"": ""}, now)
    assert said(look(server, http, now, gone)["acme/http"]) == said(gone)
    assert paths(server) == ["/changes.json"]


def test_an_outage_is_not_peace(server: ComposerRepository, http: Http, now: datetime) -> None:
    known, later = look(server, http, now), now + timedelta(hours=1)
    server.down = True

    lost = look(server, http, later, *known.values())["acme/http"]

    assert (lost.outcome, lost.looked_at, lost.answered_at, lost.attempts) == (Outcome.UNKNOWN, later, now, 1)
    assert lost.releases == known["acme/http"].releases, "what was known is not forgotten"
    assert "503" in lost.reason
    server.down = False
    assert said(look(server, http, now, lost)["acme/http"]) == said(known["acme/http"])
    assert paths(server) == ["/changes.json"]


def test_nobody_is_asked_for_nothing(server: ComposerRepository, http: Http, now: datetime) -> None:
    assert list(Packagist(IndexSettings(kind="packagist", url=server.url)).look_up([], http, now)) == []


def test_without_an_address_it_is_packagist_itself() -> None:
    assert Packagist(IndexSettings(kind="packagist")).url == "https://repo.packagist.org"


# --- branches ---


def test_branches_are_only_asked_for_where_they_are_wanted(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    server.publish("acme/http", "dev-main")
    server.publish("acme/http", "2.x-dev")

    tags = look(server, http, now, unseen("acme/http"), unseen("acme/core"), branches={"acme/core"})
    assert versions(tags["acme/http"]) == ["1.0.0", "1.1.0"]
    assert not any("http~dev" in path for path in paths(server))

    # When the project begins to let them in, of which the feed knows nothing
    with_branches = look(server, http, now, *tags.values(), branches={"acme/http"})
    assert set(versions(with_branches["acme/http"])) == {"1.0.0", "1.1.0", "2.x-dev", "dev-main"}
    assert "/p2/acme/http~dev.json" in paths(server)

    server.publish("acme/http", "3.x-dev")
    found = look(server, http, now, *with_branches.values(), branches={"acme/http"})
    assert "3.x-dev" in versions(found["acme/http"])

    # And when it lets them in no more
    after = look(server, http, now, *found.values())["acme/http"]
    assert versions(after) == ["1.0.0", "1.1.0"]
    assert versions(look(server, http, now, after)["acme/http"]) == ["1.0.0", "1.1.0"]
    assert paths(server) == ["/changes.json"]


def test_a_package_without_branches_has_its_tags(server: ComposerRepository, http: Http, now: datetime) -> None:
    known = look(server, http, now, branches={"acme/http"})
    server.touch("acme/http")

    assert versions(look(server, http, now, *known.values(), branches={"acme/http"})["acme/http"]) == ["1.0.0", "1.1.0"]


# --- other kinds of repositories ---


def test_a_repository_without_a_feed_is_asked_for_each_package_on_condition(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    server.root = {"metadata-changes-url": None}
    known = look(server, http, now)

    found = look(server, http, now, *known.values())

    assert paths(server) == ["/packages.json", "/p2/acme/http.json"]
    assert found["acme/http"].releases is known["acme/http"].releases


@pytest.mark.parametrize("key", ["available-packages", "available-package-patterns"])
def test_what_a_repository_says_that_it_lacks_is_not_asked_for(
    server: ComposerRepository, http: Http, now: datetime, key: str
) -> None:
    server.root = {key: ["acme/ht*" if "pattern" in key else "Acme/HTTP"]}

    found = look(server, http, now, unseen("acme/http"), unseen("other/http"))

    assert (found["acme/http"].outcome, found["other/http"].outcome) == (Outcome.ANSWER, Outcome.ABSENT)
    assert not any("other" in path for path in paths(server))


def test_packages_that_stand_in_the_root_are_read_there(server: ComposerRepository, http: Http, now: datetime) -> None:
    rows = {"1.0.0": {"version": "1.0.0"}, "dev-main": {"version": "dev-main"}}
    server.root = {"packages": {"Acme/HTTP": rows}, "metadata-url": None, "metadata-changes-url": None}

    found = look(server, http, now, unseen("acme/http"), unseen("acme/core"))

    assert (versions(found["acme/http"]), found["acme/core"].outcome) == (["1.0.0"], Outcome.ABSENT)
    assert paths(server) == ["/packages.json"]


def test_files_that_the_root_includes_are_read_and_checked(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    inner = json.dumps({"packages": {"acme/core": {"2.0": {"version": "2.0"}}}}).encode()
    outer_text = {"packages": {}, "includes": {"include/b.json": {"sha1": hashlib.sha1(inner).hexdigest()}}}
    outer = json.dumps(outer_text).encode()
    server.spoil("/include/a.json", Fault(body=outer))
    server.spoil("/include/b.json", Fault(body=inner))
    server.root = {
        "includes": {"include/a.json": {"sha1": hashlib.sha1(outer).hexdigest()}},
        "metadata-url": None,
        "metadata-changes-url": None,
    }

    found = look(server, http, now, unseen("acme/core"))["acme/core"]
    assert (found.reason, versions(found)) == ("", ["2.0.0"])
    server.spoil("/include/b.json", Fault(body=inner + b" "))
    lied = look(server, http, now, unseen("acme/core"))["acme/core"]

    assert (lied.outcome, "expected sha1" in lied.reason) == (Outcome.UNKNOWN, True)


def test_the_first_version_of_the_protocol_is_spoken_too(server: ComposerRepository, http: Http, now: datetime) -> None:
    own = json.dumps({"packages": {"acme/core": {"1.0": {"version": "1.0"}, "x": {"version": "dev-x"}}}}).encode()
    digest = hashlib.sha256(own).hexdigest()
    providers = json.dumps({"providers": {"acme/core": {"sha256": digest}}}).encode()
    server.spoil(f"/p/acme/core${digest}.json", Fault(body=own))
    server.spoil(f"/p/all${hashlib.sha256(providers).hexdigest()}.json", Fault(body=providers))
    server.root = {
        "providers-url": "/p/%package%$%hash%.json",
        "provider-includes": {"p/all$%hash%.json": {"sha256": hashlib.sha256(providers).hexdigest()}},
        "metadata-url": None,
        "metadata-changes-url": None,
    }

    found = look(server, http, now, unseen("acme/core"), unseen("acme/http"))

    assert (versions(found["acme/core"]), found["acme/http"].outcome) == (["1.0.0"], Outcome.ABSENT)


# --- keys ---


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("basic", basic("anna", "hunter2")),
        ("bearer", {"authorization": "Bearer hunter2"}),
        ("gitlab-token", {"private-token": "hunter2"}),
    ],
)
def test_a_repository_is_shown_the_key_in_its_way(
    server: ComposerRepository,
    http: Http,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    auth: str,
    header: dict[str, str],
) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    server.key = header

    assert look(server, http, now)["acme/http"].outcome is Outcome.UNKNOWN
    found = look(server, http, now, username="anna", password=Secret(env="KEY"), auth=auth)["acme/http"]

    assert found.outcome is Outcome.ANSWER


def test_the_key_does_not_travel_to_another_server(
    server: ComposerRepository, http: Http, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    with ComposerRepository() as other:
        server.root = {"metadata-url": f"{other.url}/p2/%package%.json"}
        look(server, http, now, password=Secret(env="KEY"), auth="gitlab-token", private=True)

        assert other.asked
        assert all("private-token" not in asked.headers for asked in other.asked)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/%package%",
        "file:///etc/passwd",
        "http://169.254.169.254/x",
        "http://repo.packages.example/p2/%package%.json",
        "https://packages.example:8443/p2/%package%.json",
        "https://evil.packages.example/p2/%package%.json",
        "https://example/p2/%package%.json",
        "https://repo.packages.example:x/p2/%package%.json",
    ],
)
def test_a_repository_does_not_send_us_to_strangers(url: str) -> None:
    with pytest.raises(IndexLied, match="metadata-url: expected an address of the same host, or of its family"):
        read_root(json.dumps({"metadata-url": url}).encode(), "https://repo.packages.example/packages.json")


@pytest.mark.parametrize(
    ("here", "there"),
    [("https://10.0.0.1", "https://0.0.1"), ("https://acme.hub.example", "https://evil.hub.example")],
)
def test_numbers_and_neighbours_are_no_family(here: str, there: str) -> None:
    assert not may_lead(here, there)


def test_a_repository_may_have_several_hosts_of_one_family() -> None:
    said = {
        "metadata-url": "/p2/%package%.json",
        "metadata-changes-url": "https://packages.example/changes.json",
        "security-advisories": {"api-url": "https://repo.packages.example:8443/api"},
    }
    root = read_root(json.dumps(said).encode(), "https://repo.packages.example/packages.json")

    assert root.metadata == "https://repo.packages.example/p2/%package%.json"
    assert may_lead("https://packages.example", "https://repo.packages.example/x")


@pytest.mark.parametrize("key", ["metadata-url", "metadata-changes-url", "api-url"])
def test_a_repository_does_not_send_us_into_a_private_network_either(
    server: ComposerRepository, http: Http, now: datetime, key: str
) -> None:
    with ComposerRepository() as internal:
        if key == "api-url":
            server.root = {"security-advisories": {"api-url": f"{internal.url}/api/security-advisories/"}}
        else:
            server.root = {key: f"{internal.url}/p2/%package%.json"}
        found = look(server, http, now)["acme/http"]
        assert internal.asked == []
        assert found.outcome is (Outcome.ANSWER if key == "metadata-changes-url" else Outcome.UNKNOWN)
        assert key == "metadata-changes-url" or "is at the private address 127.0.0.1" in found.reason

        look(server, http, now, private=True)
        assert internal.asked


# --- what is known against packages ---


def test_an_advisory_is_told_in_full(server: ComposerRepository, http: Http, now: datetime) -> None:
    server.advisories["acme/http"] = [ADVISORY]

    found = look(server, http, now)["acme/http"]

    (advisory,) = found.advisories
    assert (advisory.name, advisory.aliases, advisory.severity) == ("CVE-2026-1", ("CVE-2026-1", "GHSA-1"), "moderate")
    assert advisory.affects("1.0.0", SCHEMES["packagist"])
    assert not advisory.affects("1.1.0", SCHEMES["packagist"])
    look(server, http, now, found)
    assert paths(server) == ["/changes.json"], "what has been told is not asked again"


def test_an_advisory_that_comes_later_is_heard_of_through_the_feed(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    known = look(server, http, now)
    server.advisories["acme/http"] = [ADVISORY]
    server.touch("acme/http")

    assert [one.name for one in look(server, http, now, *known.values())["acme/http"].advisories] == ["CVE-2026-1"]


def test_of_an_advisory_that_nobody_tells_in_full_the_range_is_known(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    server.advisories["acme/http"] = [ADVISORY]
    server.spoil("/api/security-advisories/", Fault(status=500))

    found = look(server, http, now)["acme/http"]

    assert (found.outcome, [one.name for one in found.advisories]) == (Outcome.ANSWER, ["PKSA-1"])
    assert "only the ids" in found.remark
    assert found.advisories[0].affects("1.0.0", SCHEMES["packagist"])
    server.mend("/api/security-advisories/")

    told = look(server, http, now, found)["acme/http"]
    assert ([one.name for one in told.advisories], told.remark) == (["CVE-2026-1"], "")


def test_where_only_the_api_tells_advisories_a_package_is_unknown_without_it(
    server: ComposerRepository, http: Http, now: datetime
) -> None:
    server.root = {"security-advisories": {"api-url": "/api/security-advisories/"}}
    server.advisories["acme/http"] = [ADVISORY]

    found = look(server, http, now)["acme/http"]
    assert [one.name for one in found.advisories] == ["CVE-2026-1"]
    server.advisories.clear()
    found = look(server, http, now, found)["acme/http"]
    assert (found.outcome, found.advisories) == (Outcome.ANSWER, ()), "withdrawn"
    server.spoil("/api/security-advisories/", Fault(status=500))

    assert look(server, http, now, found)["acme/http"].outcome is Outcome.UNKNOWN


def test_malware_is_told_by_the_package_or_by_a_list(server: ComposerRepository, http: Http, now: datetime) -> None:
    server.malware["acme/http"] = [{"constraint": "1.1.0", "id": "MAL-1", "reason": "it mines", "url": "x"}]

    (own,) = look(server, http, now)["acme/http"].advisories
    assert (own.malware, own.id, own.affects("1.1.0", SCHEMES["packagist"])) == (True, "MAL-1", True)
    assert not own.affects("1.0.0", SCHEMES["packagist"])
    server.malware.clear()
    server.root = {"filter": {"summary-url": "/lists/all/summary.json"}}
    server.spoil("/lists/all/summary.json", Fault(body=b'{"filter": {"malware": {"acme/http": "*"}}}'))

    (listed,) = look(server, http, now)["acme/http"].advisories
    assert (listed.malware, listed.constraint) == (True, "*")


@pytest.mark.parametrize("constraint", [None, "", "not a range", 5])
def test_a_warning_that_cannot_be_read_warns_of_everything(constraint: Any) -> None:
    body = {"advisories": {"acme/http": {"3": {**ADVISORY, "affectedVersions": constraint}}}}

    (advisory,) = read_advisories(json.dumps(body).encode(), URL)["acme/http"]

    assert advisory.affects("9.9.9", SCHEMES["packagist"])


def test_a_package_that_was_abandoned_says_what_to_use(server: ComposerRepository, http: Http, now: datetime) -> None:
    server.abandoned["acme/http"] = "symfony/http-client"
    found = look(server, http, now)["acme/http"]
    assert (found.status, found.status_said) == ("abandoned", "use symfony/http-client in its place")
    server.abandoned["acme/http"] = True

    assert "nothing takes its place" in look(server, http, now)["acme/http"].status_said


def test_a_tag_that_has_moved_is_marked_for_good(server: ComposerRepository, http: Http, now: datetime) -> None:
    known = look(server, http, now)
    server.publish("acme/http", "v1.1.0", files={"src/evil.php": "<?php"})

    first = look(server, http, now, *known.values())["acme/http"]
    assert "its tag has moved from" in first.releases[1].moved
    server.publish("acme/http", "1.2.0")
    second = look(server, http, now, first)["acme/http"]

    assert [release.moved == "" for release in second.releases] == [True, False, True]


# --- how answers are read ---


def page(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"packages": {"acme/http": rows}, "minified": "composer/2.0", **more}).encode()


def read(*rows: Any, **more: Any) -> Metadata:
    return parse(page(*rows, **more), "acme/http", URL)


def test_what_a_version_leaves_out_is_as_in_the_one_before() -> None:
    full: list[dict[str, Any]] = [
        {"version": "3.0", "require": {"php": ">=8.2"}, "abandoned": True},
        {"version": "2.0", "require": {"php": ">=8.2"}},
        {"version": "1.0", "require": {"php": ">=7"}},
    ]
    assert minified(full)[1] == {"version": "2.0", "abandoned": "__unset"}

    found = read(*minified(full))

    assert [(one.version, one.needs) for one in found.releases] == [
        ("1.0.0", {"php": ">=7"}),
        ("2.0.0", {"php": ">=8.2"}),
        ("3.0.0", {"php": ">=8.2"}),
    ]


def test_a_version_that_composer_does_not_know_is_left_out() -> None:
    found = read({"version": "1.0"}, {"version": "one"}, {"version": 5}, {"version": None}, {"version": "1.0.0"})

    assert [release.version for release in found.releases] == ["1.0.0"]


def test_the_day_that_an_author_writes_on_a_tag_does_not_count() -> None:
    (release,) = read({"version": "1.0", "time": "2001-01-01T00:00:00+00:00"}).releases
    assert release.released_at is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "body: expected JSON"),
        (b"[" * 1_000_000, "body: expected JSON"),
        (b"[1]", "body: expected an object, got list"),
        (b'{"packages": 5}', "packages: expected an object, got int"),
        (b'{"packages": {"acme/http": 5}}', "packages[acme/http]: expected a list, got int"),
        (b'{"packages": {"acme/http": [5]}}', "packages[acme/http][0]: expected an object, got int"),
        (b'{"security-advisories": 5}', "security-advisories: expected a list, got int"),
        (b'{"filter": [5]}', "filter: expected an object, got list"),
        (b"1" + b",1" * 1_300_000, "body: expected at most 1,200,000 values"),
    ],
)
def test_a_lie_names_its_place(body: bytes, said: str) -> None:
    with pytest.raises(IndexLied) as raised:
        parse(body, "acme/http", URL)

    assert str(raised.value).startswith(f"{URL}: {said}")


def test_a_lie_is_unknown_and_costs_the_others_nothing(server: ComposerRepository, http: Http, now: datetime) -> None:
    server.publish("acme/core", "1.0.0")
    server.spoil("/p2/acme/http.json", Fault(body=b"<html>"))

    found = look(server, http, now, unseen("acme/http"), unseen("acme/core"))

    assert (found["acme/http"].outcome, found["acme/core"].outcome) == (Outcome.UNKNOWN, Outcome.ANSWER)
    server.spoil("/p2/acme/http.json", bomb(50))
    said = look(server, http, now)["acme/http"]
    assert (said.outcome, "40,000,000" in said.reason or "40 MB" in said.reason or "bytes" in said.reason) == (
        Outcome.UNKNOWN,
        True,
    )


def test_two_looks_are_the_same_but_for_their_time(server: ComposerRepository, http: Http, now: datetime) -> None:
    first = look(server, http, now)["acme/http"]
    second = look(server, http, now + timedelta(hours=1), first)["acme/http"]

    assert said(replace(second, looked_at=now, answered_at=now)) == said(first)
