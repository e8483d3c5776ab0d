"""Wheels that are on no index: in the repository, or at an address. Nothing has to be built for them."""

import json
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.rig.wheel import wheel
from tests.workers.image.test_build import COMMITTED, FIRST, SECOND, Shop, fake
from watcher import lockfiles
from watcher.http import Http, Limits
from watcher.image import Digest
from watcher.rollout import Built
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.image.build import build
from workers.image.errors import BuildRefused
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse

NAME = "near-1.0-py3-none-any.whl"


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("far", "2.0")
        shop = Shop(tmp_path, index, http, now)
        (shop.tree / "vendor").mkdir()
        (shop.tree / "vendor" / NAME).write_bytes(wheel("near", "1.0"))
        yield shop


def made(shop: Shop, *lines: str, commit: str = FIRST, previous: Digest | None = None) -> Built:
    shop.write({"requirements.txt": "\n".join(lines)})
    recipe = Recipe(
        image=shop.image,
        pins=(),
        sources=lockfiles.elsewhere(["requirements.txt"], lambda path: (shop.tree / path).read_bytes()),
        locks=("requirements.txt",),
        tree=shop.tree,
        commit=commit,
        committed_at=COMMITTED,
        previous=previous,
        terms=shop.terms,
    )
    house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=shop.url)}, Wheels.of(shop.image), shop._http)
    return build(recipe, shop.base, shop.store, house, scratch=shop.directory / "scratch", now=COMMITTED)


def lines(shop: Shop) -> tuple[str, str]:
    address = f"{shop.index.origin}/files/far-2.0-py3-none-any.whl"
    near, far = (sha256(data).hexdigest() for data in (wheel("near", "1.0"), wheel("far", "2.0")))
    return f"./vendor/{NAME} --hash=sha256:{near}", f"far @ {address} --hash=sha256:{far}"


def test_they_are_packages_like_any_other(shop: Shop) -> None:
    first = made(shop, *lines(shop))

    root = shop.unpacked(first)
    assert next(root.rglob("near/__init__.py")).read_text() == '__version__ = "1.0"\n'
    told = {path.parent.name: json.loads(path.read_text()) for path in root.rglob("direct_url.json")}
    assert told["near-1.0.dist-info"]["url"] == f"file:///app/vendor/{NAME}"
    assert told["far-2.0.dist-info"]["archive_info"]["hashes"].keys() == {"sha256"}
    shop.asked()
    fake(shop).uploads.clear()

    shop.write({"shop.py": "print('closed')\n"})
    second = made(shop, *lines(shop), commit=SECOND, previous=first.image)

    assert second.new_layers == 1
    assert shop.asked() == set()


@pytest.mark.parametrize("which", [0, 1])
def test_other_bytes_than_the_lock_has_the_hash_of_are_refused(shop: Shop, which: int) -> None:
    line = lines(shop)[which].partition("sha256:")[0] + "sha256:" + "0" * 64

    with pytest.raises(BuildRefused, match="hash"):
        made(shop, line)

    assert fake(shop).manifests == {}


def test_what_is_not_there_or_leads_out_of_the_repository_is_refused(shop: Shop) -> None:
    (shop.directory / NAME).write_bytes(wheel("near", "1.0"))
    (shop.tree / "vendor" / NAME).unlink()

    with pytest.raises(BuildRefused, match="which is not in the repository"):
        made(shop, f"./vendor/{NAME}")

    (shop.tree / "vendor" / NAME).symlink_to(shop.directory / NAME)
    with pytest.raises(BuildRefused):
        made(shop, f"./vendor/{NAME}")


def test_two_places_for_one_package_are_refused(shop: Shop) -> None:
    with pytest.raises(BuildRefused, match=r"`near` is in it more than once \(path and url\)"):
        made(shop, f"./vendor/{NAME}", "near @ https://files.example/near-1.1-py3-none-any.whl")
