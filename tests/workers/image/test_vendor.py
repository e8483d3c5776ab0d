"""PHP in an image: a layer for each package of composer.lock, and together what `composer install --no-dev` leaves."""

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.rig.composer_repository import ComposerRepository
from tests.rig.image import Link
from tests.rig.process import need
from tests.rig.simple_index import SimpleIndex
from watcher import lockfiles
from watcher.errors import IndexUnreachable, LockfileUnreadable, Refused
from watcher.http import Http
from watcher.image import Digest
from watcher.layers.part import Terms
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.image.base import Base
from workers.image.build import build
from workers.image.errors import BuildRefused
from workers.image.parts import COMPONENT, SINCE
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Descriptor, Manifest
from workers.oci.store import small_blob
from workers.process import environment

MAIN = """<?php
require __DIR__ . '/vendor/autoload.php';
echo Acme\\Http\\Version::V, ' ', helped(), ' ', (new Old_Class())->name(), ' ', Shop\\Till::open(), ' ';
echo Near\\By::here(), ' ', Composer\\InstalledVersions::getPrettyVersion('acme/http');
"""
TREE = {
    "php/main.php": MAIN,
    "php/src/Till.php": "<?php\nnamespace Shop;\nclass Till { static function open() { return 'open'; } }\n",
    "php/near/composer.json": json.dumps(
        {"name": "acme/near", "version": "1.0", "autoload": {"psr-4": {"Near\\": "src"}}}
    ),
    "php/near/src/By.php": "<?php\nnamespace Near;\nclass By { static function here() { return 'near'; } }\n",
    "README.md": "A shop\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[ComposerRepository]:
    need("php", "composer", "git")
    with ComposerRepository() as repository:
        repository.publish("acme/http", "1.0.0", requires={"acme/help": "^1", "ext-missing": "*", "php": ">=7.4"})
        repository.publish(
            "acme/help",
            "1.2.0",
            files={
                "functions.php": "<?php\nfunction helped() { return 'helped'; }\n",
                "bin/help": "#!/usr/bin/env php\n<?php echo 'hi';\n",
            },
            composer={"autoload": {"files": ["functions.php"]}, "bin": ["bin/help"]},
        )
        repository.publish(
            "Acme/Old",
            "0.1.0",
            files={"lib/old.php": "<?php\nclass Old_Class { function name() { return 'old'; } }\n", "docs/é.txt": "é"},
            composer={"autoload": {"classmap": ["lib/"]}},
        )
        repository.versions["acme/old"] = repository.versions.pop("Acme/Old")
        repository.touch("acme/old")
        repository.publish("acme/all", "1.0.0", requires={"acme/http": "*"}, composer={"type": "metapackage"})
        repository.publish("acme/test", "3.0.0")
        yield repository


class Shop:
    """An application in two languages, its repository of packages, and a builder."""

    def __init__(self, place: Path, repository: ComposerRepository, **more: Any) -> None:
        self.place, self.repository, self.tree = place, repository, place / "tree"
        self.store = LayoutStore(place / "images")
        self.image = ImageSettings(repository=f"oci:{place}/images", code="/srv/app", php="8.2")
        self.manifest: dict[str, Any] = {
            "repositories": [
                {"type": "path", "url": "near"},
                {"type": "composer", "url": repository.url},
                {"packagist.org": False},
            ],
            "require": {"acme/http": "^1.0", "acme/old": "*", "acme/all": "*", "acme/near": "*"},
            "require-dev": {"acme/test": "*"},
            "autoload": {"psr-4": {"Shop\\": "src/"}},
            "config": {"secure-http": False},
            **more,
        }
        self.write(TREE)
        self.lock()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)

    def lock(self) -> None:
        self.write({"php/composer.json": json.dumps(self.manifest)})
        self.composer("update", "--no-install", "--ignore-platform-req=ext-missing")

    def composer(self, *words: str, at: str = "tree/php") -> None:
        env = environment(self.place, COMPOSER_HOME=str(self.place / "home"), COMPOSER_ALLOW_SUPERUSER="1")
        argv = ["composer", *words, "--quiet", "--no-interaction", "--no-plugins", "--no-scripts"]
        env["GIT_CEILING_DIRECTORIES"] = str(self.place)
        subprocess.run(argv, cwd=self.place / at, env=env, check=True, timeout=120)

    def build(self, commit: str = "1", previous: Digest | None = None, *, index: str = "") -> Built:
        locks = ("php/composer.lock", *(("requirements.txt",) if index else ()))
        recipe = Recipe(
            image=self.image,
            pins=lockfiles.read_all(locks, lambda path: (self.tree / path).read_bytes()),
            locks=locks,
            tree=self.tree,
            commit=commit * 40,
            committed_at=datetime(2026, 11, 2, tzinfo=UTC),
            previous=previous,
            terms=Terms(per_layer=0),
        )
        composer = Composer((IndexSettings(kind="packagist", url=self.repository.url),))
        with Http() as http:
            house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=index or None)}, Wheels.of(self.image), http)
            return build(recipe, Base(), self.store, house, composer, scratch=self.place / "s", now=datetime.now(UTC))

    def layers(self, built: Built) -> dict[str, bytes]:
        """The tar of each layer, by the component in it, from the bottom up."""
        raw = self.store.manifest(built.image)
        assert raw
        manifest = Manifest.parse(raw, "")
        return {layer.annotations[COMPONENT]: gzip.decompress(self.blob(layer)) for layer in manifest.layers}

    def blob(self, blob: Descriptor) -> bytes:
        return small_blob(blob, self.store, 10_000_000)

    def unpacked(self, built: Built, name: str = "root") -> Path:
        """What a container would see."""
        root = self.place / name
        for tar in self.layers(built).values():
            with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
                archive.extractall(root, filter="fully_trusted")
        return root


