"""A Python application that calls a PHP library, on a real engine: it runs, a bump moves two small layers, and Composer
finds in the image what it wants to find."""

from datetime import UTC, datetime
from pathlib import Path

from tests.rig.base_image import base_image
from tests.rig.composer_repository import ComposerRepository
from tests.rig.engine import RealEngine, ran
from tests.rig.php_image import php_image
from tests.rig.registry import Registry
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_vendor import Shop
from watcher import lockfiles
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.image.base import open_base
from workers.image.build import build
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.manifest import Manifest
from workers.oci.stores import open_store

TILL = """import subprocess, alpha
def main():
    said = subprocess.run(["php", "php/main.php"], capture_output=True, text=True, check=True).stdout
    print(alpha.VERSION, said)
"""
PROJECT = """[project]
name = "till"
version = "1.0"
dependencies = ["alpha"]
scripts = { till = "till:main" }
"""
LOCKS = ("requirements.txt", "php/composer.lock")


def test_python_calls_php_in_a_container(tmp_path: Path, docker: RealEngine, real: Registry) -> None:
    base_address = php_image(tmp_path / "base")
    with ComposerRepository() as repository, SimpleIndex() as index, Http() as http, docker.api() as api:
        index.publish("alpha", "1.0", files={"alpha/__init__.py": "VERSION = '1.0'\n"})
        publish(repository, "1.0.0")
        shop = Shop(tmp_path / "shop", repository, require={"acme/http": "*", "acme/near": "*", "ext-mbstring": "*"})
        shop.write({"src/till.py": TILL, "pyproject.toml": PROJECT, "requirements.txt": "alpha==1.0\n-e .\n"})
        shop.write({"php/main.php": MAIN})
        image = ImageSettings(
            repository=f"{real.address}/team/both",
            base=base_address,
            python=base_image().python,
            php="8.2",
            command=("till",),
        )
        base = open_base(image.base, Platform.parse(image.platform), {})
        store = open_store(image.repository, {real.address: real.settings})

        def made(commit: str, previous: Digest | None) -> Built:
            recipe = Recipe(
                image=image,
                pins=lockfiles.read_all(LOCKS, lambda path: (shop.tree / path).read_bytes()),
                sources=lockfiles.elsewhere(LOCKS, lambda path: (shop.tree / path).read_bytes()),
                locks=LOCKS,
                tree=shop.tree,
                commit=commit * 40,
                committed_at=datetime(2026, 11, 2, tzinfo=UTC),
                previous=previous,
            )
            house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=index.url)}, Wheels.of(image), http)
            composer = Composer((IndexSettings(kind="packagist", url=repository.url),), tmp_path / "cache")
            return build(recipe, base, store, house, composer, scratch=tmp_path / "s", now=datetime.now(UTC))

        first = made("1", None)
        api.pull(image.repository, tag=str(first.image))
        assert ran(api, f"{image.repository}@{first.image}") == "1.0 1.0.0 near\n"
        publish(repository, "1.1.0")
        shop.lock()
        second = made("2", first.image)
        api.pull(image.repository, tag=str(second.image))
        assert ran(api, f"{image.repository}@{second.image}") == "1.0 1.1.0 near\n"

        checked = ran(api, f"{image.repository}@{second.image}", "composer", "check-platform-reqs", "-d", "/app/php")
        assert "ext-mbstring" in checked
        assert "success" in checked

    assert second.new_layers == 2
    raw = store.manifest(second.image)
    assert raw
    assert len(Manifest.parse(raw, "").layers) == second.layers


MAIN = """<?php
require __DIR__ . '/vendor/autoload.php';
echo Acme\\Http\\Version::V, ' ', Near\\By::here();
"""


def publish(repository: ComposerRepository, version: str) -> None:
    repository.publish("acme/http", version, requires={"php": ">=8.0", "ext-mbstring": "*"})
    if "acme/old" not in repository.versions:
        for name in ("acme/old", "acme/all", "acme/test"):
            repository.publish(name, "1.0.0")
