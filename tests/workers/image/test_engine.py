"""Images on a real Docker engine: it takes them, they run, and a bump costs it the layer that changed."""

import gzip
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.base_image import base_image
from tests.rig.engine import RealEngine, ran
from tests.rig.image import layer, publish
from tests.rig.podman import podman
from tests.rig.registry import Registry
from tests.rig.simple_index import SimpleIndex
from watcher.http import Http
from watcher.image import Platform
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.base import open_base
from workers.image.build import build
from workers.image.parts import SINCE
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest
from workers.oci.store import Store, small_blob
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


@dataclass
class Shop:
    """An application, an index with its packages, and a builder that pushes to a real registry."""

    directory: Path
    registry: Registry
    index: SimpleIndex
    http: Http
    built: list[Built] = field(default_factory=list)
    packings: tuple[str, ...] = ("gzip",)
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> ImageSettings:
        return ImageSettings(
            repository=f"{self.registry.address}/{self.directory.name}",
            base=base_image().address,
            python=base_image().python,
            command=("python", "shop.py"),
        ).model_copy(update=self.changes)

    @property
    def store(self) -> Store:
        return open_store(self.image.repository, {self.registry.address: self.registry.settings})

    def build(self, **versions: str) -> str:
        """The address of a new image with these packages, on top of the last one's layers."""
        pins = versions.items()
        recipe = Recipe(
            image=self.image,
            pins=tuple(Pin(ecosystem="pypi", package=name, version=v, lock="requirements.txt") for name, v in pins),
            tree=self.directory / "tree",
            commit=f"{len(self.built) + 1:040x}"[::-1],
            committed_at=datetime(2026, 1, 1, tzinfo=UTC),
            previous=self.built[-1].image if self.built else None,
            packings=self.packings,
        )
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=self.index.url)}, Wheels.of(self.image), self.http)
        base = open_base(self.image.base, Platform.parse(self.image.platform), {})
        made = build(recipe, base, self.store, house, scratch=self.directory / "scratch", now=datetime.now(UTC))
        self.built.append(made)
        return f"{self.image.repository}@{made.image}"

    def manifest(self) -> Manifest:
        """Of the newest image."""
        raw = self.store.manifest(self.built[-1].image)
        assert raw
        return Manifest.parse(raw, "")

    def pulled(self, pull: Callable[[], object]) -> list[str]:
        """The blobs that are downloaded meanwhile."""
        asked = len(self.registry.seen())
        pull()
        rows = [row for row in self.registry.seen()[asked:] if row.method == "GET" and row.status in (200, 206)]
        return [row.uri.rpartition("/")[2] for row in rows if "/blobs/" in row.uri]


@pytest.fixture
def shop(tmp_path: Path, real: Registry) -> Iterator[Shop]:
    with SimpleIndex() as index, Http() as http:
        yield Shop(tmp_path, real, index, http)


def test_a_bump_is_pulled_as_one_layer_and_what_is_above_it(shop: Shop, docker: RealEngine) -> None:
    files = {"space/one.py": "def main():\n    print('one')\n", "one.pth": "import sys; sys.came_by = 'pth'\n"}
    files |= {"one-1.0.data/data/share/one/menu.txt": "tea"}
    tree(shop.directory / "tree")
    shop.index.publish("one", "1.0", files=files, scripts={"one": "space.one:main"})
    shop.index.publish("two", "1.0", files={"space/two.py": "name = 'two'\n"})
    shop.index.publish("two", "1.1", files={"space/two.py": "name = 'two'\n", "space/data": "x" * 1000})

    with docker.api() as api:
        first = shop.build(one="1.0", two="1.0")
        api.pull(*first.split("@"))
        assert ran(api, first) == "1.0\n"
        second, before = shop.build(one="1.0", two="1.1"), shop.registry.pulled()
        blobs = shop.pulled(lambda: api.pull(*second.split("@")))
        assert ran(api, second) == "1.1\n"

    manifest = shop.manifest()
    changed, code = manifest.layers[-2:]
    assert (shop.built[1].new_layers, shop.built[1].new_size) == (1, changed.size)
    # A classic engine pulls again what lies above the layer that changed.
    assert set(blobs) <= {str(changed.digest), str(manifest.config.digest), str(code.digest)}
    most = changed.size + code.size + manifest.config.size + 2 * len(manifest.raw)
    assert shop.registry.pulled() - before <= most


