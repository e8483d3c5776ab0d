"""What is recorded of a real repository keeps its shape and loses its names."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.rig.composer_repository import ComposerRepository
from tests.rig.record import record
from tests.rig.simple_index import Fault
from tests.watcher.indexes.test_packagist import ADVISORY
from watcher.http import Http
from watcher.indexes.packagist_advisories import read_advisories
from watcher.indexes.packagist_metadata import parse
from watcher.indexes.packagist_root import read_root

URL = "https://index.example/packages.json"


@pytest.fixture
def server() -> Iterator[ComposerRepository]:
    with ComposerRepository() as server:
        server.publish("secret-shop/http", "v1.0.0", requires={"php": ">=8.1", "secret-shop/core": "^1 || ^2@beta"})
        server.publish(
            "secret-shop/http", "1.1.0-RC1", authors=[{"name": "Anna Secret", "email": "anna@secret.example"}]
        )
        server.publish("secret-shop/http", "dev-secret-plan", extra={"branch-alias": {"dev-secret-plan": "2.x-dev"}})
        server.publish("secret-shop/other", "1.0.0")
        server.abandoned["secret-shop/http"] = "secret-shop/core"
        server.advisories["secret-shop/http"] = [ADVISORY]
        server.root = {"warning": "ask Anna Secret", "notify-batch": "https://secret.example/downloads/"}
        yield server


def test_names_are_made_up_and_shapes_are_kept(server: ComposerRepository, now: datetime) -> None:
    with Http() as http:
        found = record(server.url, ["secret-shop/http"], http)

    assert set(found) == {
        "packages.json",
        "changes.json",
        "p2/acme/a.json",
        "p2/acme/a~dev.json",
        "security-advisories.json",
    }
    whole = b"\n".join(found.values()).lower()
    assert b"secret" not in whole
    assert server.url.encode() not in whole
    tags = parse(found["p2/acme/a.json"], "acme/a", URL)
    assert [(one.version, one.needs) for one in tags.releases] == [("1.0.0", {"php": ">=8.1"}), ("1.1.0-RC1", {})]
    assert tags.abandoned.startswith("use vendor/")
    assert tags.releases[0].files[0].hashes["sha1"]
    (branch,) = parse(found["p2/acme/a~dev.json"], "acme/a", URL).releases
    assert branch.version.startswith("dev-")
    root = read_root(found["packages.json"], URL)
    assert root.file_of("acme/a") == "https://index.example/p2/acme/a.json"
    assert root.changes == "https://index.example/changes.json"
    (told,) = read_advisories(found["security-advisories.json"], URL)["acme/a"]
    assert (told.constraint, told.severity, told.name) == (">=1.0,<1.1", "moderate", "CVE-0000-0")
    raw = json.loads(found["p2/acme/a.json"])["packages"]["acme/a"]
    assert list(raw[0])[:3] == ["name", "type", "require"]
    assert set(raw[-1]["require"].values()) == {">=8.1", "^1 || ^2@beta"}


def test_what_a_repository_does_not_have_is_not_recorded(server: ComposerRepository, tmp_path: Path) -> None:
    server.root = {"metadata-changes-url": None, "security-advisories": None}
    server.spoil("/p2/secret-shop/http~dev.json", Fault(status=404))
    with Http() as http:
        assert set(record(server.url, ["secret-shop/http"], http)) == {"packages.json", "p2/acme/a.json"}
