"""The origin story, measured: `make bench-dockerfile` (as root; a quarter of an hour).

An app in Python that calls PHP is built in four ways: by the Dockerfile that the story began with (*before*), by the
one that was made of it by hand (*after*), by what `toplayer lint --fix` makes of the first (*lint*), and by the layers
builder. Three changes go through each: a release of the PHP library, one of a Python library, a line of code. Real
Composer and pip work on loopback, in the BuildKit of a real engine; a real registry serves four real engines, each
behind a link of 2 Mbit/s of its own.
"""

import argparse
import contextlib
import gzip
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pip
from docker import APIClient

from tests.rig.base_image import PYTHON, base_image
from tests.rig.composer_repository import ComposerRepository
from tests.rig.engine import RealEngine, engine
from tests.rig.image import File, Link, layer, publish
from tests.rig.php_image import php_image
from tests.rig.registry import Registry, registry
from tests.rig.simple_index import SimpleIndex
from watcher import lockfiles
from watcher.dockerfile.advice.lint import lint
from watcher.dockerfile.parse import parse
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.composer import Composer
from workers.dockerfile.build import build as build_dockerfile
from workers.dockerfile.earlier import earlier
from workers.dockerfile.project import project
from workers.dockerfile.recipe import Recipe as DockerfileRecipe
from workers.dockerfile.recipe import tag_of
from workers.image import build as layers
from workers.image.base import open_base
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest
from workers.oci.store import small_blob
from workers.oci.stores import open_store

RATE = "2mbit"
HOSTS = 4
ROOT = "/srv/app"
BEFORE = f"""FROM {{base}}
WORKDIR {ROOT}
ADD php/src {ROOT}/php/src
RUN cd {ROOT}/php/src && composer install
ADD python/src {ROOT}/python/src
RUN pip install -r {ROOT}/python/src/requirements.txt
CMD ["python3", "{ROOT}/python/src/main.py"]
"""
AFTER = f"""FROM {{base}} AS composer
WORKDIR {ROOT}/php/src
COPY php/src/composer.json php/src/composer.lock ./
RUN composer install --no-dev --no-autoloader --no-scripts
COPY php/src ./
RUN composer dump-autoload --no-dev --optimize

FROM {{base}}
WORKDIR {ROOT}
COPY python/src/requirements.txt {ROOT}/python/src/
RUN pip install -r {ROOT}/python/src/requirements.txt
COPY python/src {ROOT}/python/src
COPY --from=composer {ROOT}/php/src {ROOT}/php/src
CMD ["python3", "{ROOT}/python/src/main.py"]
"""
MAIN = """import subprocess, lib7
said = subprocess.run(["php", "/srv/app/php/src/shop.php"], capture_output=True, text=True)
print(lib7.__version__, said.stdout.strip() or said.stderr, {line})
"""
SHOP = "<?php require __DIR__ . '/vendor/autoload.php'; echo Acme\\Lib0\\Version::TEXT;"
LOCKS = ("python/src/requirements.txt", "php/src/composer.lock")
HISTORY = ("php/src/composer.lock",) * 12 + ("python/src/requirements.txt",) * 2 + ("python/src/main.py",) * 2
"""What the project's past is: the PHP library comes out every few days."""
RATES = {f"{kind}{number}": 0.001 for kind in ("packagist:acme/lib", "pypi:lib") for number in range(8)}
RATES |= {"packagist:acme/lib0": 12 / 30, "pypi:lib7": 2 / 30, "code": 2 / 30}
"""The same, a day, as the layers builder is told it."""


