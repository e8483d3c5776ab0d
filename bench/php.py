"""What a bump of one PHP package costs: `make bench-php`.

An application with 60 packages of generated code, served on loopback. Side by side in one run: toplayer's first build,
a bump of one package on the same builder and on one that has nothing but the lock; and `composer install --no-dev`
with a vendor directory packed into one layer, which is what a Dockerfile does, with a warm and with an empty cache.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.rig.composer_repository import ComposerRepository
from watcher import lockfiles
from watcher.http import Http
from watcher.image import Digest
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.image.base import Base
from workers.image.build import build
from workers.image.entry import tree
from workers.image.layer import write_layer
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.process import environment

PACKAGES, CLASSES = 60, 40
LOCK = "composer.lock"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="toplayer-bench-php-") as name, ComposerRepository() as repository:
        home = Path(name)
        for number in range(PACKAGES):
            publish(repository, number, "1.0.0")
        app = home / "app"
        app.mkdir()
        lock(repository, app)
        before = sum(map(len, repository._archives.values()))
        print(f"{PACKAGES} packages, {PACKAGES * CLASSES:,} classes, {before:,} bytes of archives\n")
        print(f"{'':44}{'seconds':>9}{'downloaded':>13}{'uploaded':>12}")
        rows(repository, home, app)


def rows(repository: ComposerRepository, home: Path, app: Path) -> None:
    warm = Composer((IndexSettings(kind="packagist", url=repository.url),), home / "cache")
    first = told("toplayer, first build", repository, lambda: made(home, app, warm, "1", None))
    composed("composer install into one layer, empty cache", repository, home, app, home / "c1")
    publish(repository, 7, "1.0.1")
    lock(repository, app)
    told("toplayer, bump on the same builder", repository, lambda: made(home, app, warm, "2", first.image))
    cold = Composer(warm.indexes)
    shutil.rmtree(home / "cache")
    told("toplayer, bump on an empty builder", repository, lambda: made(home, app, cold, "3", first.image))
    composed("composer install into one layer, warm cache", repository, home, app, home / "c1")
    composed("composer install into one layer, empty cache", repository, home, app, home / "c2")


def told(what: str, repository: ComposerRepository, work: object) -> Built:
    repository.asked.clear()
    began = time.perf_counter()
    built: Built = work()  # type: ignore[operator]
    print(f"{what:44}{time.perf_counter() - began:9.2f}{downloaded(repository):13,}{built.pushed:12,}")
    return built


def made(home: Path, app: Path, composer: Composer, commit: str, previous: Digest | None) -> Built:
    image = ImageSettings(repository=f"oci:{home}/images", php="8.2")
    recipe = Recipe(
        image=image,
        pins=lockfiles.read(LOCK, lambda path: (app / path).read_bytes()),
        locks=(LOCK,),
        tree=app,
        commit=commit * 40,
        committed_at=datetime(2026, 11, 2, tzinfo=UTC),
        previous=previous,
    )
    with Http() as http:
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi")}, Wheels.of(image), http)
        store, now = LayoutStore(home / "images"), datetime.now(UTC)
        return build(recipe, Base(), store, house, composer, scratch=home / "scratch", now=now)


def composed(what: str, repository: ComposerRepository, home: Path, app: Path, cache: Path) -> None:
    """What a Dockerfile does: everything is installed, and packed into one layer."""
    repository.asked.clear()
    place = home / "real"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(app, place)
    began = time.perf_counter()
    run(["install", "--no-dev"], place, home, cache)
    layer = write_layer(tree(place / "vendor", "app/vendor"), home / "vendor.tar.gz")
    print(f"{what:44}{time.perf_counter() - began:9.2f}{downloaded(repository):13,}{layer.size:12,}")


def downloaded(repository: ComposerRepository) -> int:
    return sum(len(repository._archives.get(asked.path, b"")) for asked in repository.asked)


def publish(repository: ComposerRepository, number: int, version: str) -> None:
    repository.publish(f"acme/part-{number}", version, requires={"php": ">=7.4"}, files=dict(code(number, version)))


def code(number: int, version: str) -> Iterator[tuple[str, str]]:
    for one in range(CLASSES):
        names = [hashlib.sha256(f"{number}/{one}/{n}".encode()).hexdigest()[:12] for n in range(40)]
        body = "\n".join(f"    public function do{name}() {{ return $this->do{name[::-1]}; }}" for name in names)
        mark = f" // {version}" if one == 0 else ""
        yield f"src/Class{one}.php", f"<?php\nnamespace Acme\\Part{number};\nclass Class{one} {{{mark}\n{body}\n}}\n"


def lock(repository: ComposerRepository, app: Path) -> None:
    asked = {
        "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
        "require": {f"acme/part-{number}": "^1.0" for number in range(PACKAGES)},
        "config": {"secure-http": False},
    }
    (app / "composer.json").write_text(json.dumps(asked))
    run(["update", "--no-install"], app, app.parent, app.parent / "locking")


def run(words: list[str], place: Path, home: Path, cache: Path) -> None:
    more = {"COMPOSER_HOME": str(home / "home"), "COMPOSER_CACHE_DIR": str(cache), "COMPOSER_ALLOW_SUPERUSER": "1"}
    argv = ["composer", *words, "--quiet", "--no-interaction", "--no-plugins", "--no-scripts"]
    subprocess.run(argv, cwd=place, env=environment(home, **more), check=True)


if __name__ == "__main__":
    main()
