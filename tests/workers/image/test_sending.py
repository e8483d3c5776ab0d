"""Layers are sent while others are made, and are not kept for longer than that takes."""

from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from workers.image.entry import Entry
from workers.image.layer import Layer, write_layer
from workers.image.sending import Sending
from workers.oci.manifest import OCI_LAYER_GZIP, Descriptor, digest_of
from workers.oci.store import StoreUnreachable


def made(directory: Path, name: str) -> Layer:
    return write_layer([Entry(name, name.encode())], directory / name)


def test_what_was_sent_is_gone_from_the_disk(tmp_path: Path) -> None:
    store, afar, blob = FakeStore(), FakeStore("elsewhere.example/base"), b"a layer of the base"
    afar.put_blob(digest_of(blob), blob)
    layers = [made(tmp_path, name) for name in ("one", "two", "three")]

    with Sending(store, tmp_path) as sending:
        for layer in layers:
            sending.put(layer)
        sending.copy(Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(blob), size=len(blob)), afar)
        sent = sending.wait()

    assert sent == sum(layer.size for layer in layers) + len(blob)
    assert set(store.blobs) == {digest_of(blob), *(layer.digest for layer in layers)}
    assert list(tmp_path.iterdir()) == []


def test_where_one_thing_cannot_be_sent_nothing_more_is_made(tmp_path: Path) -> None:
    store = FakeStore()
    store.offline = True

    with Sending(store, tmp_path) as sending:
        sending.put(made(tmp_path, "one"))
        with pytest.raises(StoreUnreachable):
            sending.wait()
        with pytest.raises(StoreUnreachable):
            sending.put(made(tmp_path, "two"))
