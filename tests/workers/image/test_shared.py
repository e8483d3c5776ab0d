"""Packages that bring along the same file: it is told, and which one counts has nothing to do with layers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import COMMITTED, FIRST, SECOND, Shop, fake, pin
from watcher.http import Http, Limits
from watcher.image import Digest
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.image.build import build
from workers.image.component import Component
from workers.image.errors import BuildRefused
from workers.image.parts import COMPONENT
from workers.image.recipe import Recipe
from workers.image.shared import last
from workers.image.wheelhouse import Wheelhouse


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("alpha", "1.0", files={"both.py": "NAME = 'alpha'\n", "tests/__init__.py": ""})
        index.publish("beta", "1.0", files={"both.py": "NAME = 'beta'\n", "tests/__init__.py": ""})
        index.publish("core", "1.0")
        index.publish("core", "1.1", files={"core/__init__.py": "__version__ = '1.1'\n"})
        yield Shop(tmp_path, index, http, now)


def made(shop: Shop, *pins: Pin, commit: str = FIRST, previous: Digest | None = None) -> tuple[Built, list[str]]:
    said: list[str] = []
    recipe = Recipe(
        image=shop.image,
        pins=pins,
        tree=shop.tree,
        commit=commit,
        committed_at=COMMITTED,
        previous=previous,
        rates=shop.rates,
        terms=shop.terms,
    )
    house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=shop.url)}, Wheels.of(shop.image), shop._http)
    built = build(
        recipe, shop.base, shop.store, house, scratch=shop.directory / "scratch", now=COMMITTED, report=said.append
    )
    return built, [line for line in said if " have opt/" in line]


def name_in(shop: Shop, built: Built) -> str:
    return next(shop.unpacked(built).rglob("both.py")).read_text()


@pytest.mark.parametrize("hot", ["alpha", "beta"])
def test_the_order_of_layers_does_not_decide(shop: Shop, hot: str) -> None:
    shop.rates = {f"pypi:{hot}": 5.0}

    built, said = made(shop, pin("alpha"), pin("beta"), pin("core"))

    assert shop.components(built)[-1] == "shared"
    assert name_in(shop, built) == "NAME = 'alpha'\n"
    [line] = said
    assert line.startswith("`alpha` and `beta` have opt/venv/lib/")
    assert built.warning == line
    assert line.endswith("site-packages/both.py: that of `alpha` counts")


def test_a_package_that_needs_the_other_one_counts(shop: Shop) -> None:
    shop.index.publish("beta", "2.0", requires=["core"], files={"both.py": "NAME = 'beta'\n"})
    shop.index.publish("core", "2.0", requires=["Alpha>=1"])

    built, _ = made(shop, pin("alpha"), pin("beta", "2.0"), pin("core", "2.0"))

    assert name_in(shop, built) == "NAME = 'beta'\n"


def test_a_bump_of_something_else_brings_none_of_them(shop: Shop) -> None:
    first, _ = made(shop, pin("alpha"), pin("beta"), pin("core"))
    shop.asked()

    second, said = made(shop, pin("alpha"), pin("beta"), pin("core", "1.1"), commit=SECOND, previous=first.image)

    assert (second.new_layers, said) == (1, [])
    assert shop.asked() == {"core", "core-1.1-py3-none-any.whl"}
    assert shop.components(second)[-1] == "shared"


def test_what_is_new_is_compared_with_what_was_there_before(shop: Shop) -> None:
    first, said = made(shop, pin("alpha"), pin("core"))
    assert said == []

    second, said = made(shop, pin("alpha"), pin("beta"), pin("core"), commit=SECOND, previous=first.image)

    assert len(said) == 1
    assert name_in(shop, second) == "NAME = 'alpha'\n"
    fake(shop).uploads.clear()
    third, _ = made(shop, pin("alpha"), pin("core"), commit="3" * 40, previous=second.image)
    assert "shared" not in shop.components(third)


def test_what_was_settled_is_settled_again_when_layers_have_to_be_packed_anew(shop: Shop) -> None:
    shop.packings = ("zstd", "gzip")
    first = shop.build(pin("alpha"), pin("beta"))
    shop.packings = ("gzip",)

    second = shop.build(pin("alpha"), pin("beta"), commit=SECOND, previous=first.image)

    assert shop.components(second)[-1] == "shared"
    assert name_in(shop, second) == "NAME = 'alpha'\n"


def test_the_same_is_settled_whatever_is_known_of_the_packages(shop: Shop) -> None:
    shop.index.publish("alpha", "1.1", files={"both.py": "NAME = 'alpha'\n", "tests/__init__.py": "", "tests/a.py": ""})
    shop.index.publish("beta", "1.1", files={"both.py": "NAME = 'beta'\n", "tests/__init__.py": "", "tests/b.py": ""})
    first = shop.build(pin("alpha"), pin("beta", "1.1"))
    second = shop.build(pin("alpha", "1.1"), pin("beta", "1.1"), commit=SECOND, previous=first.image)

    spliced = shop.manifest(second).layers[-1]
    shop.store = FakeStore()
    anew = shop.build(pin("alpha", "1.1"), pin("beta", "1.1"), commit=SECOND)

    assert spliced.annotations[COMPONENT] == "shared"
    assert shop.manifest(anew).layers[-1] == spliced


def test_packages_of_one_namespace_are_not_brought_for_each_other(shop: Shop) -> None:
    names = [f"space-{name}" for name in ("one", "two", "three")]
    for name in names:
        part = name.removeprefix("space-")
        inner = {f"space/cloud/{part}/__init__.py": "", **{f"space/cloud/{part}/m{n}.py": "" for n in range(12)}}
        shop.index.publish(name, "1.0", files={"space/__init__.py": "__path__ = 1\n", **inner})
        shop.index.publish(name, "1.1", files={"space/__init__.py": "__path__ = 1\n", **inner, "space/new.py": name})
    first = shop.build(*map(pin, names))
    shop.asked()

    second = shop.build(pin(names[0], "1.1"), *map(pin, names[1:]), commit=SECOND, previous=first.image)

    assert shop.asked() == {"space-one", "space_one-1.1-py3-none-any.whl"}
    assert second.new_layers == 1


def test_what_had_to_be_looked_at_once_need_not_be_again(shop: Shop) -> None:
    for name in ("left", "right"):
        files = {"tests/__init__.py": "", f"tests/test_{name}.py": "", f"{name}/__init__.py": ""}
        shop.index.publish(name, "1.0", files=files)
        shop.index.publish(name, "1.1", files=files)
    first = shop.build(pin("left"), pin("right"))
    shop.asked()

    second = shop.build(pin("left", "1.1"), pin("right"), commit=SECOND, previous=first.image)

    assert shop.asked() == {"left", "left-1.1-py3-none-any.whl"}
    assert "shared" not in shop.components(second)


@pytest.mark.parametrize("layers", [1, 100])
def test_a_file_where_another_package_has_a_directory_is_refused_however_they_lie(shop: Shop, layers: int) -> None:
    shop.index.publish("filed", "1.0", files={"place": "a file\n", "filed/__init__.py": ""})
    shop.index.publish("placed", "1.0", files={"place/__init__.py": "", "place/more.py": ""})
    shop.terms = replace(shop.terms, most=layers + 1)

    with pytest.raises(BuildRefused, match=r"site-packages/place.*(has|have) a file") as caught:
        shop.build(pin("filed"), pin("placed"))

    assert "director" in str(caught.value)
    assert fake(shop).tags == {}


def test_the_same_bytes_in_both_are_nobodys_business(shop: Shop) -> None:
    shop.index.publish("gamma", "1.0", files={"gamma/__init__.py": "", "tests/__init__.py": ""})

    built, said = made(shop, pin("alpha"), pin("gamma"))

    assert said == []
    assert "shared" not in shop.components(built)


def test_packages_that_need_each_other_are_taken_by_name() -> None:
    one, two = Component("pypi:a", "1"), Component("pypi:b", "2")

    assert last([one, two], {"pypi:a": frozenset({"pypi:b"}), "pypi:b": frozenset({"pypi:a"})}) == one
    assert last([one, two], {"pypi:b": frozenset({"pypi:a"})}) == two
    assert last([one, two], {}) == one
