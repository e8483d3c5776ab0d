"""Composer's plugins and scripts: in a container without a network and without secrets, and only if the app says so."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.composer_repository import ComposerRepository
from tests.rig.engine import RealEngine
from tests.rig.php_image import php_image
from tests.rig.process import need
from tests.workers.image.test_vendor import Shop
from watcher import lockfiles
from watcher.http import Http
from watcher.image import Platform
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings, SandboxSettings
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.image.base import open_base
from workers.image.build import build
from workers.image.parts import COMPONENT
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest

pytestmark = pytest.mark.journey

PLUGIN = """<?php
namespace Acme\\Places;
use Composer\\Composer;
use Composer\\Installer\\LibraryInstaller;
use Composer\\IO\\IOInterface;
use Composer\\Package\\PackageInterface;
use Composer\\Plugin\\PluginInterface;

class Plugin implements PluginInterface {
    public function activate(Composer $composer, IOInterface $io) {
        $composer->getInstallationManager()->addInstaller(new Installer($io, $composer));
    }
    public function deactivate(Composer $composer, IOInterface $io) {}
    public function uninstall(Composer $composer, IOInterface $io) {}
}

class Installer extends LibraryInstaller {
    public function supports($type) { return $type === 'acme-theme'; }
    public function getInstallPath(PackageInterface $package) { return 'themes/' . basename($package->getName()); }
}
"""
SCRIPT = (
    "@php -r \"file_put_contents('made.json', json_encode(['env' => array_keys(getenv()),"
    " 'net' => (bool) @stream_socket_client('tcp://127.0.0.1:1'), 'route' => count(file('/proc/net/route'))]));\""
)


@pytest.fixture
def repository() -> Iterator[ComposerRepository]:
    need("php", "composer", "git")
    with ComposerRepository() as repository:
        repository.publish(
            "acme/places",
            "1.0.0",
            requires={"composer-plugin-api": "^2"},
            files={"src/Plugin.php": PLUGIN},
            composer={
                "type": "composer-plugin",
                "extra": {"class": "Acme\\Places\\Plugin"},
                "autoload": {"classmap": ["src/"]},
            },
        )
        repository.publish("acme/theme", "1.0.0", files={"look.css": "x\n"}, composer={"type": "acme-theme"})
        yield repository


def built(place: Path, repository: ComposerRepository, docker: RealEngine, *runs: str) -> tuple[Shop, Built]:
    shop = Shop(
        place / "shop",
        repository,
        require={"acme/places": "*", "acme/theme": "*"},
        **{"require-dev": {}, "scripts": {"post-install-cmd": [SCRIPT]}},
        config={"secure-http": False, "allow-plugins": {"acme/places": True}},
    )
    sandbox = SandboxSettings(engine=docker.address)
    image = ImageSettings(
        repository=f"oci:{place}/images", code="/srv/app", php="8.2", base=php_image(place / "base"), sandbox=sandbox
    )
    image = image.model_copy(update={"composer": runs})
    recipe = Recipe(
        image=image,
        pins=lockfiles.read_all(("php/composer.lock",), lambda path: (shop.tree / path).read_bytes()),
        locks=("php/composer.lock",),
        tree=shop.tree,
        commit="1" * 40,
        committed_at=datetime(2026, 11, 2, tzinfo=UTC),
    )
    composer = Composer((IndexSettings(kind="packagist", url=repository.url),))
    base = open_base(image.base, Platform.parse(image.platform), {})
    shop.store = LayoutStore(place / "images")
    with Http() as http:
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi")}, Wheels.of(image), http)
        done = build(
            recipe, base, shop.store, house, composer, scratch=place / "scratch", now=datetime(2026, 11, 2, tzinfo=UTC)
        )
    return shop, done


def files(shop: Shop, built: Built) -> dict[str, bytes]:
    """The files above the base."""
    raw = shop.store.manifest(built.image)
    assert raw
    found: dict[str, bytes] = {}
    for one in Manifest.parse(raw, "").layers:
        if COMPONENT in one.annotations:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(shop.blob(one)))) as tar:
                found |= {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]
    return found


def test_plugins_put_packages_where_they_belong_and_scripts_have_no_network_and_no_secrets(
    tmp_path: Path, repository: ComposerRepository, docker: RealEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "secret")

    shop, done = built(tmp_path, repository, docker, "plugins", "scripts")

    there = files(shop, done)
    assert "srv/app/php/themes/theme/look.css" in there
    assert "srv/app/php/vendor/acme/theme/look.css" not in there
    made = json.loads(there["srv/app/php/made.json"])
    assert not made["net"]
    assert made["route"] == 1
    assert not {"SHOP_TOKEN", "COMPOSER_AUTH"} & set(made["env"])


def test_without_a_word_of_the_app_neither_runs(
    tmp_path: Path, repository: ComposerRepository, docker: RealEngine
) -> None:
    there = files(*built(tmp_path, repository, docker))

    assert "srv/app/php/vendor/acme/theme/look.css" in there
    assert "srv/app/php/made.json" not in there
