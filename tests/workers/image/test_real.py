"""Real packages, through a real registry that fails half of the time, to a Python that runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uv
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.rig.process import lack, need
from tests.rig.proxy import half_the_time, proxy
from tests.rig.registry import PASSWORD, USERNAME, Registry, registry
from watcher.http import Http, Request
from watcher.pin import Pin
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.base import Base
from workers.image.build import build
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.stores import open_store
from workers.process import environment

pytestmark = pytest.mark.journey

PYTHON = f"3.{sys.version_info.minor}"
# Compiled code, console scripts, data files, a package with its own way of being laid out, and one that needs others.
PINS = {
    "charset-normalizer": "3.4.4",
    "jinja2": "3.1.6",
    "markupsafe": "3.0.3",
    "pygments": "2.19.2",
    "setuptools": "80.9.0",
    "zope-event": "6.0",
    "zope-interface": "8.0.1",
}
CHECK = """
import charset_normalizer, importlib.metadata as m, jinja2, markupsafe._speedups, pygments, zope.event, zope.interface
assert jinja2.Template("{{ 6 * 7 }}").render() == "42"
for name in m.packages_distributions(): pass
files = [f for d in m.distributions() for f in d.files]
assert len(files) > 500 and all(f.locate().exists() for f in files), [f for f in files if not f.locate().exists()]
print(charset_normalizer.from_bytes("é".encode()).best())
"""


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    with Http("toplayer's tests") as client:
        try:
            client.one(Request(f"{PYPI_SIMPLE_ENDPOINT.rstrip('/')}/zope-event/"))
        except Exception as error:
            lack(f"needs the public index: {error}")
        yield client


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry"), auth=True) as running:
        yield running


def files(root: Path) -> dict[str, bytes]:
    """The files of an environment that packages brought along, without what tells where they are or who installed."""
    ours = ("RECORD", "direct_url.json", "uv_cache.json", "INSTALLER")
    found = {path.relative_to(root): path for path in root.rglob("*") if path.is_file() and path.name not in ours}
    own = ("pyvenv.cfg", ".lock", ".gitignore", "CACHEDIR.TAG", "_virtualenv.pth", "_virtualenv.py")
    brought = {place: path for place, path in found.items() if place.name not in own}
    scripts = {place for place in brought if place.parts[0] == "bin"}
    python = {place for place in scripts if place.name.startswith(("python", "activate", "deactivate", "pydoc"))}
    return {
        str(place): b"" if place in scripts else path.read_bytes()
        for place, path in brought.items()
        if place not in python
    }


def test_real_packages_are_the_same_in_an_image_as_where_uv_installs_them(
    tmp_path: Path, http: Http, real: Registry
) -> None:
    need("skopeo")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "check.py").write_text(CHECK)
    with proxy(real.address, half_the_time) as front:
        repository = f"{front.address}/team/shop"
        image = ImageSettings(repository=repository, python=PYTHON, interpreter=str(Path(sys.executable).resolve()))
        store = open_store(repository, {front.address: real.settings})
        pins = tuple(
            Pin(ecosystem="pypi", package=name, version=version, lock="requirements.txt")
            for name, version in PINS.items()
        )
        recipe = Recipe(
            image=image,
            pins=pins,
            tree=tmp_path / "tree",
            commit="3" * 40,
            committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi")}, Wheels.of(image), http)

        built = build(recipe, Base(), store, house, scratch=tmp_path / "scratch", now=datetime.now(UTC))
        again = build(recipe, Base(), store, house, scratch=tmp_path / "other", now=datetime.now(UTC))

    assert (again.image, again.pushed) == (built.image, 0)

    copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"--src-creds={USERNAME}:{PASSWORD}"]
    source = f"docker://{real.address}/team/shop:commit-333333333333"
    subprocess.run([*copy, source, f"dir:{tmp_path}/pulled"], check=True, capture_output=True)
    manifest = store_manifest(tmp_path / "pulled")
    root = tmp_path / "root"
    root.mkdir()
    for digest in manifest:
        subprocess.run(["tar", "-xzf", str(tmp_path / "pulled" / digest), "-C", str(root)], check=True)
    ran = subprocess.run([root / "opt/venv/bin/python", "-B", root / "app/check.py"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "é\n"), ran.stderr

    env = environment(tmp_path, UV_NO_CONFIG="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    program = os.fsdecode(uv.find_uv_bin())
    subprocess.run([program, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")], env=env, check=True)
    words = [program, "pip", "install", "-q", "--python", str(tmp_path / "venv/bin/python"), "--no-deps"]
    subprocess.run([*words, *(f"{name}=={version}" for name, version in PINS.items())], env=env, check=True)
    assert files(root / "opt/venv") == files(tmp_path / "venv")


def store_manifest(directory: Path) -> list[str]:
    """The layers of an image in skopeo's own directory format, from the bottom up, as names of files."""
    rows = json.loads((directory / "manifest.json").read_bytes())["layers"]
    return [str(row["digest"]).removeprefix("sha256:") for row in rows]
