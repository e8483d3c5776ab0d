"""composer.lock → pins: what the lock, and the manifest beside it, say of each package."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.composer_repository import ComposerRepository
from tests.rig.process import need
from watcher import lockfiles
from watcher.errors import LockfileUnreadable
from watcher.lockfiles.composer_json import PACKAGIST, manifest
from watcher.pin import Pin

SHA = "0123456789abcdef0123456789abcdef01234567"
PRIVATE = "https://packages.example"


def row(name: str = "acme/http", version: str = "v1.2.0", **more: Any) -> dict[str, Any]:
    dist = {"type": "zip", "url": f"https://dist.example/{SHA}.zip", "reference": SHA, "shasum": ""}
    return {"name": name, "version": version, "dist": dist, **more}


def pins(*rows: Any, lock: Any = None, **composer: Any) -> tuple[Pin, ...]:
    files = {
        "app/composer.lock": json.dumps({"packages": list(rows), "packages-dev": [], **(lock or {})}),
        "app/composer.json": json.dumps(composer),
    }
    return lockfiles.read("app/composer.lock", lambda path: files[path].encode() if path in files else None)


def refused(*rows: Any, lock: Any = None, **composer: Any) -> str:
    with pytest.raises(LockfileUnreadable) as raised:
        pins(*rows, lock=lock, **composer)
    return str(raised.value)


def test_a_pin_has_what_lock_and_manifest_say_of_it() -> None:
    (pin,) = pins(row("Acme/HTTP"), require={"php": ">=8.1", "acme/http": "^1.0"})

    assert pin == Pin(
        ecosystem="packagist",
        package="acme/http",
        version="1.2.0",
        lock="app/composer.lock",
        direct=True,
        constraint="^1.0",
        hashes=(f"ref:{SHA}",),
        stability="stable",
    )


def test_what_the_project_does_not_ask_for_is_there_for_others() -> None:
    (pin,) = pins(row(), require={"acme/billing": "^3"})

    assert (pin.direct, pin.constraint) == (False, "")


def test_what_is_there_for_development_says_so() -> None:
    lock = {"packages-dev": [row("acme/test")]}
    (pin,) = pins(lock=lock, **{"require-dev": {"acme/test": "*"}})

    assert (pin.direct, pin.constraint, pin.marker) == (True, "*", "dev")


@pytest.mark.parametrize(
    ("lock", "version", "constraint", "stability"),
    [
        ({}, "1.0.0", "^1.0", "stable"),
        ({"minimum-stability": "beta"}, "1.0.0", "^1.0", "beta"),
        ({"minimum-stability": "beta", "prefer-stable": True}, "1.0.0", "^1.0", "stable"),
        ({"minimum-stability": "dev", "prefer-stable": True}, "1.0.0-RC1", "^1.0@dev", "RC"),
        ({"stability-flags": {"acme/http": 10}}, "1.0.0", "^1.0@beta", "beta"),
        ({"stability-flags": []}, "1.0.0-beta1", "1.0.0-beta1", "beta"),
    ],
)
def test_a_pin_knows_how_unstable_its_successor_may_be(
    lock: dict[str, Any], version: str, constraint: str, stability: str
) -> None:
    (pin,) = pins(row(version=version), lock=lock, require={"acme/http": constraint})

    assert pin.stability == stability


@pytest.mark.parametrize(
    ("repositories", "registry", "registries"),
    [
        ([], "", ()),
        ([{"type": "composer", "url": f"{PRIVATE}/"}], "", (PRIVATE, PACKAGIST)),
        ([{"type": "composer", "url": PRIVATE}, {"packagist.org": False}], PRIVATE, ()),
        ({"own": {"type": "composer", "url": PRIVATE}, "packagist.org": False}, PRIVATE, ()),
        ([{"type": "composer", "url": PRIVATE, "only": ["other/*"]}], "", ()),
        ([{"type": "composer", "url": PRIVATE, "exclude": ["acme/*"]}], "", ()),
        ([{"type": "composer", "url": PRIVATE, "only": ["acme/h*"]}], "", (PRIVATE, PACKAGIST)),
        ([{"type": "vcs", "url": "https://git.example/other.git"}], "", ()),
    ],
)
def test_a_pin_is_from_the_repositories_that_may_have_it(
    repositories: Any, registry: str, registries: tuple[str, ...]
) -> None:
    (pin,) = pins(row(), repositories=repositories)

    assert (pin.source, pin.registry, pin.registries) == ("index", registry, registries)


def test_a_repository_that_is_not_canonical_lets_those_behind_it_have_versions_too() -> None:
    shared = [{"type": "composer", "url": PRIVATE, "canonical": False}]
    last = [{"packagist.org": False}, {"type": "composer", "url": PACKAGIST}, *shared]

    (first,) = pins(row(), repositories=shared)
    (behind,) = pins(row(), repositories=last)
    (alone,) = pins(row(), repositories=[*shared, {"packagist.org": False}])

    assert (first.registries, first.open) == ((PRIVATE, PACKAGIST), (PRIVATE,))
    assert (behind.registries, behind.open) == ((PACKAGIST, PRIVATE), (PRIVATE,))
    assert (alone.registry, alone.open) == (PRIVATE, ())


@pytest.mark.parametrize(
    ("more", "repositories", "source"),
    [
        ({"dist": {"type": "path", "url": "../http", "reference": SHA}}, [{"type": "path", "url": "../*"}], "path"),
        (
            {"source": {"type": "git", "url": "https://git.example/http.git"}, "dist": None},
            [{"packagist.org": False}],
            "git",
        ),
        (
            {"source": {"type": "git", "url": "https://git.example/http.git"}},
            [{"type": "vcs", "url": "https://git.example/http"}],
            "git",
        ),
        ({}, [{"type": "package", "package": {"name": "acme/http", "version": "1.2.0"}}], "url"),
        ({"version": "dev-main"}, [], "git"),
        ({"version": "2.x-dev"}, [], "git"),
    ],
)
def test_what_no_index_serves_only_a_person_moves(more: dict[str, Any], repositories: Any, source: str) -> None:
    (pin,) = pins(row(**more), repositories=repositories)

    assert (pin.source, pin.registry, pin.registries) == (source, "", ())


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ({"packages": None}, "packages: expected a list of packages, got nothing"),
        ({"packages": {}}, "packages: expected a list of packages, got dict"),
        ({"packages": [5]}, "packages[0]: expected a package, got int"),
        ({"packages": [{"name": "http"}]}, "packages[0].name: expected the name of a package, got 'http'"),
        ({"packages": [row("../http")]}, "packages[0].name: expected the name of a package, got '../http'"),
        ({"packages": [row(version="one")]}, "packages[0].version: expected a version that Composer knows, got 'one'"),
        ({"packages": [row(), row("ACME/http")]}, "packages[1].name: expected each package once, got 'acme/http'"),
        ({"stability-flags": {"a/b": 7}}, "stability-flags.a/b: expected 0, 5, 10, 15 or 20, got '7'"),
        ({"minimum-stability": "good"}, "minimum-stability: expected a stability, got 'good'"),
        ({"prefer-stable": 1}, "prefer-stable: expected true or false, got int"),
    ],
)
def test_what_is_no_lock_is_refused_with_its_place(lock: dict[str, Any], said: str) -> None:
    assert refused(lock=lock) == f"app/composer.lock: {said}"


def test_a_manifest_that_is_none_is_refused_with_its_place() -> None:
    assert refused(require=[1]) == "app/composer.json: require: expected an object, got list"
    assert refused(require={"acme/http": 1}) == "app/composer.json: require.acme/http: expected a constraint, got int"
    assert refused(repositories=[5]).startswith("app/composer.json: repositories[0]: expected a repository")


def test_a_lock_without_its_manifest_is_refused() -> None:
    with pytest.raises(LockfileUnreadable, match=r"composer\.json: expected the manifest of the lock beside it"):
        lockfiles.read("composer.lock", {"composer.lock": b'{"packages": []}'}.get)


@pytest.mark.parametrize("text", ["", "[]", "{", "nul", '{"packages":' + "[" * 100_000, "\ufeff5"])
def test_what_is_no_json_is_refused(text: str) -> None:
    files = {"composer.lock": text.encode(), "composer.json": b"{}"}
    with pytest.raises(LockfileUnreadable):
        lockfiles.read("composer.lock", files.get)


KEYS = ["name", "version", "dist", "source", "type", "url", "reference", "only", "package", "acme/http"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    lock=st.fixed_dictionaries({}, optional=dict.fromkeys(["packages", "packages-dev", "stability-flags"], JSON)),
    composer=st.fixed_dictionaries({}, optional=dict.fromkeys(["require", "require-dev", "repositories"], JSON)),
)
def test_whatever_stands_in_a_lock_only_our_own_error_comes_out(lock: Any, composer: Any) -> None:
    try:
        pins(lock={"packages": [], **lock}, **composer)
    except LockfileUnreadable:
        return


def test_the_order_of_repositories_is_that_of_the_manifest() -> None:
    text = json.dumps(
        {"repositories": [{"type": "composer", "url": url} for url in ("https://b.example", "https://a.example")]}
    )

    ways = manifest(text, "composer.json").ways("acme/http")

    assert [way.url for way in ways] == ["https://b.example", "https://a.example", PACKAGIST]


def test_a_lock_that_composer_has_written_is_read(tmp_path: Path) -> None:
    need("php", "composer")
    with ComposerRepository() as repository:
        repository.publish("acme/core", "v1.0.0")
        repository.publish("acme/http", "1.2.0", requires={"php": ">=7.4", "acme/core": "^1.0"})
        repository.publish("acme/test", "2.0.0-beta1")
        asked = {
            "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
            "require": {"acme/http": "^1.0"},
            "require-dev": {"acme/test": "^2@beta"},
            "config": {"secure-http": False},
        }
        (tmp_path / "composer.json").write_text(json.dumps(asked))
        env = {"COMPOSER_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "COMPOSER_ALLOW_SUPERUSER": "1"}
        subprocess.run(
            ["composer", "update", "--no-install", "--quiet", "--no-interaction"], cwd=tmp_path, env=env, check=True
        )

        found = lockfiles.read("composer.lock", lambda path: (tmp_path / path).read_bytes())

    said = [(pin.package, pin.version, pin.direct, pin.marker, pin.stability) for pin in found]
    assert said == [
        ("acme/core", "1.0.0", False, "", "stable"),
        ("acme/http", "1.2.0", True, "", "stable"),
        ("acme/test", "2.0.0-beta1", True, "dev", "beta"),
    ]
    assert {pin.registry for pin in found} == {repository.url}
