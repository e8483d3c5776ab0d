"""Images to stand on: of both families of media types, behind indexes, for the right platform."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from watcher.image import Digest, Platform
from workers.image.base import Base, open_base, read_base
from workers.image.errors import BuildRefused
from workers.oci.layout import LayoutStore
from workers.oci.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    ImageUnreadable,
    Manifest,
    canonical,
    digest_of,
)

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
NAME = "registry.example/base:1"


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def index(store: FakeStore, media_type: str, **images: Digest) -> None:
    """Tags `1` as an index of images by their architecture."""
    rows = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": str(digest),
            "size": 1,
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture, digest in images.items()
    ]
    raw = canonical({"schemaVersion": 2, "mediaType": media_type, "manifests": rows})
    store.put_manifest(raw, media_type, "1")


def edited(store: FakeStore, digest: Digest, **changes: Any) -> None:
    """Tags `1` as the image with another manifest."""
    table = json.loads(store.manifests[digest]) | changes
    store.put_manifest(canonical(table), str(table["mediaType"]), "1")


def test_scratch_is_nothing() -> None:
    assert open_base("scratch", AMD64, {}) == Base()


def test_a_base_is_its_layers_and_its_configuration(store: FakeStore) -> None:
    digest = publish(store, [layer({"a": "1"}), layer({"b": "2"})], tag="1", Env=["A=1"])
    store.uploads.clear()

    base = read_base(NAME, store, "1", AMD64)

    assert (base.digest, len(base.layers), base.config.run["Env"]) == (digest, 2, ["A=1"])


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_behind_an_index_the_image_for_the_platform_is_taken(store: FakeStore, media_type: str) -> None:
    mine = publish(store, [layer({"a": "amd64"})])
    index(store, media_type, arm64=digest_of(b"not there"), amd64=mine)

    assert read_base(NAME, store, "1", AMD64).digest == mine


def test_an_index_without_the_platform_is_refused(store: FakeStore) -> None:
    index(store, OCI_INDEX, amd64=publish(store, [layer({"a": "1"})]))

    with pytest.raises(ImageUnreadable, match="expected an image for linux/arm64, got linux/amd64"):
        read_base(NAME, store, "1", ARM64)


def test_an_image_for_another_platform_is_refused(store: FakeStore) -> None:
    publish(store, [layer({"a": "1"})], tag="1")

    with pytest.raises(BuildRefused, match="expected an image for linux/arm64, got one for linux/amd64") as caught:
        read_base(NAME, store, "1", ARM64)

    assert NAME in str(caught.value)
    assert "platform" in caught.value.hint


def test_an_index_of_itself_is_refused(store: FakeStore) -> None:
    raw = b'{"schemaVersion":2,"manifests":[]}'
    for _ in range(5):
        index(store, OCI_INDEX, amd64=digest_of(raw))
        raw = store.manifests[store.tags["1"]]

    with pytest.raises(ImageUnreadable):
        read_base(NAME, store, "1", AMD64)


def test_a_base_that_is_not_there_is_refused(store: FakeStore, tmp_path: Path) -> None:
    with pytest.raises(BuildRefused, match="has no image 1"):
        read_base(NAME, store, "1", AMD64)
    with pytest.raises(BuildRefused, match=r"has no image 3\.12") as caught:
        open_base(f"oci:{tmp_path}:3.12", AMD64, {})
    assert "base" in caught.value.hint


def test_a_base_is_read_from_a_layout(tmp_path: Path) -> None:
    digest = publish(LayoutStore(tmp_path), [layer({"a": "1"})], tag="3.12")

    assert open_base(f"oci:{tmp_path}:3.12", AMD64, {}).digest == digest
    assert open_base(f"oci:{tmp_path}@{digest}", AMD64, {}).digest == digest


def test_dockers_media_types_are_said_in_oci(store: FakeStore) -> None:
    digest = publish(store, [layer({"a": "1"})])
    rows = [one.json() for one in Manifest.parse(store.manifests[digest], "").layers]
    rows[0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    edited(store, digest, mediaType=DOCKER_MANIFEST, layers=rows)

    assert [one.media_type for one in read_base(NAME, store, "1", AMD64).layers] == [OCI_LAYER_GZIP]


def test_what_a_base_says_of_its_own_parts_is_not_said_again(store: FakeStore) -> None:
    digest = publish(store, [layer({"a": "1"})])
    rows = [one.json() for one in Manifest.parse(store.manifests[digest], "").layers]
    rows[0]["annotations"] = {"io.toplayer.key": "x"}
    edited(store, digest, layers=rows)

    assert read_base(NAME, store, "1", AMD64).layers[0].annotations == {}


def test_a_layer_that_must_not_be_copied_is_refused(store: FakeStore) -> None:
    digest = publish(store, [layer({"a": "1"})])
    rows = [one.json() for one in Manifest.parse(store.manifests[digest], "").layers]
    rows[0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    edited(store, digest, layers=rows)

    with pytest.raises(ImageUnreadable, match="foreign"):
        read_base(NAME, store, "1", AMD64)


def test_a_base_with_more_layers_than_diff_ids_is_refused(store: FakeStore) -> None:
    digest = publish(store, [layer({"a": "1"})])
    rows = [one.json() for one in Manifest.parse(store.manifests[digest], "").layers]
    edited(store, digest, layers=rows * 2)

    with pytest.raises(ImageUnreadable, match="diff_ids: expected as many as the manifest has layers, got 1 and 2"):
        read_base(NAME, store, "1", AMD64)
