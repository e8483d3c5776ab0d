"""The shapes that Packagist's answers have: read by us, and by real Composer."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import MONDAY
from tests.rig.composer_repository import ComposerRepository
from tests.rig.process import need
from tests.rig.simple_index import Fault
from tests.watcher.indexes.test_packagist import on
from watcher.http import Http
from watcher.indexes.packagist import Packagist
from watcher.indexes.packagist_advisories import read_advisories, read_malware
from watcher.indexes.packagist_metadata import Metadata, parse
from watcher.indexes.packagist_root import read_root
from watcher.lookup import Lookup, Outcome
from watcher.settings import IndexSettings
from watcher.versions.composer import normalize

RECORDED = Path(__file__).parent / "recorded"
URL = "https://index.example"


def read(package: str, suffix: str = "") -> Metadata:
    path = f"p2/{package}{suffix}.json"
    return parse((RECORDED / path).read_bytes(), package, f"{URL}/{path}")


@pytest.fixture
def repository() -> Iterator[ComposerRepository]:
    with ComposerRepository() as repository:
        for path in RECORDED.rglob("*.json"):
            repository.spoil(f"/{path.relative_to(RECORDED)}", Fault(body=path.read_bytes()))
        yield repository


def test_every_version_is_read_with_what_those_above_it_have_said() -> None:
    found = read("acme/log")

    assert {one.version: one.needs.get("php") for one in found.releases} == {
        "1.0.0-RC1": None,
        "1.0.0": ">=5.3.0",
        "2.0.0-beta1": "^7.2",
        "2.11.0": ">=7.2",
        "3.0.0-RC1": ">=8.1",
        "3.9.0": ">=8.1",
        "3.10.0": ">=8.1",
    }
    dates = {one.version: one.released_at for one in found.releases}
    assert dates["2.11.0"] == datetime(2026, 1, 1, 13, 6, 51, tzinfo=UTC)
    assert dates["1.0.0-RC1"] is None, "it is from before there was a published-time"
    assert all(one.files[0].url.startswith("https://api.index.example/") for one in found.releases)
    assert all(set(one.files[0].hashes) == {"ref"} for one in found.releases), "an empty shasum is none"
    assert [one.id for one in found.advisories] == ["PKSA-1abc-2def-3ghj"]


def test_branches_are_in_a_file_of_their_own() -> None:
    assert {one.version for one in read("acme/log", "~dev").releases} == {"dev-main", "2.x-dev", "dev-fix/issue-1234"}


def test_a_list_with_a_gap_is_an_object_and_what_cannot_be_downloaded_may_have_sources() -> None:
    found = read("acme/old")

    assert {one.version: one.files[0].filename.rpartition(".")[2] for one in found.releases} == {
        "1.0.0": "metapackage",
        "1.1.0": "git",
        "1.2.0": "zip",
    }
    assert found.abandoned == "use acme/log in its place"
    (malware,) = found.advisories
    assert (malware.malware, malware.constraint) == (True, "1.1.0")


def test_only_what_says_that_it_is_minified_in_the_way_that_composer_knows_is_expanded() -> None:
    data = json.loads((RECORDED / "p2/acme/log.json").read_bytes())
    data["minified"] = "composer/3.0"

    found = parse(json.dumps(data).encode(), "acme/log", URL)

    assert next(one for one in found.releases if one.version == "3.9.0").needs == {}


def test_the_root_and_the_lists_beside_it_are_read() -> None:
    root = read_root((RECORDED / "packages.json").read_bytes(), f"{URL}/packages.json")

    assert root.file_of("acme/log", "~dev") == f"{URL}/p2/acme/log~dev.json"
    assert (root.changes, root.advisories) == (f"{URL}/metadata/changes.json", f"{URL}/api/security-advisories/")
    assert (root.malware, root.is_closed, root.by_hash) == ("", False, False)
    told = read_advisories((RECORDED / "security-advisories.json").read_bytes(), URL)
    assert [(one.severity, one.aliases) for one in told["acme/log"]] == [
        ("moderate", ("GHSA-aaaa-bbbb-cccc", "acme/log/2014-12-29-1.yaml"))
    ]
    assert told["acme/old"] == []
    listed = read_malware((RECORDED / "summary.json").read_bytes(), URL)
    assert {name: one.constraint for name, (one,) in listed.items()} == {"acme/old": "1.1.0", "evil/pkg": "*"}


def test_real_composer_reads_the_same_versions(repository: ComposerRepository, tmp_path: Path) -> None:
    need("php", "composer")
    asked = {
        "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
        "minimum-stability": "dev",
        "config": {"secure-http": False},
    }
    (tmp_path / "composer.json").write_text(json.dumps(asked))
    env = {"COMPOSER_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "COMPOSER_ALLOW_SUPERUSER": "1"}
    names = ("acme/log", "acme/old")
    with Http() as http:
        index = Packagist(IndexSettings(kind="packagist", url=repository.url))
        bare = [Lookup(index="p", package=name) for name in names]
        ours = {one.package: one for one in index.look_up(bare, http, MONDAY, on(names))}

    for name in names:
        argv = ["composer", "show", "--all", "--format=json", "--no-plugins", "--no-interaction", name]
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        theirs = {normalize(version) for version in json.loads(done.stdout)["versions"]}
        assert ours[name].outcome is Outcome.ANSWER
        # What a branch stands for by an alias is in Composer's list, too.
        assert {normalize(one.version) for one in ours[name].releases} == theirs - {normalize("3.x-dev")}
