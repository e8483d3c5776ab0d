"""One app for hosts of several kinds: an image for each platform, and an index that every host pulls the same way."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import COMMITTED, FIRST, SECOND, Shop, fake, pin
from watcher.http import Http, Limits
from watcher.image import Digest, Platform
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.image.base import read_base
from workers.image.build import build
from workers.image.errors import BuildRefused
from workers.image.parts import COMPONENT
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.manifest import OCI_INDEX, ImageConfig, Manifest, canonical
from workers.oci.store import find_manifest, small_blob
from workers.several import build_each

BOTH = ("linux/amd64", "linux/arm64")
ARM = "cp311-cp311-manylinux_2_17_aarch64"
X86 = "cp311-cp311-manylinux_2_17_x86_64"


class Shops(Shop):
    """A shop whose hosts are of several kinds."""

    def both(self, *pins: Pin, commit: str = FIRST, previous: Digest | None = None) -> Built:
        recipe = Recipe(
            image=self.image,
            pins=pins,
            tree=self.tree,
            commit=commit,
            committed_at=COMMITTED,
            previous=previous,
            terms=self.terms,
        )

        def one(part: Recipe) -> Built:
            house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=self.url)}, Wheels.of(part.image), self._http)
            base = read_base("registry.example/base:1", self.bases, "1", Platform.parse(part.image.platform))
            return build(part, base, self.store, house, scratch=self.directory / "scratch", now=self._now)

        return build_each(recipe, self.store, one)

    @property
    def bases(self) -> FakeStore:
        """A base for both platforms."""
        store = FakeStore("registry.example/base")
        rows = []
        for architecture in ("amd64", "arm64"):
            digest = publish(store, [layer({"etc/machine": architecture})], architecture=architecture)
            raw = store.manifest(digest)
            assert raw
            media_type = json.loads(raw)["mediaType"]
            platform = {"os": "linux", "architecture": architecture}
            rows.append({"mediaType": media_type, "digest": digest, "size": len(raw), "platform": platform})
        store.put_manifest(canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": rows}), OCI_INDEX, "1")
        return store

    def of(self, built: Built, platform: str) -> Manifest:
        found = find_manifest(self.store, built.image, Platform.parse(platform))
        assert found
        return found


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shops]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("core", "1.0")
        index.publish("core", "1.1", files={"core/__init__.py": "__version__ = '1.1'\n"})
        for tag in (X86, ARM):
            index.publish("fast", "1.0", files={"fast/native.so": tag}, tags=[tag])
        made = Shops(tmp_path, index, http, now)
        # Not of the Python that runs the tests, which may be any.
        made.image = made.image.model_copy(update={"platforms": BOTH, "python": "3.11"})
        yield made


def components(manifest: Manifest) -> list[str]:
    return [one.annotations[COMPONENT] for one in manifest.layers if one.annotations]


def test_there_is_one_image_for_each_platform_and_an_index_of_them_under_the_tag(shop: Shops) -> None:
    built = shop.both(pin("core"), pin("fast"))

    raw = shop.store.manifest("commit-111111111111")
    assert raw
    index: Any = json.loads(raw)
    assert fake(shop).tags["commit-111111111111"] == built.image
    assert [row["platform"] for row in index["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64"},
    ]
    for platform in BOTH:
        manifest = shop.of(built, platform)
        config = ImageConfig.parse(small_blob(manifest.config, shop.store, 1_000_000), "")
        assert str(config.platform) == platform
        assert sorted(components(manifest)) == ["code", "pypi:core@1.0", "pypi:fast@1.0", "venv"]
    assert shop.asked() >= {f"fast-1.0-{tag}.whl" for tag in (X86, ARM)}


def test_what_is_the_same_everywhere_is_one_blob(shop: Shops) -> None:
    built = shop.both(pin("core"), pin("fast"))

    x86, arm = ({one.digest for one in shop.of(built, platform).layers} for platform in BOTH)
    assert len(x86 & arm) == 3
    assert len(fake(shop).uploads) == len(set(fake(shop).uploads))


def test_a_bump_goes_on_from_the_image_of_each_platform(shop: Shops) -> None:
    first = shop.both(pin("core"), pin("fast"))
    shop.asked()

    second = shop.both(pin("core", "1.1"), pin("fast"), commit=SECOND, previous=first.image)

    assert shop.asked() == {"core", "core-1.1-py3-none-any.whl"}
    assert second.new_layers == 1
    for platform in BOTH:
        before, after = (shop.of(one, platform).layers for one in (first, second))
        assert len([layer for layer in after if layer not in before]) == 1


def test_building_twice_is_the_same_index_and_sends_nothing(shop: Shops) -> None:
    first = shop.both(pin("core"), pin("fast"))
    fake(shop).uploads.clear()

    second = shop.both(pin("core"), pin("fast"))

    assert (second.image, second.pushed, fake(shop).uploads) == (first.image, 0, [])


def test_an_app_that_gets_another_platform_goes_on_from_what_it_had(shop: Shops) -> None:
    both = shop.image
    shop.image = both.model_copy(update={"platforms": (), "platform": BOTH[0]})
    first = shop.both(pin("core"), pin("fast"))
    shop.image = both

    second = shop.both(pin("core"), pin("fast"), commit=SECOND, previous=first.image)

    assert shop.of(second, BOTH[0]).layers == shop.manifest(first).layers
    assert sorted(components(shop.of(second, BOTH[1]))) == ["code", "pypi:core@1.0", "pypi:fast@1.0", "venv"]


def test_what_one_platform_cannot_have_is_refused_for_all_and_nothing_is_published(shop: Shops) -> None:
    shop.index.publish("only", "1.0", tags=[X86])

    with pytest.raises(BuildRefused, match=r"`only` 1\.0 has no wheel for Python 3\.11 on manylinux_2_28_aarch64"):
        shop.both(pin("core"), pin("only"))

    assert "commit-111111111111" not in fake(shop).tags


def test_one_platform_needs_no_index(shop: Shops) -> None:
    shop.image = shop.image.model_copy(update={"platforms": BOTH[1:], "platform": BOTH[1]})

    built = shop.both(pin("core"), pin("fast"))

    assert shop.manifest(built).layers
    assert replace(built, seconds=0.0).layers == 5
