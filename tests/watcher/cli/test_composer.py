"""`toplayer check` and `why` for an app with a composer.lock: the real command line, a real repository, real git."""

import json
from pathlib import Path
from typing import Any

from tests.rig.composer_repository import ComposerRepository
from tests.rig.world import make_world


def test_check_and_why_tell_of_each_pin_what_comes_and_what_does_not(tmp_path: Path) -> None:
    with ComposerRepository() as repository:
        for version in ("1.0.0", "1.1.0", "2.0.0-beta1", "2.0.0"):
            repository.publish("acme/http", version, requires={"php": ">=8.4" if version == "1.1.0" else ">=8.1"})
        repository.publish("acme/http", "1.0.1")
        repository.publish("acme/core", "1.0.0")
        repository.publish("acme/core", "1.2.0")
        repository.abandoned["acme/core"] = "acme/kernel"
        world = make_world(tmp_path / "world", files(repository))
        world.configure(
            {"h1": f"dir:{tmp_path}/h1"},
            app={"lock": "php/composer.lock"},
            image={"php": "8.2"},
            more=f'[indexes.acme]\nkind = "packagist"\nurl = "{repository.url}"\nprivate = true\n',
        )

        rows = {row["package"]: row for row in world.json("check")}
        why = world.json("why", "shop", "acme/http")

    assert rows.keys() == {"acme/core", "acme/http", "acme/test"}
    assert (rows["acme/http"]["newest"], rows["acme/http"]["candidate"]) == ("2.0.0", "1.0.1")
    assert "abandoned: use acme/kernel in its place" in rows["acme/core"]["said"]
    assert [(one["version"], one["verdict"], one["rule"]) for one in why["releases"]] == [
        ("2.0.0", "refused", "constraint"),
        ("2.0.0-beta1", "refused", "pre-release"),
        ("1.1.0", "refused", "php"),
        ("1.0.1", "taken", "newest"),
    ]
    assert "needs PHP >=8.4, and the image has 8.2" in why["releases"][2]["said"]
    assert (why["lookup"]["index"], why["lookup"]["outcome"]) == ("acme", "answer")


def files(repository: ComposerRepository) -> dict[str, str]:
    composer = {
        "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
        "require": {"php": "^8.1", "acme/http": "^1.0"},
        "require-dev": {"acme/test": "*"},
    }
    lock = {
        "packages": [row("acme/core", "1.0.0"), row("acme/http", "1.0.0")],
        "packages-dev": [row("acme/test", "1.0.0")],
        "minimum-stability": "stable",
        "stability-flags": [],
        "prefer-stable": False,
    }
    return {"php/composer.json": json.dumps(composer), "php/composer.lock": json.dumps(lock)}


def row(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "version": version, "dist": {"type": "zip", "url": "https://x.example/a.zip"}}
