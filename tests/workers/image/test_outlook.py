"""What is known of an app's parts before and after its first image."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.rig.image import layer, publish
from tests.watcher.cli.test_cli import CONFIG
from tests.workers.image.test_build import PYTHON, Shop, pin
from tests.workers.image.test_build import shop as shop
from watcher import config
from watcher.head import Head
from watcher.image import Platform
from watcher.layers.outlook import Outlook, rows
from watcher.layers.part import CODE, VENV
from watcher.ledger import Ledger
from watcher.lookup import Lookup, Outcome
from watcher.release import File, Release
from watcher.rollout import Rollout, RolloutStage
from watcher.settings import Settings
from watcher.source import Source
from workers.image.base import open_base
from workers.image.outlook import outlook
from workers.image.parts import COMPONENT
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


def test_what_is_no_pin_is_a_part_too(settings: Settings, ledger: Ledger, now: datetime) -> None:
    image = settings.apps["shop"].image.model_copy(update={"split": ("static", "shop/locale")})
    apps = {"shop": settings.apps["shop"].model_copy(update={"image": image})}
    link = Source(kind="path", at=".", package="shop", lock="uv.lock", editable=True)

    found = outlook("shop", settings.model_copy(update={"apps": apps}), ledger, now, [link])

    assert set(sizes(found)) == {
        *("pypi:core", "pypi:api", "pypi:shop"),
        *(CODE, f"{CODE}:static", f"{CODE}:shop/locale", VENV),
    }


def test_what_lies_below_and_above_what_is_planned_is_shown(
    tmp_path: Path, shop: Shop, settings: Settings, ledger: Ledger, now: datetime
) -> None:
    base = LayoutStore(tmp_path / "base")
    publish(base, [layer({"etc/os": "x" * 5000}), layer({"etc/version": "1"})], tag="1")
    image = settings.apps["shop"].image.model_copy(update={"base": f"oci:{tmp_path}/base:1"})
    apps = {"shop": settings.apps["shop"].model_copy(update={"image": image})}
    settings = settings.model_copy(update={"apps": apps})
    shop.store, shop.base = LayoutStore(tmp_path / "images"), open_base(image.base, Platform("linux", "amd64"), {})
    for name in ("core", "api"):
        shop.index.publish(name, "2.0", files={f"{name}/x.py": "", "both.py": f"NAME = {name!r}\n"})
    built = shop.build(pin("core", "2.0"), pin("api", "2.0"))
    rollout = Rollout(id="shop:1", app="shop", generation=1, commit="1" * 40, wanted_at=now)
    ledger.add(rollout.at(RolloutStage.BUILT, now, built=built), now)

    found = outlook("shop", settings, ledger, now)

    assert found.base is not None
    assert (found.base.layers, found.base.size) == (2, sum(one.size for one in shop.base.layers))
    assert "shared" not in sizes(found)
    top = shop.manifest(built).layers[-1]
    assert (top.annotations[COMPONENT], found.shared) == ("shared", top.size)
    table = [row[0] for row in rows(found.json())]
    assert (table[0], table[-1]) == ("base", "shared")


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
