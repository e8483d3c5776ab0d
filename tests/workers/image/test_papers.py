"""What is told of an image beside it, as the library that wrote it and others read it."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from tests.rig.simple_index import SimpleIndex
from tests.rig.wheel import wheel, wheel_name
from tests.workers.image.test_build import FIRST, SECOND, Shop, pin
from watcher.http import Http, Limits
from watcher.image import Platform
from watcher.rollout import Built
from workers.image.base import read_base
from workers.image.papers import BOM, STATEMENT
from workers.oci.manifest import Manifest
from workers.oci.store import small_blob


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("core", "1.0")
        made = Shop(tmp_path, index, http, now)
        fake_base = FakeStore("registry.example/base")
        publish(fake_base, [layer({"etc/os": "x"})], tag="1")
        made.base = read_base("registry.example/base:1", fake_base, "1", Platform("linux", "amd64"))
        yield made


def told(shop: Shop, built: Built, kind: str) -> Any:
    """What is said of an image in an artifact of this kind."""
    (found,) = (one for one in shop.store.referrers(built.image) if one.artifact_type == kind)
    raw = shop.store.manifest(found.digest)
    assert raw
    return json.loads(small_blob(Manifest.parse(raw, "").layers[0], shop.store, 1_000_000))


def test_what_an_image_consists_of_is_told_beside_it(shop: Shop) -> None:
    built = shop.build(pin("core"))

    table = told(shop, built, BOM)
    found: Bom = Bom.from_json(table)  # type: ignore[attr-defined]
    rows = {str(row.bom_ref): row for row in found.components}
    assert set(rows) == {"pypi:core", "base"}
    assert str(rows["pypi:core"].purl) == "pkg:pypi/core@1.0"
    digests = {one.digest for one in shop.manifest(built).layers}
    assert {one.value for one in rows["pypi:core"].properties} < digests
    assert rows["base"].version == shop.base.digest
    assert found.metadata.component
    assert found.metadata.component.version == built.image
    assert table["metadata"]["timestamp"] == "2026-11-02T08:30:00+00:00"


def test_licences_and_hashes_of_packages_are_told_also_when_nothing_of_them_is_here(shop: Shop) -> None:
    data = wheel("free", "1.0", terms="MIT OR Apache-2.0")
    shop.index.add("free", wheel_name("free", "1.0"), data)
    first = shop.build(pin("core"), pin("free"))
    shop.write({"shop.py": "print('closed')\n"})

    second = shop.build(pin("core"), pin("free"), commit=SECOND, previous=first.image)

    sha256 = hashlib.sha256(data).hexdigest()
    for built in (first, second):
        (row,) = (one for one in told(shop, built, BOM)["components"] if one["name"] == "free")
        assert row["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
        assert row["hashes"] == [{"alg": "SHA-256", "content": sha256}]
        used = told(shop, built, STATEMENT)["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert {"uri": "pkg:pypi/free@1.0", "digest": {"sha256": sha256}} in used


def test_how_an_image_came_to_be_is_told_beside_it(shop: Shop) -> None:
    built = shop.build(pin("core"))

    statement = told(shop, built, STATEMENT)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][0]["digest"] == {"sha256": built.image.hex}
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["commit"] == FIRST
    uris = [one["uri"] for one in definition["resolvedDependencies"]]
    assert uris == ["git+https://git.example/shop", "pkg:pypi/core@1.0", "registry.example/base:1"]


def test_the_same_is_told_of_the_same_image(shop: Shop) -> None:
    first = shop.build(pin("core"))
    before = shop.store.referrers(first.image)
    shop.later()

    again = shop.build(pin("core"))

    assert (again.pushed, shop.store.referrers(first.image)) == (0, before)
