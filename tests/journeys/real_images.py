"""Real applications: locked by uv, built and pushed by `toplayer build`, pulled and run by a real engine.

    make real-images

needs the public index and takes minutes, so it is no part of `make test`. Every image is asked what `pip check` says,
that no file of a package is missing, and that imports come from where they should; one with PHP, what Composer says.
"""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uv
from docker import APIClient
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.rig.base_image import PYTHON, base_image, libraries
from tests.rig.composer_repository import ComposerRepository
from tests.rig.engine import RealEngine, engine, ran
from tests.rig.image import File, layer, publish
from tests.rig.php_image import php_image
from tests.rig.registry import Registry, registry
from tests.rig.world import World, make_world
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest
from workers.oci.store import small_blob
from workers.process import environment

SOUND = """
import importlib.metadata as m, subprocess, sys
files = [file for one in m.distributions() for file in one.files or ()]
lost = [str(file) for file in files if not file.locate().exists()]
assert len(files) > 10 and not lost, lost[:5]
checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
assert checked.stdout == "No broken requirements found.\\n", checked.stdout + checked.stderr
"""
DJANGO = {
    "requirements.in": "django\ndjangorestframework\ngunicorn\nwhitenoise\npip\n",
    "manage.py": "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'site1.settings'\n"
    "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
    "site1/__init__.py": "",
    "site1/settings.py": "SECRET_KEY = 'x'\nROOT_URLCONF = 'site1.urls'\nALLOWED_HOSTS = ['*']\nTIME_ZONE = 'UTC'\n"
    "INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'rest_framework', 'site1']\n"
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n",
    "site1/urls.py": "from django.http import HttpResponse\nfrom django.urls import path\n"
    "urlpatterns = [path('', lambda request: HttpResponse('open'))]\n",
    "site1/tests.py": "from django.contrib.auth.models import User\nfrom django.test import TestCase\n\n"
    "class Shop(TestCase):\n    def test_it_is_open(self):\n        User.objects.create(username='x')\n"
    "        assert self.client.get('/').content == b'open'\n",
    "check.py": SOUND + "import django\nassert django.__file__.startswith('/opt/venv/'), django.__file__\n"
    "for words in (['manage.py', 'check'], ['manage.py', 'test']):\n"
    "    subprocess.run([sys.executable, *words], check=True)\n"
    "subprocess.run(['django-admin', '--version'], check=True)\n"
    "subprocess.run(['gunicorn', '--check-config', 'django.core.wsgi:get_wsgi_application'], check=True,\n"
    "               env={'PATH': '/opt/venv/bin', 'DJANGO_SETTINGS_MODULE': 'site1.settings'})\nprint('it is sound')\n",
}
CELERY = {
    "requirements.in": "celery\nredis\npip\n",
    "jobs.py": "from celery import Celery\napp = Celery('jobs', broker='memory://', backend='cache+memory://')\n\n"
    "@app.task\ndef add(a, b):\n    return a + b\n",
    "check.py": SOUND
    + "import celery\nfrom celery.contrib.testing.worker import start_worker\nfrom jobs import add, app\n"
    "app.loader.import_task_module('celery.contrib.testing.tasks')\n"
    "with start_worker(app, perform_ping_check=False, pool='solo'):\n"
    "    assert add.delay(20, 22).get(timeout=20) == 42\n"
    "subprocess.run(['celery', '--version'], check=True)\nprint('it is sound')\n",
}
DATA = {
    "requirements.in": "numpy\npandas\nlxml\npillow\npip\n",
    "check.py": SOUND + "import numpy, pandas, lxml.etree, PIL.Image\n"
    "assert all(one.__file__.startswith('/opt/venv/') for one in (numpy, pandas, lxml.etree))\n"
    "assert numpy.linalg.inv(numpy.eye(3)).sum() == 3\n"
    "frame = pandas.DataFrame({'a': [1, 2, 3], 'b': list('xyx')})\nassert frame.groupby('b').a.sum()['x'] == 4\n"
    "assert lxml.etree.fromstring('<a><b/></a>').xpath('count(//b)') == 1\nprint('it is sound')\n",
    "start.py": "import pandas, lxml.etree, time\nprint(time.process_time())\n",
}
SOURCES = {
    "requirements.in": "docopt==0.6.2\nzope.interface\nzope.event\nsetuptools\npip\n",
    "check.py": SOUND + "import docopt, zope.event, zope.interface\n"
    "assert m.version('docopt') == '0.6.2' and docopt.__file__.startswith('/opt/venv/')\nprint('it is sound')\n",
}
WORKSPACE = {
    "pyproject.toml": '[project]\nname = "shop-root"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
    'dependencies = ["shop-lib", "click", "pip"]\n[project.scripts]\nroot = "shop_root:main"\n'
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[tool.uv.sources]\nshop-lib = { workspace = true }\n[tool.uv.workspace]\nmembers = ["libs/*"]\n',
    "src/shop_root/__init__.py": "import click, shop_lib\n\n@click.command()\n"
    "def main():\n    click.echo(shop_lib.NAME)\n",
    "libs/shop-lib/pyproject.toml": '[project]\nname = "shop-lib"\ndynamic = ["version"]\nrequires-python = ">=3.11"\n'
    '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
    '[tool.setuptools.dynamic]\nversion = { attr = "shop_lib.VERSION" }\n',
    "libs/shop-lib/shop_lib/__init__.py": "NAME, VERSION = 'lib', '3.2'\n",
    "check.py": SOUND + "import shop_lib, shop_root\nassert m.version('shop-lib') == '3.2'\n"
    "assert shop_lib.__file__ == '/app/libs/shop-lib/shop_lib/__init__.py', shop_lib.__file__\n"
    "assert shop_root.__file__ == '/app/src/shop_root/__init__.py'\n"
    "assert subprocess.run(['root'], capture_output=True, text=True, check=True).stdout == 'lib\\n'\n"
    "print('it is sound')\n",
}
BOTH = {
    "requirements.in": "click\npip\n",
    "php/main.php": "<?php\nrequire __DIR__ . '/vendor/autoload.php';\n"
    "echo Acme\\Http\\Version::V, ' ', Composer\\InstalledVersions::getPrettyVersion('acme/core');\n",
    "check.py": SOUND + "import click\nassert click.__file__.startswith('/opt/venv/'), click.__file__\n"
    "def told(*words):\n    done = subprocess.run(words, capture_output=True, text=True, cwd='/app/php')\n"
    "    assert done.returncode == 0, done.stdout + done.stderr\n    return done.stdout\n"
    "assert told('php', 'main.php') == '1.2.0 2.0.0'\n"
    "checked = told('composer', 'check-platform-reqs', '--no-interaction')\n"
    "assert 'ext-mbstring' in checked and 'success' in checked, checked\n"
    "told('composer', 'validate', '--no-check-publish', '--no-interaction')\n"
    "assert told('composer', 'show', '--name-only', '--no-interaction').split() == ['acme/core', 'acme/http']\n"
    "print('it is sound')\n",
}
APPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "django": ("requirements.txt", DJANGO),
    "celery": ("requirements.txt", CELERY),
    "data": ("requirements.txt", DATA),
    "sources": ("requirements.txt", SOURCES),
    "workspace": ("uv.lock", WORKSPACE),
}


