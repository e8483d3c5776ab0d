"""Compiled modules in layers: Python takes them, and they are the same wherever and whenever they are made."""

import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import SECOND, Shop, pin
from watcher.http import Http, Limits
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
        shop.image = shop.image.model_copy(update={"bytecode": True})
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
    plain = shop.image.model_copy(update={"bytecode": False})
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
