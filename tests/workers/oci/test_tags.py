"""Registries as an index: what a tag names now, behind credentials, and when nobody answers."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.rig.image import layer, publish
from tests.rig.process import free_port
from tests.rig.registry import registry
from watcher.http import Http
from watcher.lookup import Lookup, Outcome
from watcher.poll import dated
from watcher.settings import RegistrySettings
from workers.oci.stores import open_store
from workers.oci.tags import Tags


@pytest.fixture
def http() -> Http:
    return Http()  # never entered: registries are asked through a door of their own


def test_a_tag_has_one_release_which_is_as_old_as_our_first_sight_of_it(
    tmp_path: Path, http: Http, now: datetime
) -> None:
    with registry(tmp_path, auth=True) as real:
        registries = {real.address: real.settings}
        base = open_store(f"{real.address}/base/python", registries)
        first = publish(base, [layer({"a": "1"})], tag="3.12")
        index, bare = Tags(registries), Lookup(index="oci", package=f"{real.address}/base/python:3.12")

        (seen,) = index.look_up([bare], http, now)
        seen = dated(bare, seen, now)
        (again,) = index.look_up([seen], http, now + timedelta(days=1))
        second = publish(base, [layer({"a": "2"})], tag="3.12")
        (moved,) = index.look_up([again], http, now + timedelta(days=2))
        moved = dated(again, moved, now + timedelta(days=2))
        (gone,) = index.look_up([Lookup(index="oci", package=f"{real.address}/base/ruby")], http, now)

    assert (seen.outcome, [one.version for one in seen.releases]) == (Outcome.ANSWER, [first])
    assert again.releases is seen.releases
    assert again.looked_at == now + timedelta(days=1)
    assert [one.version for one in moved.releases] == [second]
    assert [one.releases[0].files[0].seen_at for one in (again, moved)] == [now, now + timedelta(days=2)]
    assert (gone.outcome, gone.releases) == (Outcome.ABSENT, ())


def test_a_registry_that_says_no_leaves_what_was_known(tmp_path: Path, http: Http, now: datetime) -> None:
    with registry(tmp_path, auth=True) as real:
        registries = {real.address: real.settings}
        publish(open_store(f"{real.address}/base", registries), [layer({"a": "1"})], tag="1")
        (seen,) = Tags(registries).look_up([Lookup(index="oci", package=f"{real.address}/base:1")], http, now)
        (refused,) = Tags({real.address: RegistrySettings(plain_http=True)}).look_up([seen], http, now)

    assert (refused.outcome, refused.releases) == (Outcome.UNKNOWN, seen.releases)
    assert "name and a password" in refused.reason
    assert refused.due_at is not None


def test_a_registry_that_is_away_is_unknown_and_asked_again(http: Http, now: datetime) -> None:
    nobody = Lookup(index="oci", package=f"127.0.0.1:{free_port()}/base:1")

    (unknown,) = Tags({}, patience=0.1).look_up([nobody], http, now)

    assert (unknown.outcome, unknown.attempts) == (Outcome.UNKNOWN, 1)
    assert unknown.due_at is not None
    assert unknown.due_at > now
