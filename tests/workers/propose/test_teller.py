"""What there is to tell: from the ledger, the index and the authors, and never at the cost of a proposal."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import release
from watcher import config
from watcher.advisory import Advisory
from watcher.bump import Bump
from watcher.http import basic
from watcher.ledger import Ledger
from watcher.lockfiles.diff import Change, LockDiff
from watcher.lookup import Bulletin, Lookup
from watcher.pin import Pin
from workers.propose.facts import Layer
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
    facts = teller(running, tmp_path, monkeypatch)(DIFF)
    (notes,) = facts.notes
    assert (notes.package, notes.text, notes.source) == ("side", "## 1.1\n- new", "CHANGES.md in side-1.1.tar.gz")
    assert facts.why["core"] == "side 1.1 needs Core>=2"
    assert facts.advisories["CVE-2026-1"].summary == "it leaks"
    assert facts.releases["side", "1.1"].released_at is not None
    assert (facts.layers, facts.fleet, facts.waves) == (LAYERS, "field", "1, 50%, 100%")


def test_an_index_that_is_down_costs_only_what_it_would_have_told(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = teller(running, tmp_path, monkeypatch)
    running.down = True
    facts = asking(DIFF)
    assert (facts.notes, facts.why) == ([], {})
    assert facts.releases["side", "1.1"].version == "1.1"


def test_a_file_that_is_not_what_the_index_said_is_not_read(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = teller(running, tmp_path, monkeypatch)
    running.add("side", "side-1.1.tar.gz", sdist("## 1.1\n- forged\n"))
    assert asking(DIFF).notes == []


def test_the_password_of_an_index_goes_to_its_own_server_alone(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = basic("us", "s3cret-of-the-index")["authorization"]
    teller(running, tmp_path, monkeypatch)(DIFF)
    assert {one.headers.get("authorization") for one in running.asked if one.path.startswith("/files")} == {mine}
    running.asked.clear()
    (tmp_path / "other").mkdir()
    teller(running, tmp_path / "other", monkeypatch, url="http://127.0.0.1:1/simple")(DIFF)
    asked = [one for one in running.asked if one.path.startswith("/files")]
    assert asked
    assert not any("authorization" in one.headers for one in asked)


def test_a_package_of_another_ecosystem_is_told_of_without_its_authors(
    running: SimpleIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = teller(running, tmp_path, monkeypatch)
    php = replace(BUMP, ecosystem="packagist", package="acme/side")
    facts = replace(asking, bump=php)(
        LockDiff(
            changed=(
                Change(
                    replace(pin("acme/side", "1.0"), ecosystem="packagist"),
                    replace(pin("acme/side", "1.1"), ecosystem="packagist"),
                ),
            )
        )
    )
    assert facts.notes == []
