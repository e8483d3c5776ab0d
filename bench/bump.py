"""One bump in a project of 60 packages, by each tool: ours beside the plain commands that other bots run.

All ask the same index on loopback with warm caches. Arguments name the tools (`pdm composer`); without one it is all.
Printed are seconds, changed lines and packages, and where the package landed: 1.1 was asked for, and 1.2 is out,
too.
"""

import difflib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uv as uv_program

from tests.rig.composer_repository import ComposerRepository
from tests.rig.lock_tools import lock_tool
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import TARGET
from watcher.lockfiles import read
from watcher.lockfiles.diff import changes
from watcher.release import Release
from watcher.settings import IndexSettings
from workers.process import environment
from workers.propose.composer import Composer
from workers.propose.move import Move
from workers.propose.tools import moved
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop

PACKAGES = 60
NO_INSTALL = ("--no-install", "--no-scripts", "--no-plugins", "--no-autoloader", "--no-progress", "-n", "--no-audit")
Run = Callable[[Path], None]


def needs(number: int) -> list[int]:
    """Every package but the last few needs the next one and one further on."""
    return [other for other in (number + 1, number + 7) if other < PACKAGES]


def command(*argv: str, **env: str) -> Run:
    def run(desk: Path) -> None:
        clean = environment(desk.parent, **env) | {"COMPOSER_ALLOW_SUPERUSER": "1"}
        done = subprocess.run(argv, cwd=desk, env=clean, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(argv)}: {done.stderr[-800:]}")

    return run


def _content(desk: Path, path: str) -> bytes | None:
    return (desk / path).read_bytes() if (desk / path).is_file() else None


def ours(shop: Workshop, lock: str, package: str, version: str = "1.1") -> Run:
    def run(desk: Path) -> None:
        wish = Move(package=package, version=version, release=Release(package=package, version=version))
        for name, text in moved(lock, [wish], partial(_content, desk), shop, datetime.now(UTC)).files.items():
            (desk / name).write_text(text)

    return run


def measure(kind: str, desk: Path, lock: str, package: str, ways: Sequence[tuple[str, Run]]) -> None:
    """A row for each way, each on a fresh copy of the desk; the first time fills the caches and does not count."""
    before = (desk / lock).read_text()
    first = 0.0
    for name, run in ways:
        for attempt in range(2):
            copy = desk.parent / f"{kind}-{attempt}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(desk, copy)
            began = time.perf_counter()
            run(copy)
            seconds = time.perf_counter() - began
        after = (copy / lock).read_text()
        lines = [row for row in difflib.ndiff(before.splitlines(), after.splitlines()) if row[0] in "+-"]
        old, new = (read(lock, partial(_content, at)) for at in (desk, copy))
        diff = changes(old, new)
        count = len(diff.changed) + len(diff.added) + len(diff.removed)
        landed = next(pin.version for pin in new if pin.package == package)
        first = first or seconds
        print(f"{kind:10} {name:44} {seconds:7.2f} {seconds / first:6.2f}× {len(lines):7} {count:9}  {landed}")


@dataclass(frozen=True)
class Kind:
    """One kind of lock: the files of its project, what made it, and what the other bots run to move p0."""

    name: str
    lock: str
    files: Mapping[str, str]
    made_by: Run
    others: Sequence[tuple[str, Run]]


def kinds(root: Path, url: str) -> list[Kind]:
    """All of Python's. What each bot runs: Renovate's `lib/modules/manager`, Dependabot's `python/lib`."""
    project = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.11"\ndependencies = ["p0>=1,<2"]\n'
    poetry = f'\n[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "main"\nurl = "{url}/"\n'
    pdm = f'\n[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\n'
    version = ".".join(platform.python_version_tuple()[:2])
    pipfile = f'[[source]]\nurl = "{url}"\nverify_ssl = false\nname = "main"\n\n[packages]\np0 = ">=1,<2"\n'
    pipfile += f'\n[requires]\npython_version = "{version}"\n'
    binary = uv_program.find_uv_bin()
    command(binary, "venv", "-q", "--python", sys.executable, str(root / "venv"))(root)
    uv = {"UV_DEFAULT_INDEX": url, "UV_CACHE_DIR": str(root / "cache"), "UV_NO_SYSTEM_CONFIG": "1"}
    own = {"POETRY_VIRTUALENVS_CREATE": "false", "POETRY_CACHE_DIR": str(root / "poetry-cache")}
    pip = {"PIP_INDEX_URL": url, "PIP_CONFIG_FILE": "/dev/null", "PIP_TOOLS_CACHE_DIR": str(root / "pip-tools")}
    # It would else take pages of the index from its cache that are from before the releases.
    pds = {"PDM_USE_VENV": "0", "PDM_CHECK_UPDATE": "0", "PDM_PYTHON": sys.executable, "PDM_NO_CACHE": "1"}
    env = {"VIRTUAL_ENV": str(root / "venv"), "PIPENV_NOSPIN": "1", "PIPENV_YES": "1", "PIPENV_VERBOSITY": "-1"}
    pins = "".join(f"p{number}==1.0\n" for number in range(PACKAGES))
    compiled = ["pip-compile", "--generate-hashes", "--no-emit-index-url", "--no-emit-trusted-host", "-q", "all.in"]
    return [
        Kind(
            "uv",
            "uv.lock",
            {"pyproject.toml": project},
            command(binary, "lock", **uv),
            [
                ("uv lock --upgrade-package p0 (Renovate)", command(binary, "lock", "--upgrade-package", "p0", **uv)),
                ("uv lock --upgrade-package p0==1.1 (Dependabot)", command(binary, "lock", "-P", "p0==1.1", **uv)),
            ],
        ),
        *(
            Kind(
                name,
                lock,
                {"all.in": "p0<2\n"},
                command(*compile_, lock, **uv),
                [(f"uv pip compile -P p0==1.1 (both{beside})", command(*compile_, lock, "-P", "p0==1.1", **uv))],
            )
            # Neither of them knows a pylock.toml: this is what they would run.
            for name, lock, beside in (("uv-pip", "all.txt", ""), ("pylock", "pylock.toml", " would"))
            for compile_ in [(binary, "pip", "compile", "-q", "--generate-hashes", "all.in", "-o")]
        ),
        # Other bots edit the text, too, and ask nobody whether it can be installed: there is no command to compare.
        Kind("by-hand", "requirements.txt", {"requirements.txt": pins}, lambda _: None, []),
        Kind(
            "poetry",
            "poetry.lock",
            {"pyproject.toml": project + poetry},
            command("poetry", "lock", "-n", **own),
            [("poetry update p0 --lock (both)", command("poetry", "update", "p0", "--lock", "-n", **own))],
        ),
        Kind(
            "pip-tools",
            "all.txt",
            {"all.in": "p0<2\n"},
            command(*compiled, **pip),
            [("pip-compile --upgrade-package p0==1.1 (both)", command(*compiled, "-P", "p0==1.1", **pip))],
        ),
        Kind(
            "pdm",
            "pdm.lock",
            {"pyproject.toml": project + pdm},
            command("pdm", "lock", **pds),
            [
                (
                    "pdm update --update-eager p0 (Renovate)",
                    command("pdm", "update", "--no-sync", "--update-eager", "p0", **pds),
                )
            ],
        ),
        Kind(
            "pipenv",
            "Pipfile.lock",
            {"Pipfile": pipfile},
            command("pipenv", "lock", **env),
            [
                ("pipenv lock (Renovate)", command("pipenv", "lock", **env)),
                (
                    "pipenv upgrade p0==1.1 (Dependabot)",
                    command("pipenv", "upgrade", "--lock-only", "p0==1.1", **env),
                ),
            ],
        ),
    ]