@dataclass
class Shop:
    """The app's files, and where its packages come from."""

    tree: Path
    index: SimpleIndex
    repository: ComposerRepository
    python: str = "1.0"
    php: str = "1.0.0"
    line: int = 1

    def publish(self) -> None:
        stdlib = Path(sysconfig.get_path("stdlib"))
        modules = [
            path for path in sorted(stdlib.rglob("*.py")) if not {"test", "tests", "site-packages"} & set(path.parts)
        ]
        for number in range(8):
            name = f"lib{number}"
            files = {f"{name}/m{n}.py": path.read_bytes() for n, path in enumerate(modules[number::16])}
            for version in ("1.0", "1.1") if number == 7 else ("1.0",):
                head = {f"{name}/__init__.py": f"__version__ = {version!r}\n"}
                self.index.publish(name, version, files={**files, **head})
        scripts = sorted(Path("/usr/share/php").rglob("*.php"))
        for number in range(8):
            files = {f"src/F{n}.php": path.read_bytes() for n, path in enumerate(scripts[number::8])}
            for version in ("1.0.0", "1.1.0") if number == 0 else ("1.0.0",):
                own = f"<?php\nnamespace Acme\\Lib{number};\nclass Version {{ const TEXT = '{version}'; }}\n"
                self.repository.publish(f"acme/lib{number}", version, files={**files, "src/Version.php": own})

    def write(self) -> None:
        """The commit as it is now; Composer makes the lock."""
        php, python = self.tree / "php/src", self.tree / "python/src"
        php.mkdir(parents=True, exist_ok=True)
        python.mkdir(parents=True, exist_ok=True)
        pins = "".join(f"lib{n}=={self.python if n == 7 else '1.0'}\n" for n in range(8))
        (python / "requirements.txt").write_text(pins)
        (python / "main.py").write_text(MAIN.replace("{line}", str(self.line)))
        (php / "shop.php").write_text(SHOP)
        wanted = {f"acme/lib{n}": self.php if n == 0 else "1.0.0" for n in range(8)}
        about = {
            "name": "acme/shop",
            "require": wanted,
            "repositories": [{"type": "composer", "url": self.repository.url}, {"packagist.org": False}],
            "config": {"secure-http": False, "autoloader-suffix": "Shop"},
        }
        (php / "composer.json").write_text(json.dumps(about))
        argv = ["composer", "update", "--no-install", "--quiet", "--no-interaction"]
        subprocess.run(argv, cwd=php, check=True, env=os.environ | {"COMPOSER_ALLOW_SUPERUSER": "1"})

    def says(self) -> str:
        return f"{self.python} {self.php} {self.line}"


@dataclass
class Row:
    """One change, by one way of building."""

    change: str
    warm: float
    cold: float
    pushed: int
    pulled: int
    rolled: float


@dataclass
class Bench:
    root: Path
    registry: Registry
    base: str
    shop: Shop
    hosts: list[RealEngine]
    only_bytes: bool = False
    count: int = field(default=0)

    def commit(self) -> str:
        self.count += 1
        return f"{self.count:040x}"[::-1]

    def settings(self, way: str, docker: RealEngine) -> ImageSettings:
        return ImageSettings.model_validate(
            {
                "builder": "dockerfile",
                "repository": f"{self.registry.address}/{way}",
                "python": PYTHON,
                "dockerfile": {"engine": docker.address, "network": "host"},
            }
        )

    def build(self, way: str, docker: RealEngine, previous: Digest | None) -> Built:
        recipe = DockerfileRecipe(
            image=self.settings(way, docker),
            tree=self.shop.tree,
            commit=self.commit(),
            committed_at=datetime.now(UTC),
            previous=previous,
        )
        store = open_store(recipe.image.repository, {})
        return build_dockerfile(recipe, store, {}, scratch=self.root / "scratch")

    def lay(self, previous: Digest | None, cache: Path) -> Built:
        image = ImageSettings(
            repository=f"{self.registry.address}/layers",
            base=self.base,
            python=PYTHON,
            php="8.2",
            code=ROOT,
            command=("python3", f"{ROOT}/python/src/main.py"),
        )
        recipe = Recipe(
            image=image,
            pins=lockfiles.read_all(LOCKS, lambda path: (self.shop.tree / path).read_bytes()),
            locks=LOCKS,
            tree=self.shop.tree,
            commit=self.commit(),
            committed_at=datetime.now(UTC),
            previous=previous,
            rates=RATES,
        )
        composer = Composer((IndexSettings(kind="packagist", url=self.shop.repository.url),), cache)
        base = open_base(image.base, Platform.parse(image.platform), {})
        store = open_store(image.repository, {})
        with Http() as http:
            index = IndexSettings(kind="pypi", url=self.shop.index.url, private=True)
            house = Wheelhouse({"pypi": index}, Wheels.of(image), http)
            return layers.build(recipe, base, store, house, composer, scratch=self.root / "s", now=datetime.now(UTC))

    def roll(self, way: str, image: Digest, *, shaped: bool) -> tuple[int, float]:
        """Bytes that each host pulled on average, and seconds until the last one has run the image."""
        before, began = self.registry.pulled(), time.monotonic()
        port = self.registry.address.rpartition(":")[2]

        def host(one: RealEngine) -> None:
            with one.api() as api:
                name = f"{one.near}:{port}/{way}"
                api.pull(name, tag=str(image))
                said = ran(api, f"{name}@{image}")
                assert said.strip() == self.shop.says(), said

        with (
            shaping(self.hosts) if shaped and not self.only_bytes else contextlib.nullcontext(),
            ThreadPoolExecutor(HOSTS) as pool,
        ):
            list(pool.map(host, self.hosts))
        return (self.registry.pulled() - before) // len(self.hosts), time.monotonic() - began


