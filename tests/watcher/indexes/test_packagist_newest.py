"""Real Composer takes what we decide, for a matrix of constraints and stabilities, in one repository."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MONDAY
from tests.rig.composer_repository import ComposerRepository
from tests.rig.process import need
from watcher.choose import choose
from watcher.http import Http
from watcher.indexes.packagist import Packagist
from watcher.lockfiles.composer_lock import ComposerLock
from watcher.lookup import Lookup
from watcher.php import Php
from watcher.pin import Pin
from watcher.policy import Cooldown, Policy
from watcher.route import answer
from watcher.rules import Rules
from watcher.settings import IndexSettings
from watcher.versions.composer import STABILITIES, accepted, normalize

VERSIONS = [
    *("0.9.0", "v1.0.0-alpha1", "1.0.0-beta2", "1.0.0-RC1", "1.0.0", "v1.0.10", "1.1", "1.2.0-beta1", "1.10.0"),
    *("2.0.0-alpha3", "2.0.0-beta1", "2.0.0", "2.0.0.1", "2.1.0-RC2", "2.1.0-dev", "3.0.0-beta1", "2024.01.01"),
]
"""Branches never come in by themselves."""
CONSTRAINTS = [
    *("*", "^1.0", "~1.0.0", "1.0.*", "1.*", ">=1.0 <2.0", "1.0 - 1.2", "^1.0 || ^3.0", "!=1.10.0 <2", "<=1.2", "^4.0"),
    *("^2.0@beta", "^2.1@RC", "^3@dev", "~2.0@alpha", "^1.2-beta1", ">=2.0.0-alpha1,<2.0.0", "<1"),
    *("@dev", "*@stable", ">2.0.0,<2.0.0.2", "^0.9"),
]
"""An exact one is a pin, which moves with the lock."""


@pytest.fixture(scope="module")
def repository() -> Iterator[ComposerRepository]:
    need("php", "composer")
    with ComposerRepository() as repository:
        for number in range(len(CONSTRAINTS)):
            for version in VERSIONS:
                repository.publish(f"acme/p{number}", version, files={})
        yield repository


@pytest.fixture(scope="module")
def known(repository: ComposerRepository) -> dict[str, Lookup]:
    """What our door has read of each package."""
    index = Packagist(IndexSettings(kind="packagist", url=repository.url))
    bare = [Lookup(index="p", package=f"acme/p{number}") for number in range(len(CONSTRAINTS))]
    watched = [Pin(ecosystem="packagist", package=one.package, version="0", lock="", stability="dev") for one in bare]
    with Http() as http:
        found = {one.package: one for one in index.look_up(bare, http, MONDAY, watched)}
    assert all(len({release.version for release in each.releases}) == len(VERSIONS) for each in found.values())
    return found


def decided(known: Lookup, constraint: str, minimum: str, prefer_stable: bool) -> str:
    """What a pin would move to that is older than everything. With `prefer_stable`, the most stable ones go first."""
    least = accepted(constraint, minimum)
    enough = STABILITIES[: STABILITIES.index(least) + 1] if prefer_stable else [least]
    pin = Pin(
        ecosystem="packagist", package=known.package, version="0.0.1", lock="composer.lock", constraint=constraint
    )
    rules = Rules(app="shop", target=Php(), policy=Policy(cooldown=Cooldown(*[timedelta(0)] * 3)))
    made = (choose(replace(pin, stability=one), known, rules, MONDAY) for one in enough)
    return next((one.candidate for one in made if one.candidate), "")


@pytest.mark.parametrize("prefer_stable", [False, True])
@pytest.mark.parametrize("minimum", STABILITIES)
def test_composer_takes_what_we_decide(
    repository: ComposerRepository, known: dict[str, Lookup], tmp_path: Path, minimum: str, prefer_stable: bool
) -> None:
    wanted = {
        name: decided(lookup, CONSTRAINTS[int(name[6:])], minimum, prefer_stable) for name, lookup in known.items()
    }
    there = {name: version for name, version in wanted.items() if version}

    composer(tmp_path, repository, there, minimum, prefer_stable)
    lock = json.loads((tmp_path / "composer.lock").read_text())
    taken = {row["name"]: normalize(row["version"]) for row in lock["packages"]}
    assert taken == {name: normalize(version) for name, version in there.items()}

    said = composer(tmp_path, repository, wanted.keys() - there.keys(), minimum, prefer_stable, fails=True)
    assert set(re.findall(r"requires (acme/p\d+)\b", said)) == wanted.keys() - there.keys()


@pytest.mark.parametrize("canonical", [True, False])
def test_composer_looks_behind_a_repository_that_is_not_canonical_and_so_do_we(
    tmp_path: Path, now: datetime, canonical: bool
) -> None:
    need("php", "composer")
    with ComposerRepository() as own, ComposerRepository() as other, Http() as http:
        own.publish("acme/http", "1.0.0", files={})
        other.publish("acme/http", "1.1.0", files={})
        repositories = [{"type": "composer", "url": own.url, "canonical": canonical}]
        repositories += [{"type": "composer", "url": other.url}, {"packagist.org": False}]

        update(tmp_path, {"repositories": repositories, "require": {"acme/http": "^1.0"}})

        lock = (tmp_path / "composer.lock").read_text()
        manifest = (tmp_path / "composer.json").read_text()
        (pin,) = ComposerLock().pins(lock, "composer.lock", {"composer.json": manifest})
        indexes = {name: IndexSettings(kind="packagist", url=one.url) for name, one in (("own", own), ("other", other))}
        bare = Lookup(index="", package="acme/http")
        known = {name: next(Packagist(one).look_up([bare], http, now)) for name, one in indexes.items()}
        found = answer(pin, indexes, lambda name, _: known[name])
    assert pin.version == decided(found, "^1.0", "stable", False) == ("1.0.0" if canonical else "1.1.0")


def composer(
    place: Path,
    repository: ComposerRepository,
    names: object,
    minimum: str,
    prefer_stable: bool,
    *,
    fails: bool = False,
) -> str:
    """What `composer update` says of a project that requires these packages, each by its own constraint."""
    asked = {
        "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
        "require": {name: CONSTRAINTS[int(name[6:])] for name in names},  # type: ignore[attr-defined]
        "minimum-stability": minimum,
        "prefer-stable": prefer_stable,
    }
    return update(place, asked, fails=fails)


def update(place: Path, asked: dict[str, Any], *, fails: bool = False) -> str:
    """What `composer update` says of a project with this manifest."""
    asked["config"] = {"secure-http": False}
    (place / "composer.lock").unlink(missing_ok=True)
    (place / "composer.json").write_text(json.dumps(asked))
    env = {"COMPOSER_HOME": str(place / "home"), "PATH": "/usr/bin:/bin", "COMPOSER_ALLOW_SUPERUSER": "1"}
    argv = ["composer", "update", "--no-install", "--no-interaction", "--no-ansi", "--no-plugins", "--no-scripts"]
    done = subprocess.run(argv, cwd=place, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0) is fails, done.stderr
    return done.stdout + done.stderr