def python(root: Path, index: SimpleIndex, wanted: Sequence[str]) -> None:
    """Python's locks: those that are wanted, by their tools; none: all."""
    for number in range(PACKAGES):
        index.publish(f"p{number}", "1.0", requires=[f"p{other}>=1.0" for other in needs(number)])
    programs = [str(lock_tool(name)) for name in ("poetry", "pip-tools", "pdm", "pipenv")]
    os.environ["PATH"] = os.pathsep.join([*programs, os.environ["PATH"]])
    every = [kind for kind in kinds(root, index.url) if not wanted or kind.name in wanted]
    for kind in every:
        for name, text in kind.files.items():
            (root / kind.name / name).parent.mkdir(exist_ok=True)
            (root / kind.name / name).write_text(text)
        kind.made_by(root / kind.name)
    for number in range(PACKAGES):
        for version in ("1.1", "1.2"):
            index.publish(f"p{number}", version, requires=[f"p{other}>=1.0" for other in needs(number)])
    shop = Workshop(uv=Uv(root / "state", IndexSettings(kind="pypi", url=index.url), TARGET), composer=Composer(root))
    for kind in every:
        measure(kind.name, root / kind.name, kind.lock, "p0", [("toplayer", ours(shop, kind.lock, "p0")), *kind.others])


def php(root: Path, repository: ComposerRepository) -> None:
    """composer.lock. Version 1.1 of the package needs a newer one of its neighbour."""

    def publish(version: str) -> None:
        for number in range(PACKAGES):
            least = "^1.1" if (number, version) == (0, "1.1") else "^1.0"
            requires = {f"acme/p{other}": least if other == 1 else "^1.0" for other in needs(number)}
            repository.publish(f"acme/p{number}", f"{version}.0", requires=requires)

    publish("1.0")
    desk = root / "composer"
    desk.mkdir()
    manifest = {
        "require": {"acme/p0": "^1.0"},
        "repositories": [{"type": "composer", "url": repository.url}, {"packagist.org": False}],
        "config": {"secure-http": False},
    }
    (desk / "composer.json").write_text(json.dumps(manifest, indent=4))
    env = {"COMPOSER_HOME": str(root / "home"), "COMPOSER_CACHE_DIR": str(root / "composer-cache")}
    command("composer", "update", *NO_INSTALL, **env)(desk)
    publish("1.1")
    publish("1.2")
    shop = Workshop(uv=Uv(root, IndexSettings(kind="pypi"), TARGET), composer=Composer(root / "state"))
    update = ("composer", "update", "acme/p0:1.1.0")
    ways = [
        ("toplayer", ours(shop, "composer.lock", "acme/p0", "1.1.0")),
        ("composer update p0:1.1.0 -w (Renovate)", command(*update, "-w", *NO_INSTALL, **env)),
        ("composer update p0:1.1.0 -W (Dependabot)", command(*update, "-W", *NO_INSTALL, **env)),
    ]
    measure("composer", desk, "composer.lock", "acme/p0", ways)


def main() -> None:
    print(f"{'lock':10} {'way':44} {'seconds':>7} {'ratio':>7} {'lines':>7} {'packages':>9}  landed")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        wanted = sys.argv[1:]
        with SimpleIndex() as index:
            python(root, index, wanted)
        if not wanted or "composer" in wanted:
            with ComposerRepository() as repository:
                php(root, repository)


if __name__ == "__main__":
    main()