@pytest.fixture(scope="module")
def docker() -> Iterator[RealEngine]:
    with engine() as running:
        yield running


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tests' base, and the libraries that manylinux wheels may count on."""
    here = base_image()
    store = LayoutStore(here.directory)
    raw = store.manifest(here.digest)
    assert raw is not None
    below = [gzip.decompress(small_blob(blob, store, 2**30)) for blob in Manifest.parse(raw, "").layers]
    # PEP 600 has the whole list; these are what real wheels ask for.
    names = ("stdc++.so.6", "gcc_s.so.1", "pthread.so.0", "dl.so.2", "rt.so.1", "util.so.1", "m.so.6", "z.so.1")
    found = [next(Path("/usr/lib").glob(f"*-linux-gnu/lib{name}")) for name in names]
    more = {str(path).lstrip("/"): File(content) for path, content in libraries(found)}
    libc = next(path for path in more if path.endswith("/libc.so.6"))
    more["usr/share/zoneinfo/UTC"] = File(Path("/usr/share/zoneinfo/UTC").read_bytes())
    more |= {f"{Path(libc).parent}/{path.name}": File(path.read_bytes()) for path in found}
    directory = tmp_path_factory.mktemp("base")
    env = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"]
    publish(LayoutStore(directory), [*below, layer(more)], tag="latest", Env=env)
    return f"oci:{directory}:latest"