LARGE = os.urandom(2_000_000)
PATCHED = """
import importlib.metadata, importlib.util, large, os
assert importlib.util.find_spec("large.old") is None and not os.path.exists("/opt/venv/share/old")
assert [one.version for one in importlib.metadata.distributions() if one.name == "large"] == [large.version]
assert len(open(os.path.dirname(large.__file__) + "/data", "rb").read()) == 2_000_000
print(large.version)
"""


def test_a_small_change_of_a_large_package_is_pulled_as_a_patch_by_every_engine(shop: Shop, docker: RealEngine) -> None:
    (shop.directory / "tree").mkdir()
    (shop.directory / "tree" / "shop.py").write_text(PATCHED)
    files: dict[str, str | bytes] = {
        "large/data": LARGE,
        "large/old/__init__.py": "",
        "large-1.0.data/data/share/old/x": "",
    }
    shop.index.publish("large", "1.0", files={**files, "large/__init__.py": "version = '1.0'\n"})
    shop.index.publish("large", "1.1", files={"large/data": LARGE, "large/__init__.py": "version = '1.1'\n"})
    shop.index.publish("core", "1.0")
    images = [shop.build(large="1.0", core="1.0"), shop.build(large="1.1", core="1.0")]

    manifest = shop.manifest()
    (patch,) = (layer for layer in manifest.layers if SINCE in layer.annotations)
    above = manifest.layers[manifest.layers.index(patch) :]
    assert sum(layer.size for layer in above) < 10_000
    least, most = ({str(one.digest) for one in (manifest.config, *layers)} for layers in ([patch], above))
    with docker.api() as api, podman() as pod:
        api.pull(*images[0].split("@"))
        assert least <= set(shop.pulled(lambda: api.pull(*images[1].split("@")))) <= most
        assert ran(api, images[1]) == "1.1\n"

        pod.pull(images[0])
        # It has all layers by their digests, and downloads none of them again.
        assert set(shop.pulled(lambda: pod.pull(images[1]))) == least
        assert pod.run(images[1]) == "1.1\n"
    copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{images[1]}"]
    subprocess.run([*copy, f"oci:{shop.directory}/copy:latest"], check=True)


HOUSE = "home/app"


def test_who_has_a_home_in_the_base_can_still_write_there(shop: Shop, docker: RealEngine, tmp_path: Path) -> None:
    (shop.directory / "tree").mkdir()
    (shop.directory / "tree" / "shop.py").write_text("")
    home = tarfile.TarInfo(HOUSE)
    home.type, home.mode, home.uid, home.gid = tarfile.DIRTYPE, 0o700, 1000, 1000
    store = LayoutStore(tmp_path / "base")
    below = [gzip.decompress(small_blob(one, store, 2**30)) for one in base_image().copied_to(store).layers]
    publish(store, [*below, layer({"home": None, HOUSE: home})], tag="latest", Env=["PATH=/usr/local/bin:/bin"])
    script = f"open('/{HOUSE}/cache', 'w').close(); open('/{HOUSE}/src/cache', 'w')"
    shop.changes = {"base": f"oci:{tmp_path}/base:latest", "user": "1000:1000", "code": f"/{HOUSE}/src"}

    address = shop.build()

    with docker.api() as api:
        api.pull(*address.split("@"))
        with pytest.raises(AssertionError, match=f"PermissionError.*'/{HOUSE}/src/cache'"):
            ran(api, address, "python3", "-c", script)


KEEPS = """
import core, pathlib
[kept] = pathlib.Path("/var/cache/python").rglob("core/__init__.*.pyc")
print(core.version, kept.stat().st_uid, kept.stat().st_mtime_ns)
"""


def test_a_host_keeps_what_it_compiled_from_image_to_image(shop: Shop, docker: RealEngine) -> None:
    (shop.directory / "tree").mkdir()
    (shop.directory / "tree" / "shop.py").write_text(KEEPS)
    shop.index.publish("core", "1.0", files={"core/__init__.py": "version = '1.0'\n"})
    shop.index.publish("core", "1.1", files={"core/__init__.py": "version = '1.1'\n"})
    shop.index.publish("other", "1.0")
    shop.index.publish("other", "1.1")
    shop.changes = {"bytecode": "cache", "user": "1000:1000"}
    addresses = [shop.build(core="1.0", other="1.0"), shop.build(core="1.0", other="1.1"), shop.build(core="1.1")]

    with docker.api() as api:
        said = []
        for address in addresses:
            api.pull(*address.split("@"))
            said.append(ran(api, address, volume="toplayer-shop-python:/var/cache/python").split())

    assert [row[:2] for row in said] == [["1.0", "1000"], ["1.0", "1000"], ["1.1", "1000"]]
    assert said[0][2] == said[1][2] != said[2][2]