def ran(api: APIClient, image: str) -> str:
    container = api.create_container(image, host_config=api.create_host_config(network_mode="none"))
    try:
        api.start(container)
        api.wait(container, timeout=120)
        said: bytes = api.logs(container, stderr=True)
        return said.decode()
    finally:
        api.remove_container(container, force=True)


@contextlib.contextmanager
def shaping(hosts: list[RealEngine]) -> Iterator[None]:
    """Each host behind a link of its own."""
    devices = [host.link.device for host in hosts if host.link]
    for device in devices:
        words = ["tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", RATE, "burst", "64kb", "latency", "400ms"]
        subprocess.run(words, check=True)
    try:
        yield
    finally:
        for device in devices:
            subprocess.run(["tc", "qdisc", "del", "dev", device, "root"], check=True)


def base(root: Path, to: Registry, index: str) -> str:
    """The base image: this machine's Python, pip, PHP and Composer."""
    here = LayoutStore(Path(php_image(root / "base").removeprefix("oci:").rpartition(":")[0]))
    raw = here.manifest("latest")
    assert raw
    below = [gzip.decompress(small_blob(blob, here, 1_000_000_000)) for blob in Manifest.parse(raw, "").layers]
    own = Path(pip.__file__).parent
    tools: dict[str, File | Link | bytes | str | None] = {
        f"usr/local/lib/python{PYTHON}/site-packages/pip/{path.relative_to(own)}": path.read_bytes()
        for path in sorted(own.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    tools |= {
        f"bin/{name}": Link("busybox") for name in ("unzip", "mkdir", "rm", "cp", "mv", "chmod", "which", "grep", "sed")
    }
    tools["usr/local/bin/pip"] = File(b'#!/bin/sh\nexec python3 -m pip "$@"\n')
    env = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "COMPOSER_HOME=/tmp/composer", "HOME=/root"]
    env += [f"PIP_INDEX_URL={index}", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_ROOT_USER_ACTION=ignore"]
    env += ["COMPOSER_ALLOW_SUPERUSER=1", "COMPOSER_NO_INTERACTION=1"]
    publish(open_store(f"{to.address}/base", {}), [*below, layer(tools)], tag="1", Env=env, Cmd=["python3"])
    return f"{to.address}/base:1"


def changes(shop: Shop) -> Iterator[str]:
    shop.php = "1.1.0"
    shop.write()
    yield "PHP library"
    shop.python = "1.1"
    shop.write()
    yield "Python library"
    shop.line += 1
    shop.write()
    yield "code"
    shop.php, shop.python = "1.0.0", "1.0"
    shop.write()


def by_dockerfile(bench: Bench, way: str, text: str) -> list[Row]:
    (bench.shop.tree / "Dockerfile").write_text(text)
    rows = []
    with engine() as docker:
        built = bench.build(way, docker, None)
        bench.roll(way, built.image, shaped=False)
        for change in changes(bench.shop):
            before, built = built, bench.build(way, docker, built.image)
            pulled, rolled = bench.roll(way, built.image, shaped=True)
            cold = built
            if not bench.only_bytes:
                with engine() as fresh:
                    cold = bench.build(way, fresh, before.image)
            rows.append(Row(change, built.seconds, cold.seconds, built.pushed, pulled, built.seconds + rolled))
            print(f"{way}: {rows[-1]}", file=sys.stderr)
    return rows


def by_layers(bench: Bench) -> list[Row]:
    (bench.shop.tree / "Dockerfile").unlink(missing_ok=True)
    rows = []
    built = bench.lay(None, bench.root / "cache")
    bench.roll("layers", built.image, shaped=False)
    for change in changes(bench.shop):
        built = bench.lay(built.image, bench.root / "cache")
        pulled, rolled = bench.roll("layers", built.image, shaped=True)
        # It keeps nothing between two builds but what Composer downloaded, so warm and cold are one figure.
        rows.append(Row(change, built.seconds, built.seconds, built.pushed, pulled, built.seconds + rolled))
        print(f"layers: {rows[-1]}", file=sys.stderr)
    return rows


def fixed(bench: Bench, text: str, way: str) -> str:
    """What `toplayer lint --fix` writes, with the sizes of the image that was built from `text`."""
    file = bench.shop.tree / "Dockerfile"
    file.write_text(text)
    store = open_store(f"{bench.registry.address}/{way}", {})
    found = project(file, bench.shop.tree, 30, earlier(store, tag_of(f"{1:040x}"[::-1])))
    past = tuple(frozenset({path}) for path in HISTORY)
    moved = tuple({LOCKS[0]: frozenset({"lib7"})} if path == LOCKS[0] else {} for path in HISTORY)
    return lint(parse(text), replace(found, history=past, moved=moved)).fixed


def table(found: dict[str, list[Row]]) -> None:
    print("| change | built by | build, warm | build, cold | pushed | pulled per host | until the last of four hosts |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for number in range(3):
        first = found["before"][number]
        for way, rows in found.items():
            row = rows[number]
            less = f" ({100 * (row.warm / first.warm - 1):+.0f} %)" if way != "before" else ""
            figures = (
                f"{row.warm:.1f} s{less} | {row.cold:.1f} s | {row.pushed / 1e6:.2f} MB | {row.pulled / 1e6:.2f} MB"
            )
            print(f"| {row.change} | {way} | {figures} | {row.rolled:.1f} s |")
    print()
    longest = max(row.rolled for rows in found.values() for row in rows)
    for number in range(3):
        print(f"{found['before'][number].change}: seconds until the last of four hosts runs it")
        for way, rows in found.items():
            bar = "█" * max(1, round(40 * rows[number].rolled / longest))
            print(f"  {way:8}{bar} {rows[number].rolled:.1f}")
        print()


def month(found: dict[str, list[Row]]) -> None:
    """What a host pulls in a month such as the one that lint and the layers builder were told of."""
    often = Counter(HISTORY).values()  # of the changes, in their order
    print("| in a month | pulled per host |")
    print("| --- | ---: |")
    totals = {
        way: sum(times * row.pulled for times, row in zip(often, rows, strict=True)) for way, rows in found.items()
    }
    for way, total in totals.items():
        less = f" ({totals['before'] / total:.1f} times less)" if way != "before" else ""
        print(f"| {way} | {total:,}{less} |")


def bytes_table(found: dict[str, list[Row]]) -> None:
    print("| change | built by | pushed | pulled per host |")
    print("| --- | --- | ---: | ---: |")
    for number in range(3):
        for way, rows in found.items():
            row = rows[number]
            print(f"| {row.change} | {way} | {row.pushed:,} | {row.pulled:,} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description="The origin story, measured.")
    arguments.add_argument("--bytes", action="store_true", help="only bytes: one host, no slow link, no cold builder")
    only_bytes = arguments.parse_args().bytes
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toplayer-bench-")))
        index, repository = stack.enter_context(SimpleIndex()), stack.enter_context(ComposerRepository())
        base_image()
        everywhere = stack.enter_context(registry(root / "registry", listen="0.0.0.0"))
        port = everywhere.address.rpartition(":")[2]
        local = Registry(
            address=f"127.0.0.1:{port}", settings=everywhere.settings, ca=None, directory=everywhere.directory
        )
        shop = Shop(root / "tree", index, repository)
        shop.publish()
        shop.write()
        hosts = [stack.enter_context(engine(networks=True)) for _ in range(1 if only_bytes else HOSTS)]
        bench = Bench(root, local, base(root, local, index.url), shop, hosts, only_bytes)
        texts = {"before": BEFORE.replace("{base}", bench.base), "after": AFTER.replace("{base}", bench.base)}
        found = {"before": by_dockerfile(bench, "before", texts["before"])}
        found["after"] = by_dockerfile(bench, "after", texts["after"])
        better = fixed(bench, texts["before"], "before")
        print(better, file=sys.stderr)
        found["lint"] = by_dockerfile(bench, "lint", better)
        found["layers"] = by_layers(bench)
        bytes_table(found) if only_bytes else table(found)
        month(found)


if __name__ == "__main__":
    main()