def locked(files: Mapping[str, str], lock: str, place: Path) -> dict[str, str]:
    """The files with a lock that uv makes of them, from the public index."""
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    program, env = os.fsdecode(uv.find_uv_bin()), environment(place, UV_CACHE_DIR=str(place.parent / "uv"))
    words = ["lock"]
    if lock == "requirements.txt":
        words = ["pip", "compile", "--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_28"]
        words += ["--generate-hashes", "--no-emit-package", "x", "requirements.in", "-o", lock]
    done = subprocess.run([program, "-q", *words, "--python", sys.executable], cwd=place, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return {**files, lock: (place / lock).read_text()}


def configured(tmp: Path, name: str, docker: RealEngine, real: Registry, base: str) -> World:
    lock, files = APPS[name]
    world = make_world(tmp / "world", locked(files, lock, tmp / "tree"), PYPI_SIMPLE_ENDPOINT)
    world.configure(
        {"one": docker.address}, image=image_of(name, docker, real, base), app={"lock": lock}, run={"network": "none"}
    )
    return world


def image_of(name: str, docker: RealEngine, real: Registry, base: str) -> dict[str, Any]:
    return {
        "repository": f"{real.address}/team/{name}",
        "base": base,
        "interpreter": "/usr/local/bin/python3",
        "libc": "manylinux_2_28",
        "command": ["python", "check.py"],
        "sandbox": {"engine": docker.address},
    }


def first(world: World) -> dict[str, Any]:
    """The first image, and nothing more: no host gets it."""
    world.toplayer("pause", "shop")
    world.toplayer("run", "--once")
    world.toplayer("resume", "shop")
    built: dict[str, Any] = world.json("build", "shop")
    return built


@pytest.mark.parametrize("name", APPS)
def test_a_real_application_is_built_pulled_and_runs(
    tmp_path: Path, name: str, docker: RealEngine, real: Registry, base: str
) -> None:
    world = configured(tmp_path, name, docker, real, base)

    built = first(world)

    image = f"{real.address}/team/{name}@{built['image']}"
    with docker.api() as api:
        api.pull(f"{real.address}/team/{name}", tag=built["image"])
        assert ran(api, image).endswith("it is sound\n")
    again = world.json("build", "shop")
    assert again["image"] == built["image"]


def test_a_real_application_in_python_and_php_is_built_pulled_and_runs(
    tmp_path: Path, docker: RealEngine, real: Registry
) -> None:
    base, tree = php_image(tmp_path / "base"), tmp_path / "tree"
    with ComposerRepository() as repository:
        repository.publish("acme/core", "2.0.0")
        repository.publish("acme/http", "1.2.0", requires={"php": ">=8.0", "ext-mbstring": "*", "acme/core": "^2"})
        about = {
            "name": "team/shop",
            "description": "A shop.",
            "license": "MIT",
            "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
            "require": {"acme/http": "^1.0"},
            "config": {"secure-http": False},
        }
        files = locked({**BOTH, "php/composer.json": json.dumps(about)}, "requirements.txt", tree)
        env = environment(tmp_path, COMPOSER_HOME=str(tmp_path / "home"), COMPOSER_ALLOW_SUPERUSER="1")
        words = ["composer", "update", "--no-install", "--quiet", "--no-interaction"]
        subprocess.run(words, cwd=tree / "php", env=env, check=True)
        files["php/composer.lock"] = (tree / "php/composer.lock").read_text()
        world = make_world(tmp_path / "world", files, PYPI_SIMPLE_ENDPOINT)
        world.configure(
            {"one": docker.address},
            image=image_of("both", docker, real, base) | {"php": "8.2"},
            app={"lock": "requirements.txt", "more_locks": ["php/composer.lock"]},
            run={"network": "none"},
            more=f'[indexes.packagist]\nkind = "packagist"\nurl = "{repository.url}"\nprivate = true\n',
        )

        built = first(world)

    with docker.api() as api:
        api.pull(f"{real.address}/team/both", tag=built["image"])
        assert ran(api, f"{real.address}/team/both@{built['image']}").endswith("it is sound\n")


def test_what_bytecode_costs_and_saves(
    tmp_path: Path, docker: RealEngine, real: Registry, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = configured(tmp_path, "data", docker, real, base)
    rows: list[tuple[str, int, float]] = []
    with docker.api() as api:
        for bytecode in ("none", "cache", "layer"):
            text = re.sub("bytecode = .*\n", "", world.config.read_text())
            line = f'bytecode = "{bytecode}"\n'
            world.config.write_text(text.replace("[apps.shop.image]\n", f"[apps.shop.image]\n{line}"))
            world.origin.write({"bytecode.txt": line}, "Byte-code")
            built = first(world)
            image = f"{real.address}/team/data@{built['image']}"
            api.pull(f"{real.address}/team/data", tag=built["image"])
            volume = "toplayer-shop-python:/var/cache/python" if bytecode == "cache" else ""
            ran(api, image, "python", "start.py", volume=volume)
            rows.append((bytecode, built["size"], busy(api, image, volume)))
    with capsys.disabled():
        sys.stdout.write("\n\nBYTE-CODE  IMAGE      `import pandas, lxml.etree`, CPU\n")
        for name, size, seconds in rows:
            sys.stdout.write(f"{name:9}  {size / 1e6:6.1f} MB  {seconds:.2f} s\n")


def busy(api: APIClient, image: str, volume: str) -> float:
    """CPU seconds of the fastest of three: what else the machine does has no say in them."""
    return min(float(ran(api, image, "python", "start.py", volume=volume)) for _ in range(3))
