"""The rungs of the ladder that Composer has from 2.7 on, with `--minimal-changes`."""

import os
from pathlib import Path

import pytest

from tests.rig.composer import newer_composer
from tests.rig.composer_repository import ComposerRepository
from tests.workers.propose.test_composer_lock import locked, manifest, move, published, shop, ways

pytestmark = pytest.mark.journey


@pytest.fixture(autouse=True)
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{newer_composer()}{os.pathsep}{os.environ['PATH']}")


def test_the_third_rung_is_composers_own_way_of_changing_little(repository: ComposerRepository, tmp_path: Path) -> None:
    repository.publish("acme/app", "1.0.1", requires={"acme/util": "^1.0", "acme/mid": "*"})
    repository.publish("acme/mid", "1.0.0", requires={"acme/util": "*"})
    files = locked(tmp_path / "desk", manifest(repository))
    published(repository)
    # The lowest `acme/mid` that 1.4 takes is a dead end, and of the others the newest would do as well.
    repository.publish("acme/app", "1.4.0", requires={"acme/util": "^1.0", "acme/mid": "^2.0"})
    repository.publish("acme/mid", "2.0.0", requires={"acme/util": "^9.0"})
    repository.publish("acme/mid", "2.1.0", requires={"acme/util": "^1.0"})

    made = move(files, shop(tmp_path), "1.4.0")

    assert ways(made) == ["acme/app 1.0.1 → 1.4.0", "acme/mid 1.0.0 → 2.1.0"]


def test_the_fourth_rung_moves_what_the_project_itself_asks_for_too(
    repository: ComposerRepository, tmp_path: Path
) -> None:
    repository.publish("acme/mid", "1.0.0")
    asked = {"acme/app": "^1.0", "acme/other": "*", "acme/mid": "*"}
    files = locked(tmp_path / "desk", manifest(repository, require=asked))
    published(repository)
    repository.publish("acme/app", "1.4.0", requires={"acme/util": "^1.0", "acme/mid": "^2.0"})
    repository.publish("acme/mid", "2.0.0", requires={"acme/util": "^9.0"})
    repository.publish("acme/mid", "2.1.0", requires={"acme/util": "^1.0"})

    made = move(files, shop(tmp_path), "1.4.0")

    assert ways(made) == ["acme/app 1.0.0 → 1.4.0", "acme/mid 1.0.0 → 2.1.0"]
