"""What is known of an app's parts before and after its first image."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.watcher.cli.test_cli import CONFIG
from tests.workers.image.test_build import PYTHON, Shop, pin
from tests.workers.image.test_build import shop as shop
from watcher import config
from watcher.head import Head
from watcher.layers.outlook import Outlook
from watcher.layers.part import CODE, VENV
from watcher.ledger import Ledger
from watcher.lookup import Lookup, Outcome
from watcher.release import File, Release
from watcher.rollout import Rollout, RolloutStage
from watcher.settings import Settings
from workers.image.outlook import outlook
from workers.oci.layout import LayoutStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "toplayer.toml"
    path.write_text(CONFIG.format(state=tmp_path).replace('python = "3.11"', f'python = "{PYTHON}"'))
    return config.load(path)


@pytest.fixture
def ledger(tmp_path: Path, now: datetime) -> Ledger:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    pins = (pin("core"), pin("api"), pin("windows", marker="sys_platform == 'win32'"))
    ledger.add(Head(app="shop", commit="1" * 40, surveyed_at=now, pins=pins), now)
    wheel = File(filename="core-1.0-py3-none-any.whl", url="x", size=7_000_000, uploaded_at=now - timedelta(days=9))
    release = Release(package="core", version="1.0", files=(wheel,))
    ledger.add(Lookup(index="pypi", package="core", outcome=Outcome.ANSWER, releases=(release,)), now)
    return ledger


def sizes(found: Outlook) -> dict[str, int]:
    return {part.name: part.size for part in found.parts}


def test_before_the_first_image_sizes_are_those_of_the_index(settings: Settings, ledger: Ledger, now: datetime) -> None:
    found = outlook("shop", settings, ledger, now)

    assert (found.image, found.today) == ("", ())
    assert sizes(found)["pypi:core"] == 7_000_000
    assert set(sizes(found)) == {"pypi:core", "pypi:api", CODE, VENV}
    assert {part.name for part in found.parts if not part.rate} == {VENV}


def test_of_an_image_that_was_built_the_layers_tell(
    tmp_path: Path, shop: Shop, settings: Settings, ledger: Ledger, now: datetime
) -> None:
    shop.store = LayoutStore(tmp_path / "images")
    built = shop.build(pin("core"), pin("api"))
    rollout = Rollout(id="shop:1", app="shop", generation=1, commit="1" * 40, wanted_at=now)
    ledger.add(rollout.at(RolloutStage.BUILT, now, built=built), now)

    found = outlook("shop", settings, ledger, now)

    assert found.image == built.image
    assert {name for layer in found.today for name in layer.names} == {"pypi:core", "pypi:api", CODE, VENV}
    assert sizes(found)["pypi:core"] < 5_000
    assert sum(layer.size for layer in found.today) == sum(layer.size for layer in shop.manifest(built).layers)
