"""What there is to tell: from the ledger, the index and the authors, and never at the cost of a proposal."""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.rig.composer_repository import ComposerRepository
from tests.rig.simple_index import Fault, SimpleIndex
from tests.workers.propose.world import release
from watcher import config
from watcher.advisory import Advisory
from watcher.bump import Bump
from watcher.http import basic
from watcher.indexes import packagist_metadata
from watcher.ledger import Ledger
from watcher.lockfiles.diff import Change, LockDiff
from watcher.lookup import Bulletin, Lookup
from watcher.machine import Machine
from watcher.pin import Pin
from watcher.rollout import HostState, Rollout
from workers.propose.facts import Layer
from workers.propose.links import Link
from workers.propose.teller import FromEverywhere

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LAYERS = (Layer(components=("pypi:side",), size=5),)
BUMP = Bump(
    id="shop:side:1.1",
    app="shop",
    ecosystem="pypi",
    package="side",
    from_version="1.0",
    to_version="1.1",
    found_at=MONDAY,
    advisories=("CVE-2026-1",),
)


def pin(package: str, version: str) -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="uv.lock")


DIFF = LockDiff(
    changed=(Change(pin("core", "1.0"), pin("core", "2.0")), Change(pin("side", "1.0"), pin("side", "1.1")))
)


def nothing(_: str) -> None:
    """No file of the repository is needed."""


