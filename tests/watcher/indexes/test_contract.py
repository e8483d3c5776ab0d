"""What every index keeps to: the one in memory, and PyPI's against a real server that speaks its protocol."""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from tests.fakes.index import FakeIndex
from tests.rig.simple_index import SimpleIndex
from watcher.http import Http, Limits
from watcher.indexes import Index
from watcher.indexes.pypi import PyPI
from watcher.lookup import Lookup, Outcome
from watcher.settings import IndexSettings


class Upstream(Protocol):
    """The other side: where releases appear."""

    down: bool

    def publish(self, name: str, version: str, *, requires_python: str = "", at: datetime | None = ...) -> None: ...
    def yank(self, name: str, version: str, reason: str = "") -> None: ...
    def withdraw(self, name: str) -> None: ...


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with Http(limits=Limits(pause=0.01, stall=2.0)) as http:
        yield http


@pytest.fixture(params=["in memory", "etag", "last-modified", "no validators"])
def world(request: pytest.FixtureRequest) -> Iterator[tuple[Upstream, Index]]:
    with contextlib.ExitStack() as stack:
        if request.param == "in memory":
            fake = FakeIndex()
            yield fake, fake
        else:
            validators = [name for name in ("etag", "last-modified") if name == request.param]
            server = stack.enter_context(SimpleIndex(validators=validators))
            yield server, PyPI(IndexSettings(kind="pypi", url=server.url))


def look(index: Index, http: Http, now: datetime, *known: Lookup) -> dict[str, Lookup]:
    return {lookup.package: lookup for lookup in index.look_up(known, http, now)}


def unseen(package: str) -> Lookup:
    return Lookup(index="pypi", package=package)


def test_an_answer_has_all_releases_in_their_order(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    upstream, index = world
    for version in ("1.10.0", "1.9.0", "2.0rc1"):
        upstream.publish("shop-api", version, requires_python=">=3.9", at=now)

    found = look(index, http, now, unseen("shop-api"))["shop-api"]

    assert (found.outcome, found.looked_at, found.answered_at, found.reason) == (Outcome.ANSWER, now, now, "")
    assert [release.version for release in found.releases] == ["1.9.0", "1.10.0", "2.0rc1"]
    (file,) = found.releases[0].files
    assert (file.filename, file.requires_python, file.yanked) == ("shop_api-1.9.0-py3-none-any.whl", ">=3.9", None)
    assert (file.uploaded_at, len(file.hashes["sha256"])) == (now, 64)
    assert file.url.endswith("/files/shop_api-1.9.0-py3-none-any.whl")


def test_every_package_that_is_asked_for_gets_its_own_lookup(
    world: tuple[Upstream, Index], http: Http, now: datetime
) -> None:
    upstream, index = world
    for number in range(30):
        upstream.publish(f"part-{number}", "1.0")

    found = look(index, http, now, *(unseen(f"part-{number}") for number in range(31)))

    assert len(found) == 31
    assert found["part-30"].outcome is Outcome.ABSENT
    assert all(found[f"part-{number}"].releases for number in range(30))


def test_nothing_new_is_an_answer_too(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    upstream, index = world
    upstream.publish("six", "1.0")
    later = now + timedelta(hours=1)

    first = look(index, http, now, unseen("six"))["six"]
    second = look(index, http, later, first)["six"]

    assert (second.outcome, second.answered_at, second.releases) == (Outcome.ANSWER, later, first.releases)


def test_a_new_release_is_seen_by_the_next_look(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    upstream, index = world
    upstream.publish("six", "1.0")
    first = look(index, http, now, unseen("six"))["six"]

    upstream.publish("six", "1.1", at=now)

    assert [release.version for release in look(index, http, now, first)["six"].releases] == ["1.0", "1.1"]


def test_a_yanked_release_stays_with_its_reason(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    upstream, index = world
    upstream.publish("six", "1.0", at=None)
    upstream.publish("six", "1.1", at=None)
    upstream.yank("six", "1.0", "breaks Python")
    upstream.yank("six", "1.1")

    found = look(index, http, now, unseen("six"))["six"]

    assert [release.yanked for release in found.releases] == ["breaks Python", "no reason given"]


def test_an_index_that_does_not_tell_when_is_believed_not_to_know(
    world: tuple[Upstream, Index], http: Http, now: datetime
) -> None:
    upstream, index = world
    upstream.publish("six", "1.0", at=None)

    assert look(index, http, now, unseen("six"))["six"].releases[0].released_at is None


def test_a_package_that_is_not_there_is_absent(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    upstream, index = world
    upstream.publish("six", "1.0")
    known = look(index, http, now, unseen("six"))["six"]

    upstream.withdraw("six")
    gone = look(index, http, now, known)["six"]

    assert (gone.outcome, gone.releases, gone.etag, gone.last_modified) == (Outcome.ABSENT, (), "", "")
    assert gone.had_at == now, "that it was there is not forgotten"
    assert look(index, http, now + timedelta(hours=1), gone)["six"].had_at == now
    upstream.publish("six", "1.1")
    assert look(index, http, now, gone)["six"].had_at is None


def test_a_package_that_was_never_there_is_absent_and_nothing_else(
    world: tuple[Upstream, Index], http: Http, now: datetime
) -> None:
    upstream, index = world
    upstream.down = True
    failed = look(index, http, now, unseen("six"))["six"]
    upstream.down = False

    found = look(index, http, now, failed)["six"]

    assert (found.outcome, found.had_at) == (Outcome.ABSENT, None)


def test_an_outage_is_not_peace(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    upstream, index = world
    upstream.publish("six", "1.0")
    known = look(index, http, now, unseen("six"))["six"]
    later = now + timedelta(hours=1)

    upstream.down = True
    found = look(index, http, later, known)["six"]

    assert (found.outcome, found.looked_at, found.answered_at) == (Outcome.UNKNOWN, later, now)
    assert found.releases == known.releases, "what was known is not forgotten"
    assert "did not answer" in found.reason
    assert found.attempts == 1
    assert found.due_at is not None
    assert found.due_at > later


def test_after_an_outage_everything_is_as_if_there_had_been_none(
    world: tuple[Upstream, Index], http: Http, now: datetime
) -> None:
    upstream, index = world
    upstream.publish("six", "1.0")
    known = look(index, http, now, unseen("six"))["six"]
    upstream.down = True
    failed = look(index, http, now, known)["six"]

    upstream.down = False

    assert look(index, http, now, failed)["six"] == known


def test_nobody_is_asked_for_nothing(world: tuple[Upstream, Index], http: Http, now: datetime) -> None:
    _, index = world

    assert look(index, http, now) == {}
