"""Images on a real Docker engine: it takes them, they run, and a bump costs it the layer that changed."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.base_image import base_image
from tests.rig.engine import RealEngine, ran
from tests.rig.registry import Registry
from tests.rig.simple_index import SimpleIndex
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.base import open_base
from workers.image.build import build
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.manifest import Manifest
from workers.oci.stores import open_store

pytestmark = pytest.mark.journey

ODD = os.fsdecode(b"caf\xe9.txt")
LONG = "/".join(["long" * 20] * 4)
SHOP = f"""
import importlib.metadata, os, space.one, space.two, subprocess, sys
assert sys.came_by == "pth" and sys.prefix == "/opt/venv"
assert open("/opt/venv/share/one/menu.txt").read() == "tea"
assert os.listdir(b"odd") == [b"caf\\xe9.txt"] and open({LONG!r}).read() == "deep" and open("link").read() == "deep"
assert subprocess.run(["one"], capture_output=True, check=True).stdout == b"one\\n"
assert os.stat("/app").st_uid == 0 and oct(os.stat("run.sh").st_mode)[-3:] == "755"
print(importlib.metadata.version("two"))
"""


def tree(root: Path) -> Path:
    (root / "odd").mkdir(parents=True)
    (root / "odd" / ODD).touch()
    (root / LONG).parent.mkdir(parents=True)
    (root / LONG).write_text("deep")
    (root / "link").symlink_to(LONG)
    (root / "run.sh").touch(0o700)
    (root / "shop.py").write_text(SHOP)
    return root


def test_a_bump_is_pulled_as_one_layer_and_what_is_above_it(tmp_path: Path, docker: RealEngine, real: Registry) -> None:
    image = ImageSettings(
        repository=f"{real.address}/team/shop",
        base=base_image().address,
        python=base_image().python,
        command=("python", "shop.py"),
    )
    base = open_base(image.base, Platform.parse(image.platform), {})
    store = open_store(image.repository, {real.address: real.settings})
    files = {"space/one.py": "def main():\n    print('one')\n", "one.pth": "import sys; sys.came_by = 'pth'\n"}
    files |= {"one-1.0.data/data/share/one/menu.txt": "tea"}

    def made(commit: str, two: str, previous: Digest | None) -> Built:
        pins = (("one", "1.0"), ("two", two))
        recipe = Recipe(
            image=image,
            pins=tuple(Pin(ecosystem="pypi", package=name, version=v, lock="requirements.txt") for name, v in pins),
            tree=tmp_path / "tree",
            commit=commit,
            committed_at=datetime(2026, 1, 1, tzinfo=UTC),
            previous=previous,
        )
        house = Wheelhouse(IndexSettings(kind="pypi", url=index.url), Wheels.of(image), http)
        return build(recipe, base, store, house, scratch=tmp_path / "scratch", now=datetime.now(UTC))

    tree(tmp_path / "tree")
    with SimpleIndex() as index, Http() as http, docker.api() as api:
        index.publish("one", "1.0", files=files, scripts={"one": "space.one:main"})
        index.publish("two", "1.0", files={"space/two.py": "name = 'two'\n"})
        index.publish("two", "1.1", files={"space/two.py": "name = 'two'\n", "space/data": "x" * 1000})

        first = made("1" * 40, "1.0", None)
        api.pull(image.repository, tag=str(first.image))
        assert ran(api, f"{image.repository}@{first.image}") == "1.0\n"

        second = made("2" * 40, "1.1", first.image)
        before, asked = real.pulled(), len(real.seen())
        api.pull(image.repository, tag=str(second.image))
        assert ran(api, f"{image.repository}@{second.image}") == "1.1\n"

    raw = store.manifest(second.image)
    assert raw
    manifest = Manifest.parse(raw, "")
    changed, code = manifest.layers[-2:]
    assert (second.new_layers, second.new_size) == (1, changed.size)
    blobs = [row.uri.rpartition("/")[2] for row in real.seen()[asked:] if "/blobs/" in row.uri and row.method == "GET"]
    # A classic engine pulls again what lies above the layer that changed.
    assert set(blobs) <= {str(changed.digest), str(manifest.config.digest), str(code.digest)}
    assert real.pulled() - before <= changed.size + code.size + manifest.config.size + 2 * len(manifest.raw)
