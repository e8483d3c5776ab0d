"""Compiled modules: in layers, the same wherever and whenever they are made; or kept by hosts from image to image."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import SECOND, Shop, pin
from watcher.http import Http, Limits
from watcher.image import Platform
from workers.image.base import read_base
from workers.image.errors import BuildRefused

SAY = "import core, sys; print(core.__version__)"


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    files = {
        "core/__init__.py": "__version__ = '1.0'\nNAMES = {'a', 'b', 'c'}\n",
        "core/odd.py": "def fail():\n    raise ValueError('here')\n",
        "core/template.py": "{% not python %}\n",
        "core/é.py": "x = 1\n",
    }
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("core", "1.0", files=files)
        index.publish("other", "1.0")
        shop = Shop(tmp_path, index, http, now)
        shop.image = shop.image.model_copy(update={"bytecode": "layer"})
        yield shop


def test_python_takes_compiled_modules_for_its_own(shop: Shop) -> None:
    root = shop.unpacked(shop.build(pin("core")))

    compiled = {path.name.partition(".")[0] for path in root.rglob("*.pyc")}
    assert compiled == {"__init__", "odd", "template", "é", "shop"}
    python = root / "opt/venv/bin/python"
    ran = subprocess.run([python, "-vB", "-c", SAY], capture_output=True, text=True, check=True)
    assert ran.stdout == "1.0\n"
    taken = [line for line in ran.stderr.splitlines() if "code object from" in line and "core" in line]
    assert taken
    assert all(".pyc" in line for line in taken)


def test_what_is_no_python_is_none_here_either(shop: Shop) -> None:
    python = shop.unpacked(shop.build(pin("core"))) / "opt/venv/bin/python"

    ran = subprocess.run([python, "-c", "import core.template"], capture_output=True, text=True)

    said = ran.stderr.splitlines()
    assert said[-1].startswith("SyntaxError")
    assert "{% not python %}" in ran.stderr


def test_a_module_that_loses_to_another_packages_leaves_nothing_that_python_would_take(shop: Shop) -> None:
    shop.index.publish("alpha", "1.0", files={"both.py": "alpha says so\n"})
    shop.index.publish("beta", "1.0", files={"both.py": "NAME = 'beta'\n"})

    root = shop.unpacked(shop.build(pin("alpha"), pin("beta")))

    assert next(root.rglob("both.py")).read_text() == "alpha says so\n"
    ran = subprocess.run([root / "opt/venv/bin/python", "-c", "import both"], capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1].startswith("SyntaxError")


def test_they_name_the_place_in_the_image(shop: Shop) -> None:
    root = shop.unpacked(shop.build(pin("core")))

    [made] = root.rglob("odd.*.pyc")
    assert b"/opt/venv/lib/python" in made.read_bytes()
    assert str(shop.directory).encode() not in made.read_bytes()


def test_they_are_the_same_on_another_machine_on_another_day(shop: Shop) -> None:
    first = shop.build(pin("core"), pin("other"))
    shop.store = FakeStore()
    shop.later()

    second = shop.build(pin("other"), pin("core"), scratch="a longer name for the directory of the build")

    assert second.image == first.image


def test_to_ask_for_them_makes_layers_anew_and_to_keep_them_does_not(shop: Shop) -> None:
    plain = shop.image.model_copy(update={"bytecode": "none"})
    shop.image, compiled = plain, shop.image
    first = shop.build(pin("core"))
    shop.image = compiled

    second = shop.build(pin("core"), previous=first.image)
    third = shop.build(pin("core"), commit=SECOND, previous=second.image)

    assert second.new_layers == 2
    assert third.new_layers == 0


def test_without_a_python_of_the_images_version_it_is_refused(shop: Shop) -> None:
    shop.image = shop.image.model_copy(update={"python": "3.6"})

    with pytest.raises(BuildRefused, match=r"there is no Python 3\.6 here to compile with") as caught:
        shop.build(pin("core"))

    assert "bytecode" in caught.value.hint


def cached(shop: Shop) -> None:
    shop.image = shop.image.model_copy(update={"bytecode": "cache"})


def ran(shop: Shop, root: Path) -> str:
    """What the image's Python says, that keeps what it compiles where images before it have kept it."""
    env = ["env", "-u", "PYTHONDONTWRITEBYTECODE", f"PYTHONPYCACHEPREFIX={shop.directory}/kept"]
    done = subprocess.run([*env, root / "opt/venv/bin/python", "-c", SAY], capture_output=True, text=True)
    assert not done.stderr
    assert [*(shop.directory / "kept").rglob("core/*.pyc")]
    shutil.rmtree(root)
    return done.stdout.strip()


def test_what_hosts_keep_is_never_taken_for_the_module_of_the_next_version(shop: Shop) -> None:
    cached(shop)
    shop.index.publish("core", "1.1", files={"core/__init__.py": "__version__ = '1.1'\nNAMES = {'a', 'b', 'c'}\n"})
    first = shop.build(pin("core", "1.0"))
    assert ran(shop, shop.unpacked(first)) == "1.0"

    second = shop.build(pin("core", "1.1"), commit=SECOND, previous=first.image)

    assert second.new_layers == 1
    assert ran(shop, shop.unpacked(second)) == "1.1"


def test_a_module_that_has_not_changed_is_not_compiled_again(shop: Shop) -> None:
    cached(shop)
    first = shop.build(pin("core"))
    ran(shop, shop.unpacked(first))
    kept = {path: path.stat().st_mtime_ns for path in (shop.directory / "kept").rglob("core/*.pyc")}
    shop.write({"shop.py": "print('closed')\n"})

    ran(shop, shop.unpacked(shop.build(pin("core"), commit=SECOND, previous=first.image)))

    assert kept
    assert {path: path.stat().st_mtime_ns for path in (shop.directory / "kept").rglob("core/*.pyc")} == kept


def test_sources_with_times_are_the_same_everywhere_too(shop: Shop) -> None:
    cached(shop)
    first = shop.build(pin("core"), pin("other"))
    shop.store = FakeStore()
    shop.later()

    root = shop.unpacked(shop.build(pin("other"), pin("core"), scratch="another"))

    assert shop.build(pin("core"), pin("other")).image == first.image
    times = {path.stat().st_mtime for path in root.rglob("core/*.py")}
    assert len(times) == len([*root.rglob("core/*.py")])
    assert all(315_532_800 <= time < 315_532_800 + 2**30 for time in times)
    assert next(root.rglob("core-*/METADATA")).stat().st_mtime == 0


def test_the_image_says_where_it_keeps_what_it_compiles_for_each_base_by_itself(shop: Shop) -> None:
    cached(shop)
    without = shop.config(shop.build(pin("core"))).run["Env"]
    store = FakeStore("registry.example/base")
    publish(store, [layer({"etc/os": "x"})], tag="1", Env=["PYTHONDONTWRITEBYTECODE=1", "A=b"])
    shop.base = read_base("registry.example/base:1", store, "1", Platform("linux", "amd64"))
    assert shop.base.digest

    env = shop.config(shop.build(pin("core"), commit=SECOND)).run["Env"]

    assert "PYTHONPYCACHEPREFIX=/var/cache/python/scratch" in without
    assert "A=b" in env
    assert f"PYTHONPYCACHEPREFIX=/var/cache/python/{shop.base.digest.short}" in env
    assert not any(row.startswith("PYTHONDONTWRITEBYTECODE") for row in env)
