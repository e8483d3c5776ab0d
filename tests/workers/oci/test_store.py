"""What every store promises: the fake, the layout, and a real registry in three ways of speaking to it."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.fakes.store import FakeStore
from tests.rig.registry import registry
from watcher.image import Digest
from workers.oci.layout import LayoutStore
from workers.oci.manifest import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor, Manifest, digest_of
from workers.oci.referrers import Artifact
from workers.oci.store import BlobsMissing, Store, StoreRefused, attach, copy_blob, small_blob
from workers.oci.stores import open_store

Open = Callable[[str], Store]
"""Opens the repository of a name, in one place."""

NOWHERE = Digest(f"sha256:{'0' * 64}")


@pytest.fixture(scope="module", params=["fake", "layout", "plain", "basic", "tls"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    directory = tmp_path_factory.mktemp("place")
    if request.param == "fake":
        fakes: dict[str, FakeStore] = {}
        yield lambda name: fakes.setdefault(name, FakeStore(f"registry.example/{name}"))
    elif request.param == "layout":
        yield lambda name: LayoutStore(directory / name)
    else:
        with registry(directory, auth=request.param != "plain", tls=request.param == "tls") as real:
            yield lambda name: open_store(f"{real.address}/{name}", {real.address: real.settings})


@pytest.fixture
def store(place: Open, request: pytest.FixtureRequest) -> Store:
    return place(f"team/{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}")


def filled(store: Store, *layers: bytes) -> Manifest:
    """A manifest of these layers, whose blobs are in the store."""
    config = b'{"os":"linux"}'
    for blob in (config, *layers):
        store.put_blob(digest_of(blob), blob)
    rows = tuple(Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(raw), size=len(raw)) for raw in layers)
    return Manifest.make(Descriptor(media_type=OCI_CONFIG, digest=digest_of(config), size=len(config)), rows, {})


def test_what_was_put_comes_back(store: Store, tmp_path: Path) -> None:
    raw = os.urandom(3_000_000)
    (tmp_path / "blob").write_bytes(raw)

    sent = store.put_blob(digest_of(raw), tmp_path / "blob")

    assert sent == len(raw)
    assert store.has(digest_of(raw))
    assert store.size(digest_of(raw)) == len(raw)
    with store.blob(digest_of(raw)) as stream:
        assert stream.read(10) == raw[:10]
        assert b"".join(iter(lambda: stream.read(70_000), b"")) == raw[10:]


def test_a_blob_travels_once(store: Store) -> None:
    store.put_blob(digest_of(b"once"), b"once")

    assert store.put_blob(digest_of(b"once"), b"once") == 0


def test_an_empty_blob_is_a_blob(store: Store) -> None:
    store.put_blob(digest_of(b""), b"")

    with store.blob(digest_of(b"")) as stream:
        assert stream.read() == b""


def test_what_is_not_there_is_not_there(store: Store) -> None:
    assert not store.has(NOWHERE)
    assert store.size(NOWHERE) is None
    assert store.manifest(NOWHERE) is None
    assert store.manifest("latest") is None
    with pytest.raises(StoreRefused, match="there is no blob"), store.blob(NOWHERE):
        pass


def test_bytes_that_are_not_the_digests_are_refused_and_leave_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"something else")

    with pytest.raises(StoreRefused):
        store.put_blob(digest_of(b"what it should be"), tmp_path / "blob")

    assert not store.has(digest_of(b"what it should be"))


def test_a_manifest_is_found_by_its_digest_and_by_its_tag(store: Store) -> None:
    manifest = filled(store, b"layer")

    digest = store.put_manifest(manifest.raw, OCI_MANIFEST, "commit-1")

    assert digest == manifest.digest
    assert store.manifest(digest) == store.manifest("commit-1") == manifest.raw


def test_the_digest_of_a_name_is_told_and_nothing_is_told_of_a_name_that_is_not_there(store: Store) -> None:
    made = filled(store, b"a layer")
    store.put_manifest(made.raw, OCI_MANIFEST, "1")

    assert store.named("1") == store.named(made.digest) == made.digest
    assert store.named("2") is None
    assert store.named(NOWHERE) is None


def test_a_manifest_without_a_tag_is_found_by_its_digest(store: Store) -> None:
    manifest = filled(store, b"nameless")

    store.put_manifest(manifest.raw, OCI_MANIFEST)

    assert store.manifest(manifest.digest) == manifest.raw


def test_a_tag_moves_and_what_it_pointed_to_stays(store: Store) -> None:
    old, new = filled(store, b"old"), filled(store, b"new")
    store.put_manifest(old.raw, OCI_MANIFEST, "latest")

    store.put_manifest(new.raw, OCI_MANIFEST, "latest")

    assert store.manifest("latest") == new.raw
    assert store.manifest(old.digest) == old.raw


def test_one_manifest_may_have_two_tags(store: Store) -> None:
    manifest = filled(store, b"two names")

    for tag in ("one", "two", "one"):
        store.put_manifest(manifest.raw, OCI_MANIFEST, tag)

    assert store.manifest("one") == store.manifest("two") == manifest.raw


def test_what_is_said_about_an_image_is_found_beside_it(store: Store) -> None:
    image = filled(store, b"layer")
    store.put_manifest(image.raw, OCI_MANIFEST, "latest")
    bom = Artifact(kind="application/vnd.bom+json", content=b"{}1", annotations={"what": "it is made of"})
    other = Artifact(kind="application/vnd.other+json", content=b"{}2", tag="other")

    assert attach(store, image, bom) > 0
    assert attach(store, image, other) > 0
    assert attach(store, image, bom) == attach(store, image, other) == 0

    first, second = store.referrers(image.digest)
    assert {first.artifact_type, second.artifact_type} == {bom.kind, other.kind}
    raw = store.manifest(next(one for one in (first, second) if one.artifact_type == bom.kind).digest)
    assert raw == bom.manifest(image)
    assert small_blob(Manifest.parse(raw, "").layers[0], store, 100) == b"{}1"
    assert store.manifest("other") == other.manifest(image)
    assert store.referrers(NOWHERE) == ()


def test_a_manifest_whose_blobs_are_missing_is_refused(store: Store) -> None:
    manifest = filled(store, b"there")
    missing = Descriptor(media_type=OCI_LAYER_GZIP, digest=NOWHERE, size=3)
    broken = Manifest.make(manifest.config, (*manifest.layers, missing), {})

    with pytest.raises(BlobsMissing):
        store.put_manifest(broken.raw, OCI_MANIFEST, "broken")

    assert store.manifest("broken") is None


def test_a_blob_is_copied_from_another_place(store: Store, tmp_path: Path) -> None:
    raw = os.urandom(500_000)
    source = LayoutStore(tmp_path / "elsewhere" / "layout")
    source.put_blob(digest_of(raw), raw)
    blob = Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(raw), size=len(raw))

    # A layout takes it over without a copy, if it is on the same file system.
    assert copy_blob(blob, source, store, tmp_path) in (0, len(raw))
    assert copy_blob(blob, source, store, tmp_path) == 0
    assert [path.name for path in tmp_path.glob("blob-*")] == []
    assert small_blob(blob, store, 500_000) == raw


def test_a_blob_is_saved_to_a_file(store: Store, tmp_path: Path) -> None:
    raw = os.urandom(500_000)
    store.put_blob(digest_of(raw), raw)

    store.save(digest_of(raw), tmp_path / "saved")

    assert (tmp_path / "saved").read_bytes() == raw
    with pytest.raises(StoreRefused, match="there is no blob"):
        store.save(NOWHERE, tmp_path / "nothing")


def test_a_blob_next_door_does_not_travel(store: Store, place: Open) -> None:
    neighbour = place("base/python")
    neighbour.put_blob(digest_of(b"next door"), b"next door")

    assert store.adopt(digest_of(b"next door"), neighbour)
    with store.blob(digest_of(b"next door")) as stream:
        assert stream.read() == b"next door"


def test_a_blob_that_the_neighbour_does_not_have_is_not_taken_over(store: Store, place: Open) -> None:
    assert not store.adopt(NOWHERE, place("base/python"))
    assert not store.has(NOWHERE)


def test_what_should_be_small_is_not_read_beyond_its_limit(store: Store) -> None:
    store.put_blob(digest_of(b"x" * 100), b"x" * 100)
    blob = Descriptor(media_type=OCI_CONFIG, digest=digest_of(b"x" * 100), size=10)

    with pytest.raises(StoreRefused, match="larger than 99"):
        small_blob(blob, store, 99)


def test_threads_may_share_a_store(store: Store) -> None:
    blobs = [os.urandom(50_000) for _ in range(16)]
    threads = [Thread(target=store.put_blob, args=(digest_of(raw), raw)) for raw in blobs]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(store.has(digest_of(raw)) for raw in blobs)
