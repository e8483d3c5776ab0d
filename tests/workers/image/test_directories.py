"""Whose the directories above an image's files are: the base's word counts, and it is read once."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import Entry, Link, layer, publish
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import FIRST, SECOND, Shop, pin
from watcher.http import Http, Limits
from watcher.image import Platform
from watcher.rollout import Built
from workers.image.base import read_base
from workers.image.errors import BuildRefused
from workers.oci.store import StoreRefused

AMD64 = Platform("linux", "amd64")


def directory(mode: int, uid: int, gid: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, gid
    return info


def named(entries: dict[str, Entry]) -> bytes:
    for name, entry in entries.items():
        if isinstance(entry, tarfile.TarInfo):
            entry.name = name
    return layer(entries)


HOUSE = "home/app"
HOME = {"home": None, HOUSE: directory(0o750, 1000, 1001), f"{HOUSE}/src": directory(0o755, 1000, 1001)}


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("core", "1.0")
        shop = Shop(tmp_path, index, http, now)
        shop.image = shop.image.model_copy(update={"code": f"/{HOUSE}/src"})
        yield shop


def stand_on(shop: Shop, *layers: bytes, tag: str = "1", user: str = "app") -> FakeStore:
    store = FakeStore("registry.example/base")
    publish(store, layers, tag=tag, User=user)
    shop.base = read_base(f"registry.example/base:{tag}", store, tag, AMD64)
    return store


def owners(shop: Shop, built: Built) -> dict[str, tuple[int, int, int]]:
    """The directories in the layers above the base."""
    found = {}
    for one in shop.manifest(built).layers[len(shop.base.layers) :]:
        with shop.store.blob(one.digest) as blob, tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob.read()))) as tar:
            for member in tar:
                if member.isdir():
                    found[member.name] = (member.mode, member.uid, member.gid)
                else:
                    assert (member.uid, member.gid) == (0, 0)
    return found


def test_a_home_stays_its_users(shop: Shop) -> None:
    stand_on(shop, named(dict(HOME)))

    found = owners(shop, shop.build(pin("core")))

    assert found["home"] == (0o755, 0, 0)
    assert found["home/app"] == (0o750, 1000, 1001)
    assert found["home/app/src"] == (0o755, 1000, 1001)
    assert found["opt/venv"] == (0o755, 0, 0)


def test_the_last_word_of_the_base_counts(shop: Shop) -> None:
    gone = {"home/.wh.app": b""}
    again: dict[str, Entry] = {"home/app": directory(0o700, 5, 5), "home/app/.wh..wh..opq": b""}
    stand_on(shop, named(dict(HOME)), named(dict(gone)), named(dict(HOME)), named(again))

    found = owners(shop, shop.build(pin("core")))

    assert (found["home/app"], found["home/app/src"]) == ((0o700, 5, 5), (0o755, 0, 0))


def test_what_the_base_says_is_known_from_the_image_before(shop: Shop) -> None:
    store = stand_on(shop, named(dict(HOME)))
    first = shop.build(pin("core"))
    store.blobs.clear()

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert second.new_layers == 0
    assert owners(shop, second) == owners(shop, first)
    shop.image = shop.image.model_copy(update={"code": f"/{HOUSE}/other"})
    with pytest.raises(StoreRefused):
        shop.build(pin("core"), previous=first.image)


def test_no_layer_stays_that_says_what_another_base_said(shop: Shop) -> None:
    stand_on(shop, named(dict(HOME)))
    first = shop.build(pin("core"))
    stand_on(shop, named({**HOME, "home/app": directory(0o755, 7, 7), "home/app/src": directory(0o755, 7, 7)}), tag="2")

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert owners(shop, second)["home/app"] == (0o755, 7, 7)
    assert owners(shop, second)["home/app/src"] == (0o755, 7, 7)


@pytest.mark.parametrize(("user", "code"), [("", "/app"), ("root", "/app"), ("0:0", "/srv/app")])
def test_where_all_runs_as_root_the_base_is_not_read(shop: Shop, user: str, code: str) -> None:
    shop.image = shop.image.model_copy(update={"code": code})
    store = stand_on(shop, layer({"etc/os": "x"}), user=user)
    shop.store.put_blob(shop.base.layers[0].digest, store.blobs.pop(shop.base.layers[0].digest))

    assert shop.build(pin("core")).layers == 4


def test_a_link_that_a_layer_would_replace_is_refused(shop: Shop) -> None:
    stand_on(shop, layer({"home": Link("usr/home"), f"usr/{HOUSE}": None}))

    with pytest.raises(BuildRefused, match=r"/home: base .* has a file or a link there"):
        shop.build(pin("core"), commit=FIRST)


def test_a_base_that_cannot_be_read_is_refused(shop: Shop) -> None:
    store = stand_on(shop, layer({"etc/os": "x" * 2000})[:700])

    assert store.blobs
    with pytest.raises(BuildRefused, match="it cannot be read"):
        shop.build(pin("core"))


PASSWD = f"root:x:0:0::/:/bin/sh\napp:x:1000:1001::/{HOUSE}:/bin/sh\n"


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("app", (1000, 1001)),
        ("1000", (1000, 1001)),
        ("app:web", (1000, 33)),
        ("5:6", (5, 6)),
        ("7", (7, 0)),
        ("root", (0, 0)),
    ],
)
def test_what_python_compiles_is_kept_by_who_runs_there(shop: Shop, user: str, owner: tuple[int, int]) -> None:
    shop.image = shop.image.model_copy(update={"bytecode": "cache", "code": "/app"})
    below: dict[str, Entry] = {"etc/passwd": PASSWD, "etc/group": "web:x:33:\n", "var/cache": directory(0o775, 0, 8)}
    stand_on(shop, named(dict(below)), user=user)

    found = owners(shop, shop.build(pin("core")))

    assert found["var/cache/python"] == (0o755, *owner)
    assert found["var/cache"] == ((0o775, 0, 8) if owner[0] else (0o755, 0, 0))


def test_a_user_that_the_base_does_not_know_has_nothing_to_keep(shop: Shop) -> None:
    shop.image = shop.image.model_copy(update={"bytecode": "cache", "code": "/app"})
    stand_on(shop, layer({"etc/passwd": PASSWD}), user="nobody")

    with pytest.raises(BuildRefused, match=r"nobody: base .* has no such user in /etc/passwd"):
        shop.build(pin("core"))


def test_another_base_with_the_same_user_leaves_the_layers_as_they_are(shop: Shop) -> None:
    shop.image = shop.image.model_copy(update={"bytecode": "cache", "code": "/app"})
    stand_on(shop, layer({"etc/passwd": PASSWD}))
    first = shop.build(pin("core"))
    stand_on(shop, layer({"etc/passwd": PASSWD, "etc/os": "2"}), tag="2")

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert {one.digest for one in shop.manifest(first).layers[1:]} == {
        one.digest for one in shop.manifest(second).layers[1:]
    }