@pytest.fixture
def shop(tmp_path: Path, repository: ComposerRepository) -> Shop:
    return Shop(tmp_path, repository)


def names(shop: Shop, built: Built) -> list[str]:
    return [name.partition("@")[0] for name in shop.layers(built)]


def members(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [member.name for member in archive if not member.isdir()]


def files(root: Path) -> dict[str, tuple[object, ...]]:
    """All that is below a directory: kind, content, and whether it can be run."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("directory",)
        else:
            found[name] = ("file", path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def runs(root: Path) -> str:
    ran = subprocess.run(["php", root / "srv/app/php/main.php"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_every_package_is_a_layer_and_so_is_what_composer_writes_itself(shop: Shop) -> None:
    built = shop.build()

    assert sorted(names(shop, built)) == [
        *("code", "composer"),
        *("packagist:acme/help", "packagist:acme/http", "packagist:acme/near", "packagist:acme/old"),
    ]
    layers = {name.partition("@")[0]: members(tar) for name, tar in shop.layers(built).items()}
    assert layers["packagist:acme/near"] == ["srv/app/php/vendor/acme/near"]
    assert "srv/app/php/vendor/bin/help" in layers["composer"]
    assert not any(name.endswith("composer.lock") for name in layers["code"])


def test_the_tree_is_the_one_that_composer_leaves(shop: Shop, tmp_path: Path) -> None:
    root = shop.unpacked(shop.build())
    shutil.copytree(shop.tree, tmp_path / "real", symlinks=True)
    # Newer versions of Composer take it from the lock by themselves.
    suffix = json.loads((shop.tree / "php/composer.lock").read_text())["content-hash"]
    shop.composer("config", "--global", "autoloader-suffix", suffix)
    shop.composer("install", "--no-dev", "--ignore-platform-req=ext-missing", at="real/php")
    (tmp_path / "real/php/composer.lock").unlink()

    assert files(root / "srv/app") == files(tmp_path / "real")


def test_it_runs(shop: Shop) -> None:
    root = shop.unpacked(shop.build())

    assert runs(root) == "1.0.0 helped old open near 1.0.0"
    said = subprocess.run([root / "srv/app/php/vendor/bin/help"], capture_output=True, text=True, check=True)
    assert said.stdout == "hi"


def test_a_bump_changes_its_own_layer_and_the_small_one_on_top(shop: Shop) -> None:
    first = shop.build()
    shop.repository.publish("acme/http", "1.1.0", requires={"acme/help": "^1", "php": ">=7.4"})
    shop.lock()

    second = shop.build("2", first.image)

    before, after = shop.layers(first), shop.layers(second)
    assert {name for name in after if before.get(name) != after[name]} == {"packagist:acme/http@1.1.0", "composer"}
    assert second.new_layers == 2
    fetched = [asked.path for asked in shop.repository.asked if asked.path.startswith("/dist")]
    assert not any("/acme/near/" in path for path in fetched)
    assert [path for path in fetched if "/acme/http/" in path], "the bump itself"
    root = shop.unpacked(second)
    assert runs(root).startswith("1.1.0 helped")


def test_a_small_change_of_a_large_package_in_the_middle_of_the_code_is_a_patch(shop: Shop) -> None:
    large = {"data.php": f"<?php // {os.urandom(300_000).hex()}\n"}
    shop.write({f"file-{number}": "" for number in range(20)})
    for version in ("1.0.0", "1.1.0"):
        shop.repository.publish("acme/large", version, files={**large, "version.php": f"<?php // {version}\n"})
    shop.manifest["require"]["acme/large"] = "1.0.0"
    shop.lock()
    first = shop.build()
    shop.manifest["require"]["acme/large"] = "1.1.0"
    shop.lock()

    second = shop.build("2", first.image)

    raw = shop.store.manifest(second.image)
    assert raw
    patches = [one for one in Manifest.parse(raw, "").layers if SINCE in one.annotations]
    assert [one.annotations[COMPONENT] for one in patches] == ["packagist:acme/large@1.1.0"]


def test_what_the_repository_has_is_not_even_downloaded_and_the_layers_are_the_same(
    shop: Shop, tmp_path: Path, repository: ComposerRepository
) -> None:
    for number in range(3):
        repository.publish(f"acme/plain-{number}", "1.0.0", requires={"ext-json": "*"})
        shop.manifest["require"][f"acme/plain-{number}"] = "*"
    shop.lock()
    first = shop.build()
    repository.publish("acme/plain-1", "v1.1.0")
    shop.lock()
    repository.asked.clear()

    second = shop.build("2", first.image)

    fetched = {asked.path.rpartition("/")[0] for asked in repository.asked if asked.path.startswith("/dist")}
    # Composer reads the classes of one, and makes proxies for the programs of the other.
    assert fetched == {"/dist/acme/plain-1", "/dist/Acme/Old", "/dist/acme/help"}
    other = Shop(tmp_path / "elsewhere", repository)
    shutil.rmtree(other.tree)
    shutil.copytree(shop.tree, other.tree)
    # In another order, perhaps: that depends on what hosts have.
    assert other.layers(other.build("2")) == shop.layers(second)


def test_without_anything_new_nothing_is_installed(shop: Shop) -> None:
    # A package in the repository itself is part of the code, so this is about one without.
    del shop.manifest["require"]["acme/near"]
    shop.lock()
    first = shop.build()
    shop.repository.asked.clear()
    shop.write({"README.md": "A better shop\n"})

    second = shop.build("2", first.image)

    assert second.new_layers == 1
    assert shop.repository.asked == []
    assert not any(name.startswith("php/vendor") for name in files(shop.tree)), "and nothing is left in the commit"


def test_it_is_the_same_wherever_it_is_built(shop: Shop, tmp_path: Path, repository: ComposerRepository) -> None:
    first = shop.build()
    other = Shop(tmp_path / "elsewhere", repository)
    shutil.rmtree(other.tree)
    shutil.copytree(shop.tree, other.tree)

    second = other.build()

    assert [name for name, tar in shop.layers(first).items() if other.layers(second)[name] != tar] == []
    assert second.image == first.image


def test_the_vendor_directory_is_where_the_project_wants_it(tmp_path: Path, repository: ComposerRepository) -> None:
    shop = Shop(tmp_path, repository, config={"secure-http": False, "vendor-dir": "../lib/php", "bin-dir": "tools"})
    built = shop.build()

    layers = {name.partition("@")[0]: members(tar) for name, tar in shop.layers(built).items()}
    assert all(name.startswith("srv/app/lib/php/acme/http/") for name in layers["packagist:acme/http"])
    assert {"srv/app/lib/php/autoload.php", "srv/app/php/tools/help"} <= set(layers["composer"])


def test_packages_that_lie_in_the_repository_already_are_not_used(shop: Shop) -> None:
    shop.write({"php/vendor/acme/http/src/Version.php": "<?php // old", "php/vendor/autoload.php": "<?php // old"})

    layers = shop.layers(shop.build())

    assert not any("vendor" in name for name in members(layers["code"]))
    assert b"// old" not in b"".join(layers.values())


def test_a_package_without_an_archive_is_installed_from_its_sources(
    tmp_path: Path, repository: ComposerRepository
) -> None:
    origin = tmp_path / "src.git"
    origin.mkdir()
    (origin / "composer.json").write_text(json.dumps({"name": "acme/src"}))
    (origin / "src.php").write_text("<?php\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-C", str(origin)]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "one"], ["tag", "v1.0.0"]):
        subprocess.run([*git, *words], check=True)
    shop = Shop(tmp_path / "shop", repository)
    shop.manifest["repositories"].insert(0, {"type": "vcs", "url": f"file://{origin}"})
    shop.manifest["require"]["acme/src"] = "^1"
    shop.lock()

    layers = {name.partition("@")[0]: members(tar) for name, tar in shop.layers(shop.build()).items()}

    assert sorted(layers["packagist:acme/src"]) == [
        "srv/app/php/vendor/acme/src/composer.json",
        "srv/app/php/vendor/acme/src/src.php",
    ]


def test_php_and_python_share_an_image(tmp_path: Path, repository: ComposerRepository) -> None:
    shop = Shop(tmp_path, repository)
    python = f"3.{sys.version_info.minor}"
    interpreter = str(Path(sys.executable).resolve())
    shop.image = shop.image.model_copy(update={"python": python, "interpreter": interpreter})
    with SimpleIndex() as index:
        index.publish("alpha", "1.0", files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        shop.write({"requirements.txt": "alpha==1.0\n"})
        built = shop.build(index=index.url)

    assert names(shop, built)[0] == "venv"
    assert {"pypi:alpha", "packagist:acme/http", "composer"} <= set(names(shop, built))
    root = shop.unpacked(built)
    said = subprocess.run(
        [root / "opt/venv/bin/python", "-c", "import alpha; print(alpha.VERSION)"], capture_output=True, text=True
    )
    assert said.stdout == "1.0\n", said.stderr


def test_without_a_python_there_is_no_environment(shop: Shop) -> None:
    raw = shop.store.manifest(shop.build().image)
    assert raw
    config = json.loads(shop.blob(Manifest.parse(raw, "").config))

    assert not any("VIRTUAL_ENV" in row or "venv" in row for row in config["config"].get("Env") or [])


def test_scripts_and_plugins_of_the_project_do_not_run(tmp_path: Path, repository: ComposerRepository) -> None:
    marks = tmp_path / "mark"
    repository.publish(
        "acme/plugin",
        "1.0.0",
        files={"src/Plugin.php": f"<?php\nfile_put_contents('{marks}', 'plugin');\n"},
        composer={
            "type": "composer-plugin",
            "require": {"composer-plugin-api": "^2"},
            "extra": {"class": "Acme\\Plugin\\Plugin"},
        },
    )
    shop = Shop(tmp_path / "shop", repository, scripts={"post-install-cmd": [f"touch {marks}"]})
    shop.manifest["require"]["acme/plugin"] = "*"
    shop.lock()

    shop.build()

    assert not marks.exists()


def test_an_archive_that_is_another_one_than_the_lock_says_is_refused(shop: Shop) -> None:
    row = next(iter(shop.repository.versions["acme/http"].values()))
    path = row["dist"]["url"].removeprefix(shop.repository.url)
    shop.repository._archives[path] = shop.repository._archives[path][:-30] + b"x" * 30

    with pytest.raises(Refused, match=r"php/composer\.lock: Composer does not install it: .*checksum"):
        shop.build()
    assert shop.store.manifest("commit-111111111111") is None


def test_a_repository_that_does_not_answer_is_asked_again_later(shop: Shop) -> None:
    shop.repository.down = True

    with pytest.raises(IndexUnreachable):
        shop.build()


@pytest.mark.parametrize("place", ["..", "../..", "/opt/vendor", "../../x", "."])
def test_a_vendor_directory_outside_of_the_repository_is_refused(shop: Shop, place: str) -> None:
    shop.write({"php/composer.json": json.dumps({**shop.manifest, "config": {"vendor-dir": place}})})

    with pytest.raises(LockfileUnreadable, match=r"config\.vendor-dir: expected a directory of the repository"):
        shop.build()


@pytest.mark.parametrize("to", ["/etc/passwd", "../../../../../../../../etc/passwd"])
def test_an_archive_whose_link_leads_out_of_the_commit_is_refused(shop: Shop, to: str) -> None:
    shop.repository.publish("acme/http", "1.2.0", files={"src/a.php": "<?php", "secret": Link(to)})
    shop.lock()

    with pytest.raises(BuildRefused, match="the symbolic link leads out of the tree"):
        shop.build()
    assert shop.store.manifest("commit-111111111111") is None


@pytest.mark.parametrize("path", ["../../../evil.php", "/tmp/evil.php", "src/../../../../evil.php"])
def test_an_archive_whose_names_lead_out_of_it_leaves_nothing_there(shop: Shop, path: str) -> None:
    shop.repository.publish("acme/http", "1.2.0", files={path: "<?php // evil", "src/Version.php": "<?php"})
    shop.lock()

    with contextlib.suppress(Refused):
        layers = shop.layers(shop.build())
        for name, tar in layers.items():
            if b"// evil" in tar:
                assert name == "packagist:acme/http@1.2.0"
                assert all(member.startswith("srv/app/php/vendor/acme/http/") for member in members(tar))
    assert not list(shop.place.rglob("evil.php"))


def test_odd_names_and_bits_come_out_plain(shop: Shop) -> None:
    odd = {
        "a b/ü.php": "<?php",
        "CASE.php": "1",
        "case.php": "2",
        f"{'x' * 200}.php": "<?php",
        "bin/run": "#!/bin/sh\n",
    }
    shop.repository.publish("acme/http", "1.2.0", files={**odd, "link": Link("CASE.php")})
    shop.lock()

    tar = shop.layers(shop.build())["packagist:acme/http@1.2.0"]

    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        found = {member.name.partition("acme/http/")[2]: member for member in archive}
    assert set(odd) <= found.keys()
    assert (found["link"].linkname, found["bin/run"].mode, found["CASE.php"].mode) == ("CASE.php", 0o755, 0o644)
    assert {(member.uid, member.mtime) for member in found.values()} == {(0, 0)}


@pytest.mark.parametrize("place", ["php/vendor", "php"])
def test_nothing_is_written_behind_a_symbolic_link_of_the_commit(shop: Shop, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    (outside / "vendor").mkdir(parents=True)
    for name in ("composer.json", "composer.lock"):
        shutil.copy(shop.tree / "php" / name, outside / name)
    shutil.rmtree(shop.tree / place, ignore_errors=True)
    (shop.tree / place).symlink_to(outside)

    with pytest.raises(BuildRefused, match="got a symbolic link"):
        shop.build()
    assert list((outside / "vendor").iterdir()) == []
