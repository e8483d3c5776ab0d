"""The image as it is deployed: with annotations, and beside it how it came to be."""

import json

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from watcher.image import Digest
from workers.dockerfile.earlier import Earlier, earlier
from workers.dockerfile.finish import KIND, Journal, finish, is_finished, recalled
from workers.oci.manifest import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Manifest
from workers.oci.referrers import Artifact
from workers.oci.store import attach

LABELS = {"org.opencontainers.image.revision": "1" * 40, "team": "field"}
JOURNAL = Journal(foreseen=7, told=("a host will pull 7 B",), warning="too wide", timings={"RUN make": 1.5})


@pytest.fixture
def store() -> FakeStore:
    found = FakeStore()
    digest = publish(found, [layer({"a": "1"})], tag="commit-1", Labels=LABELS)
    # In Docker's own words, as an engine pushes it.
    raw = found.manifests[digest].replace(OCI_LAYER_GZIP.encode(), b"application/vnd.docker.image.rootfs.diff.tar.gzip")
    raw = raw.replace(OCI_CONFIG.encode(), b"application/vnd.docker.container.image.v1+json")
    found.put_manifest(raw, OCI_MANIFEST, "commit-1")
    return found


def image(store: FakeStore) -> Earlier:
    found = earlier(store, "commit-1")
    assert found
    return found


def test_the_tag_names_it_once_all_that_is_to_be_said_is_beside_it(store: FakeStore) -> None:
    before = image(store)
    assert not is_finished(before)
    manifest, sent = finish(before, store, "commit-1", JOURNAL)
    after = image(store)
    assert is_finished(after)
    assert after.manifest == manifest
    assert manifest.annotations == {"org.opencontainers.image.revision": "1" * 40}
    assert (manifest.config.media_type, manifest.layers[0].media_type) == (OCI_CONFIG, OCI_LAYER_GZIP)
    assert (manifest.config.digest, manifest.layers[0].digest) == (
        before.manifest.config.digest,
        before.manifest.layers[0].digest,
    )
    assert sent > len(manifest.raw)
    assert recalled(after, store) == JOURNAL
    assert finish(after, store, "commit-1", JOURNAL) == (manifest, len(manifest.raw))


def test_an_image_of_which_nobody_has_told_anything_is_a_blank_page(store: FakeStore) -> None:
    assert recalled(image(store), store) == Journal()


@pytest.mark.parametrize("content", [b"{}", b"[]", b"no JSON", json.dumps({"foreseen": [], "told": 5}).encode()])
def test_what_somebody_else_has_written_there_does_no_harm(store: FakeStore, content: bytes) -> None:
    attach(store, image(store).manifest, Artifact(kind=KIND, content=content))
    assert recalled(image(store), store) == Journal()


def test_an_artifact_without_content_is_none(store: FakeStore) -> None:
    raw = Artifact(kind=KIND, content=b"{}").manifest(image(store).manifest)
    empty = {**json.loads(raw), "layers": []}
    store.put_blob(Digest(empty["config"]["digest"]), b"{}")
    store.put_manifest(json.dumps(empty).encode(), OCI_MANIFEST)
    assert Manifest.parse(json.dumps(empty).encode(), "").layers == ()
    assert recalled(image(store), store) == Journal()
