"""Packages of the repository that stay where they are: `pip install -e`, without running anything."""

import posixpath
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import COMMITTED, FIRST, SECOND, Shop, pin
from watcher import lockfiles
from watcher.http import Http, Limits
from watcher.image import Digest
from watcher.rollout import Built
from watcher.settings import IndexSettings
from watcher.wheels import Wheels
from workers.image.build import build
from workers.image.errors import BuildRefused
from workers.image.link import link, name_of
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse

PROJECT = """
[project]
name = "My.Shop"
version = "1.2"
requires-python = ">=3.8"
dependencies = ["core>=1"]

[project.optional-dependencies]
fast = ["api>=1"]

[project.scripts]
shop = "my.shop:main"

[project.entry-points."shop.plugins"]
till = "my.shop:main"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""
LOCK = """
version = 1
[[package]]
name = "my-shop"
version = "1.2"
source = { editable = "." }
[[package]]
name = "near"
source = { editable = "packages/near" }
"""
NEAR = '[project]\nname = "near"\nversion = "0.5"\n[build-system]\nrequires = []\n'
CHECK = """
import importlib.metadata as m, json, my.shop, near
assert m.version("my-shop") == "1.2" and m.requires("my-shop")[0] == "core>=1"
assert json.loads(m.distribution("near").read_text("direct_url.json"))["dir_info"] == {"editable": True}
[entry] = m.entry_points(group="shop.plugins")
entry.load()()
print(my.shop.__file__, near.__file__)
"""


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("core", "1.0")
        yield Shop(tmp_path, index, http, now)


def made(shop: Shop, commit: str = FIRST, previous: Digest | None = None) -> Built:
    lock = shop.tree / "uv.lock"
    recipe = Recipe(
        image=shop.image,
        pins=(pin("core", lock="uv.lock"),),
        sources=lockfiles.elsewhere(["uv.lock"], lambda _: lock.read_bytes()),
        locks=("uv.lock",),
        tree=shop.tree,
        commit=commit,
        committed_at=COMMITTED,
        previous=previous,
        terms=shop.terms,
    )
    house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=shop.url)}, Wheels.of(shop.image), shop._http)
    return build(recipe, shop.base, shop.store, house, scratch=shop.directory / "scratch", now=COMMITTED)


def files(shop: Shop) -> None:
    shop.write(
        {
            "uv.lock": LOCK,
            "pyproject.toml": PROJECT,
            "src/my/shop.py": "def main():\n    print('open')\n",
            "packages/near/pyproject.toml": NEAR,
            "packages/near/near/__init__.py": "",
            "check.py": CHECK,
        }
    )


def test_a_workspace_is_linked_and_its_scripts_run(shop: Shop, tmp_path: Path) -> None:
    # The link is an absolute path, so the image's place is one of this machine.
    shop.image = shop.image.model_copy(update={"code": f"{tmp_path}/image/app", "venv": f"{tmp_path}/image/venv"})
    files(shop)

    built = made(shop)

    assert shop.components(built) == ["venv", "pypi:core@1.0", "pypi:my-shop@1.2", "pypi:near@0.5", "code"]
    (tmp_path / "image").mkdir()
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    for one in shop.manifest(built).layers:
        with shop.store.blob(one.digest) as stream:
            subprocess.run(["tar", "-xz", "-C", unpacked], input=stream.read(), check=True)
    (tmp_path / "image").rmdir()
    (unpacked / str(tmp_path).lstrip("/") / "image").rename(tmp_path / "image")
    root = tmp_path / "image"
    said = subprocess.run([root / "venv/bin/python", root / "app/check.py"], capture_output=True, text=True)
    assert said.stdout.split() == [
        "open",
        f"{root}/app/src/my/shop.py",
        f"{root}/app/packages/near/near/__init__.py",
    ], said.stderr
    assert subprocess.run([root / "venv/bin/shop"], capture_output=True).stdout == b"open\n"


def test_a_change_of_the_code_leaves_the_link_alone(shop: Shop) -> None:
    files(shop)
    first = made(shop)
    shop.write({"src/my/shop.py": "def main():\n    print('closed')\n"})

    second = made(shop, SECOND, first.image)

    assert second.new_layers == 1
    shop.write({"pyproject.toml": PROJECT.replace("1.2", "1.3")})
    assert "pypi:my-shop@1.3" in shop.components(made(shop, "3" * 40, second.image))


def test_what_a_linked_package_needs_has_to_be_in_the_lock(shop: Shop) -> None:
    files(shop)
    shop.write({"pyproject.toml": PROJECT.replace("core>=1", "core>=2")})

    with pytest.raises(BuildRefused, match=r"`my-shop` needs `core>=2`, and the lock pins 1\.0"):
        made(shop)


def test_a_link_to_what_is_not_in_the_image_is_refused(shop: Shop) -> None:
    files(shop)
    shop.write({".toplayerignore": "/packages\n"})

    with pytest.raises(BuildRefused, match="`near` links to packages/near, which is not in the image"):
        made(shop)


def test_what_only_a_build_backend_knows_is_refused_without_a_sandbox(shop: Shop) -> None:
    files(shop)
    shop.write({"pyproject.toml": PROJECT.replace('version = "1.2"', 'dynamic = ["version"]')})

    with pytest.raises(BuildRefused, match="it has to be built") as caught:
        made(shop)

    assert "sandbox" in caught.value.hint


HATCH, SETUPTOOLS, POETRY = "hatchling.build", "setuptools.build_meta", "poetry.core.masonry.api"
WHEEL, FIND = "[tool.hatch.build.targets.wheel]", "[tool.setuptools.packages.find]"


@pytest.mark.parametrize(
    ("backend", "more", "there", "to"),
    [
        (HATCH, "", ["shop"], ["."]),
        (HATCH, "", ["src/shop"], ["src"]),
        (HATCH, "", ["shop", "src/tool"], ["."]),
        (HATCH, f"{WHEEL}\npackages = ['lib/shop']", ["lib/shop"], ["lib"]),
        (HATCH, f"{WHEEL}\npackages = ['src/shop', 'lib/till', 'src/x']", ["src/shop"], ["src", "lib"]),
        (HATCH, f"{WHEEL}\nsources = ['py']\ninclude = ['py/shop']", ["py/shop", "src"], ["py"]),
        (HATCH, f"{WHEEL}\ninclude = ['shop']", ["shop", "src"], ["."]),
        (HATCH, "[tool.hatch.build]\ndev-mode-dirs = ['a', 'b']", ["src"], ["a", "b"]),
        (HATCH, f"{WHEEL}\nsources = {{'src/old' = 'new'}}", ["src/old"], None),
        (HATCH, "[tool.hatch.build.hooks.custom]", ["src"], None),
        (HATCH, "[tool.hatch.build.targets.wheel.hooks.custom]", ["src"], None),
        (HATCH, "[tool.hatch.build.targets.wheel.shared-data]\na = 'b'", ["src"], None),
        (SETUPTOOLS, "", ["shop"], ["."]),
        (SETUPTOOLS, "", ["src/shop"], ["src"]),
        (SETUPTOOLS, f"{FIND}\nwhere = ['lib']", ["lib/shop", "src/x"], ["lib"]),
        (SETUPTOOLS, f"{FIND}\nwhere = ['a', 'b']", ["a/shop", "b/till"], ["a", "b"]),
        (SETUPTOOLS, f"{FIND}\ninclude = ['shop*']", ["shop", "src"], ["."]),
        (SETUPTOOLS, "[tool.setuptools]\npackages = ['shop']", ["shop", "src"], ["."]),
        (SETUPTOOLS, "[tool.setuptools]\npackage-dir = {'' = 'lib'}", ["lib/shop"], ["lib"]),
        (SETUPTOOLS, "[tool.setuptools]\npackage-dir = {'shop' = 'code'}", ["code"], None),
        (SETUPTOOLS, "[tool.setuptools-rust]", ["src"], None),
        ("uv_build", "[tool.uv.build-backend]\nmodule-root = ''", ["shop", "src"], ["."]),
        ("uv_build", "[tool.uv.build-backend]\ndata = {headers = 'include'}", ["src/shop"], None),
        ("pdm.backend", "[tool.pdm.build]\nincludes = ['shop']", ["shop", "src"], ["."]),
        ("pdm.backend", "[tool.pdm.build]\ncustom-hook = 'make.py'", ["src"], None),
        (POETRY, "", ["shop", "src"], ["."]),
        (POETRY, "[[tool.poetry.packages]]\ninclude = 'shop'\nfrom = 'lib'", ["lib/shop"], ["lib"]),
        (POETRY, "[tool.poetry]\npackages = [{include='a', from='x'}, {include='b', from='y'}]", ["x/a"], ["x", "y"]),
        (POETRY, "[tool.poetry]\npackages = [{include='a', to='shop'}]", ["a"], None),
        (POETRY, "[tool.poetry.build]\nscript = 'build.py'", ["shop"], None),
        ("flit_core.buildapi", "", ["src/shop"], ["src"]),
        ("flit_core.buildapi", "[tool.flit.module]\nname = 'till'", ["till", "src"], ["."]),
        ("maturin", "", ["src"], None),
    ],
)
def test_a_link_leads_to_where_the_packages_lie(
    tmp_path: Path, backend: str, more: str, there: list[str], to: list[str] | None
) -> None:
    text = (
        f'[project]\nname = "shop"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "{backend}"\n{more}\n'
    )
    (tmp_path / "pyproject.toml").write_text(text)
    for directory in there:
        (tmp_path / directory).mkdir(parents=True)

    found = link(tmp_path, ".", "/app")

    assert (list(found.to) if found else None) == to
    lines = [posixpath.normpath(f"/app/{one}") for one in to or ()]
    assert not found or found.files["__editable__.shop.pth"].splitlines() == lines


@pytest.mark.parametrize("more", ["[options]\npackage_dir =\n  = lib\n", "[broken\n"])
def test_what_setuptools_would_read_elsewhere_is_left_to_it(tmp_path: Path, more: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n')
    (tmp_path / "setup.cfg").write_text("[flake8]\nmax-line-length = 100\n")
    assert link(tmp_path, ".", "/app")

    (tmp_path / "setup.cfg").write_text(more)

    assert link(tmp_path, ".", "/app") is None


def test_a_project_behind_a_link_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret.toml").write_text('[project]\nname = "secret"\n')
    (tmp_path / "tree" / "pyproject.toml").symlink_to("../secret.toml")

    for look in (lambda: link(tmp_path / "tree", ".", "/app"), lambda: name_of(tmp_path / "tree", ".")):
        with pytest.raises(BuildRefused, match="leads out of it"):
            look()
