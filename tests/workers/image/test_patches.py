"""A small change of a large package: a layer of what has changed, on top, until it pays to lay the package anew."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import Shop, pin
from watcher.http import Http, Limits
from watcher.rollout import Built
from workers.fleet.stack import stack
from workers.fleet.unpack import unpack
from workers.image.parts import COMPONENT, SINCE, STEPS
from workers.oci.manifest import Descriptor, ImageConfig

LARGE = os.urandom(600_000)


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        for n in range(1, 9):
            files: dict[str, str | bytes] = {
                "large/data": LARGE,
                "large/__init__.py": f"VERSION = {n}\n",
                f"large/only_in_{n}.py": "",
            }
            index.publish("large", f"1.{n}", files=files)
        index.publish("space-one", "1.0", files={"space/one.py": "1\n", "space/data": LARGE, "space/both.py": "one\n"})
        index.publish("space-one", "1.1", files={"space/one.py": "2\n", "space/data": LARGE, "space/both.py": "two\n"})
        index.publish("space-two", "1.0", files={"space/two.py": "1\n", "space/both.py": "two\n"})
        made = Shop(tmp_path, index, http, now)
        made.terms = replace(made.terms, per_layer=100)
        yield made


def commit(number: int) -> str:
    return f"{number:040x}"[::-1]


def bumped(shop: Shop, versions: range) -> list[Built]:
    found: list[Built] = []
    for n in versions:
        previous = found[-1].image if found else None
        found.append(shop.build(pin("large", f"1.{n}"), commit=commit(n), previous=previous))
    return found


def seen(shop: Shop, built: Built, place: Path) -> Path:
    """What a container of the image would see."""
    manifest = shop.manifest(built)
    with shop.store.blob(manifest.config.digest) as stream:
        config = ImageConfig.parse(stream.read(), "")
    unpacked = []
    for n, (layer, diff_id) in enumerate(zip(manifest.layers, config.diff_ids, strict=True)):
        unpacked.append(place / f"layer-{n}")
        unpacked[-1].mkdir(parents=True)
        with shop.store.blob(layer.digest) as blob:
            unpack(blob, layer, diff_id, unpacked[-1], "")
    (place / "root").mkdir()
    stack(unpacked, place / "root")
    return place / "root"


def patch_of(shop: Shop, built: Built) -> tuple[Descriptor, list[Descriptor]]:
    """The only patch of an image, and all other layers."""
    layers = shop.manifest(built).layers
    (found,) = (one for one in layers if SINCE in one.annotations)
    return found, [one for one in layers if one != found]


def patches(shop: Shop, built: Built) -> list[str]:
    return [one.annotations[COMPONENT] for one in shop.manifest(built).layers if SINCE in one.annotations]


def test_a_small_change_of_a_large_package_is_sent_as_what_has_changed(shop: Shop) -> None:
    first, second = bumped(shop, range(1, 3))

    before, (patch, others) = shop.manifest(first), patch_of(shop, second)
    assert others == list(before.layers)
    assert (second.new_layers, second.new_size) == (1, patch.size)
    assert patch.size < 3000
    assert (patch.annotations[COMPONENT], patch.annotations[STEPS]) == ("pypi:large@1.2", "1")
    assert "patch of pypi:large@1.2" in [row["created_by"] for row in shop.config(second).table["history"]]


def test_what_runs_is_what_would_run_without_patches(shop: Shop, tmp_path: Path) -> None:
    patched = seen(shop, bumped(shop, range(1, 4))[-1], tmp_path / "patched")
    shop.store = FakeStore()
    anew = seen(shop, bumped(shop, range(3, 4))[-1], tmp_path / "anew")

    subprocess.run(["diff", "-r", "--no-dereference", str(anew), str(patched)], check=True)
    assert [path.name for path in patched.rglob("large*") if path.is_dir()].count("large-1.3.dist-info") == 1
    assert not list(patched.rglob("only_in_[12].py"))


def test_the_next_patch_takes_the_place_of_the_last_one(shop: Shop) -> None:
    _, second, third = bumped(shop, range(1, 4))

    assert [patches(shop, one) for one in (second, third)] == [["pypi:large@1.2"], ["pypi:large@1.3"]]
    (last, before), (patch, after) = patch_of(shop, second), patch_of(shop, third)
    assert (last.annotations[STEPS], patch.annotations[STEPS]) == ("1", "2")
    assert (last.annotations[SINCE], before) == (patch.annotations[SINCE], after)


def test_a_patch_that_has_grown_is_folded_into_its_package(shop: Shop) -> None:
    shop.rates = {"pypi:large": 1.0}
    for n in range(1, 9):
        # Each release changes another tenth of it.
        data = b"".join(os.urandom(60_000) if part < n else LARGE[part * 60_000 :][:60_000] for part in range(10))
        files = {f"large/data_{part}": data[part * 60_000 :][:60_000] for part in range(10)}
        shop.index.publish("large", f"2.{n}", files=files)
    found: list[Built] = []
    for n in range(1, 9):
        previous = found[-1].image if found else None
        found.append(shop.build(pin("large", f"2.{n}"), commit=commit(n), previous=previous))

    kinds = [bool(patches(shop, one)) for one in found]
    assert kinds[:2] == [False, True]
    assert False in kinds[2:]
    assert all(one.new_layers == 1 for one in found[1:])


def test_building_a_patched_commit_again_sends_nothing(shop: Shop) -> None:
    first, second = bumped(shop, range(1, 3))
    shop.asked()

    again = shop.build(pin("large", "1.2"), commit=commit(2), previous=first.image)

    assert (again.image, again.pushed, shop.asked()) == (second.image, 0, set())


def test_a_patch_stays_where_it_is_when_something_else_changes(shop: Shop) -> None:
    second = bumped(shop, range(1, 3))[-1]
    shop.write({"shop.py": "print('closed')\n"})

    third = shop.build(pin("large", "1.2"), commit=commit(3), previous=second.image)

    assert patches(shop, third) == ["pypi:large@1.2"]
    assert third.new_layers == 1


def test_what_others_have_files_beside_is_not_patched(shop: Shop) -> None:
    first = shop.build(pin("space-one"), pin("space-two"), commit=commit(1))

    second = shop.build(pin("space-one", "1.1"), pin("space-two"), commit=commit(2), previous=first.image)

    assert patches(shop, second) == []
    assert second.new_layers >= 1


def test_a_patch_that_the_repository_has_lost_is_no_end_of_it(shop: Shop) -> None:
    second = bumped(shop, range(1, 3))[-1]
    patch, _ = patch_of(shop, second)
    store = shop.store
    assert isinstance(store, FakeStore)
    del store.blobs[patch.digest]
    shop.write({"shop.py": "print('closed')\n"})

    third = shop.build(pin("large", "1.2"), commit=commit(3), previous=second.image)

    assert patches(shop, third) == []
    assert all(store.has(one.digest) for one in shop.manifest(third).layers)


def test_a_part_of_a_namespace_is_patched(shop: Shop) -> None:
    for name in ("one", "two"):
        inner: dict[str, str | bytes] = {f"cloud/{name}/__init__.py": "", f"cloud/{name}/data": LARGE}
        shop.index.publish(f"cloud-{name}", "1.0", files={**inner, f"cloud/{name}/x.py": "1\n"})
        shop.index.publish(f"cloud-{name}", "1.1", files={**inner, f"cloud/{name}/x.py": "2\n"})
    first = shop.build(pin("cloud-one"), pin("cloud-two"), commit=commit(1))

    second = shop.build(pin("cloud-one", "1.1"), pin("cloud-two"), commit=commit(2), previous=first.image)

    assert patches(shop, second) == ["pypi:cloud-one@1.1"]


def test_a_layer_that_cannot_be_read_any_more_is_made_anew(shop: Shop) -> None:
    first = bumped(shop, range(1, 2))[0]
    held = next(one for one in shop.manifest(first).layers if "large" in one.annotations[COMPONENT])
    store = shop.store
    assert isinstance(store, FakeStore)
    store.blobs[held.digest] = b"damaged"

    second = shop.build(pin("large", "1.2"), commit=commit(2), previous=first.image)

    assert patches(shop, second) == []