def sdist(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("side-1.1/CHANGES.md")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.fixture
def running() -> Iterator[SimpleIndex]:
    with SimpleIndex() as index:
        index.publish("core", "1.0")
        index.publish("core", "2.0")
        index.publish("side", "1.0")
        index.publish("side", "1.1", requires=["Core>=2", "extra; extra == 'all'"])
        index.add("side", "side-1.1.tar.gz", sdist("## 1.1\n- new\n\n## 1.0\n- old\n"))
        yield index


def teller(index: SimpleIndex, state: Path, monkeypatch: pytest.MonkeyPatch, url: str = "") -> FromEverywhere:
    monkeypatch.setenv("INDEX_PASSWORD", "s3cret-of-the-index")
    settings = config.parse(
        f"""
        [toplayer]
        state = "{state}"
        [indexes.pypi]
        kind = "pypi"
        url = "{url or index.url}"
        username = "us"
        password = {{ env = "INDEX_PASSWORD" }}
        private = true
        [apps.shop]
        repository = "{state}/repo"
        lock = "uv.lock"
        fleet = "field"
        [apps.shop.image]
        repository = "oci:{state}/images"
        python = "3.12"
        [fleets.field]
        waves = [1, "50%", "100%"]
        hosts = [{{ name = "h1", address = "dir:{state}/h1" }}]
        """,
        "test",
    )
    ledger = Ledger(f"sqlite:///{state}/ledger.db")
    for package, versions in {"core": ("1.0", "2.0"), "side": ("1.0", "1.1")}.items():
        known = tuple(release(index, package, version) for version in versions)
        ledger.add(Lookup(index="pypi", package=package, releases=known), MONDAY)
    known_bad = Advisory(id="GHSA-1", aliases=("CVE-2026-1",), summary="it leaks")
    ledger.add(Bulletin(source="osv", ecosystem="pypi", package="side", advisories=(known_bad,)), MONDAY)
    return FromEverywhere(BUMP, settings, ledger, lambda: LAYERS)


def test_all_that_is_known_is_told(running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = teller(running, tmp_path, monkeypatch)(DIFF, nothing)
    (notes,) = facts.notes
    assert (notes.package, notes.text, notes.source) == ("side", "## 1.1\n- new", "CHANGES.md in side-1.1.tar.gz")
    assert facts.why["core"] == "side 1.1 needs Core>=2"
    assert facts.advisories["CVE-2026-1"].summary == "it leaks"
    assert facts.releases["side", "1.1"].released_at is not None
    assert (facts.layers, facts.fleet, facts.waves) == (LAYERS, "field", "1, 50%, 100%")


def test_how_fast_the_last_pulls_were_is_told(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = teller(running, tmp_path, monkeypatch)
    assert asking(DIFF, nothing).links == (Link(site="", hosts=1, unknown=1),)
    rollout = Rollout(id="shop:1", app="shop", generation=1, commit="c", wanted_at=MONDAY, rolling_at=MONDAY)
    asking.ledger.add(rollout, MONDAY)
    asking.ledger.add(HostState(rollout="shop:1", host="h1", position=0, bytes=3_000_000, pull_seconds=30.0), MONDAY)
    asking.ledger.add(Machine(fleet="field", host="h1", classic=True, answered_at=MONDAY), MONDAY)
    assert asking(DIFF, nothing).links == (Link(site="", hosts=1, classic=1, rate=100_000.0),)


def test_an_index_that_is_down_costs_only_what_it_would_have_told(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = teller(running, tmp_path, monkeypatch)
    running.down = True
    facts = asking(DIFF, nothing)
    assert (facts.notes, facts.why) == ([], {})
    assert facts.releases["side", "1.1"].version == "1.1"


def test_a_file_that_is_not_what_the_index_said_is_not_read(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = teller(running, tmp_path, monkeypatch)
    running.add("side", "side-1.1.tar.gz", sdist("## 1.1\n- forged\n"))
    assert asking(DIFF, nothing).notes == []


def test_the_password_of_an_index_goes_to_its_own_server_alone(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = basic("us", "s3cret-of-the-index")["authorization"]
    teller(running, tmp_path, monkeypatch)(DIFF, nothing)
    assert {one.headers.get("authorization") for one in running.asked if one.path.startswith("/files")} == {mine}
    running.asked.clear()
    (tmp_path / "other").mkdir()
    teller(running, tmp_path / "other", monkeypatch, url="http://127.0.0.1:1/simple")(DIFF, nothing)
    asked = [one for one in running.asked if one.path.startswith("/files")]
    assert asked
    assert not any("authorization" in one.headers for one in asked)


# --- packages of PHP --------------------------------------------------------------------------------------------------

SIDE, CORE = "acme/side", "acme/core"
LOCK = {
    "packages": [
        {"name": CORE, "version": "2.0.0"},
        {"name": SIDE, "version": "1.1.0", "require": {"php": ">=8.1", CORE: "^2.0"}},
    ],
    "packages-dev": [],
}


@pytest.fixture
def composer() -> Iterator[ComposerRepository]:
    with ComposerRepository() as repository:
        for version in ("1.0.0", "2.0.0"):
            repository.publish(CORE, version)
        repository.publish(SIDE, "1.0.0")
        said = "# Changelog\n\n## [1.1.0] - 2026-02-01\n- new\n\n## 1.0.0\n- old\n"
        repository.publish(SIDE, "1.1.0", files={"CHANGELOG.md": said, "src/Side.php": "<?php"})
        yield repository


def php(repository: ComposerRepository, state: Path) -> FromEverywhere:
    settings = config.parse(
        f"""
        [toplayer]
        state = "{state}"
        [indexes.packagist]
        kind = "packagist"
        url = "{repository.url}"
        private = true
        [apps.shop]
        repository = "{state}/repo"
        lock = "composer.lock"
        fleet = "field"
        [apps.shop.image]
        repository = "oci:{state}/images"
        php = "8.2"
        [fleets.field]
        """,
        "test",
    )
    ledger = Ledger(f"sqlite:///{state}/ledger.db")
    for package, versions in repository.versions.items():
        known = packagist_metadata.read(list(versions.values()), package, repository.url).releases
        ledger.add(Lookup(index="packagist", package=package, releases=known), MONDAY)
    bump = replace(BUMP, ecosystem="packagist", package=SIDE, from_version="1.0.0", to_version="1.1.0", advisories=())
    return FromEverywhere(bump, settings, ledger, tuple)


def php_pin(package: str, version: str) -> Pin:
    return Pin(ecosystem="packagist", package=package, version=version, lock="composer.lock")


PHP_DIFF = LockDiff(
    changed=(
        Change(php_pin(CORE, "1.0.0"), php_pin(CORE, "2.0.0")),
        Change(php_pin(SIDE, "1.0.0"), php_pin(SIDE, "1.1.0")),
    )
)


def locked(path: str) -> bytes | None:
    return json.dumps(LOCK).encode() if path == "composer.lock" else None


def test_a_package_of_php_is_told_of_by_its_archive_and_its_lock(composer: ComposerRepository, tmp_path: Path) -> None:
    facts = php(composer, tmp_path)(PHP_DIFF, locked)
    (notes,) = facts.notes
    assert (notes.package, notes.text) == (SIDE, "## [1.1.0] - 2026-02-01\n- new")
    assert notes.source.startswith("CHANGELOG.md in acme-side-1.1.0")
    assert facts.why[CORE] == "acme/side 1.1.0 needs acme/core ^2.0"
    assert facts.releases[SIDE, "1.1.0"].released_at is not None


def test_an_archive_of_php_that_is_not_the_lock_s_is_not_read(composer: ComposerRepository, tmp_path: Path) -> None:
    asking = php(composer, tmp_path)
    (archive,) = (file for one in asking.ledger.all(Lookup, package=SIDE) for file in one.releases[1].files)
    composer.spoil(urlsplit(archive.url).path, Fault(body=b"PK something else"))
    assert asking(PHP_DIFF, locked).notes == []


@pytest.mark.parametrize("lock", [None, b"", b"[]", b'{"packages": 5}', b"\xff"])
def test_a_lock_that_says_nothing_costs_only_the_reasons(
    composer: ComposerRepository, tmp_path: Path, lock: bytes | None
) -> None:
    facts = php(composer, tmp_path)(PHP_DIFF, lambda _: lock)
    assert facts.why == {}
    assert len(facts.notes) == 1
