"""One pin moves and nothing else does, by each lock's own tool, in files of the shapes that people leave behind:
comments, spacing, markers, extras, byte order marks, line ends of Windows.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uv as uv_program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rig.composer_repository import ComposerRepository
from tests.rig.lock_tools import lock_tool
from tests.rig.process import need
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.test_composer_lock import manifest as composer_json
from tests.workers.propose.test_composer_lock import shop as composer_shop
from tests.workers.propose.world import MONDAY, TARGET, changed_lines, release, workshop, write
from watcher.release import Release
from watcher.settings import IndexSettings
from workers.propose.ends import dressed
from workers.propose.move import Move
from workers.propose.tools import moved
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop

PROJECT = """\
# Äpfel, {{ braces }} and 'quotes'
[project]
name = 'shop'   # why
version = "1.0"
requires-python = ">=3.10"
dependencies = [{gap}
  "api>=1, <2" ,   # side==9
  'core; python_version >= "3.8"',{gap}
]
[dependency-groups]
dev = [ "side [x] >=1,<2" ]
"""
INPUT = "# side==9\napi<2   # why\n\ncore; python_version >= '3.8'\nside[x]>=1,<2{gap}\n"
POETRY = PROJECT + '[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "main"\nurl = "{url}/"\n'
PDM = PROJECT + '[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{url}"\n'
CLEAN = {"PIP_CONFIG_FILE": "/dev/null", "PDM_USE_VENV": "0", "PDM_CHECK_UPDATE": "0", "UV_NO_SYSTEM_CONFIG": "1"}


@dataclass(frozen=True)
class Kind:
    """A kind of lock: its manifest, and the command of a person that makes it."""

    lock: str
    manifest: str
    text: str
    argv: Callable[[], list[str]]


def program(distribution: str, name: str = "") -> str:
    return f"{lock_tool(distribution)}/{name or distribution}"


UV = uv_program.find_uv_bin
QUICK = {
    "uv.lock": Kind("uv.lock", "pyproject.toml", PROJECT, lambda: [UV(), "lock"]),
    "uv pip compile": Kind(
        "all.txt",
        "all.in",
        INPUT,
        lambda: [UV(), "pip", "compile", "-q", "--generate-hashes", "all.in", "-o", "all.txt"],
    ),
    "uv pip compile, pylock.toml": Kind(
        "pylock.toml", "all.in", INPUT, lambda: [UV(), "pip", "compile", "-q", "all.in", "-o", "pylock.toml"]
    ),
}
SLOW = {
    "pip-compile": Kind(
        "all.txt", "all.in", INPUT, lambda: [program("pip-tools", "pip-compile"), "-q", "--strip-extras", "all.in"]
    ),
    "poetry": Kind("poetry.lock", "pyproject.toml", POETRY, lambda: [program("poetry"), "lock", "-n"]),
    "pdm": Kind("pdm.lock", "pyproject.toml", PDM, lambda: [program("pdm"), "lock", "-q", "-G", ":all"]),
}


def settled(kind: Kind, directory: Path, index: SimpleIndex, shape: Mapping[str, str]) -> dict[str, str]:
    """The checkout, as a person made it on that day and an editor saved it; then `side` 1.1 came out."""
    for name, needs in (("core", []), ("side", ["core"]), ("api", ["core>=1"])):
        index.publish(name, "1.0", requires=needs)
    text = kind.text.format(gap=shape["gap"], url=index.url)
    write(directory, {kind.manifest: text})
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PIP_INDEX_URL": index.url,
        "UV_DEFAULT_INDEX": index.url,
    }
    done = subprocess.run(kind.argv(), cwd=directory, env=env | CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for version in ("1.1", "1.2"):
        index.publish("side", version, requires=["core"])
    files = {name: (directory / name).read_text() for name in (kind.manifest, kind.lock)}
    return {name: dressed(text, f"{shape['mark']}x{shape['end']}") for name, text in files.items()}


def check(kind: Kind, files: Mapping[str, str], shop: Workshop, wish: Move) -> None:
    made = moved(kind.lock, [wish], lambda name: files[name].encode() if name in files else None, shop, MONDAY)

    assert set(made.files) == {kind.lock}
    assert [(one.after.package, one.after.version) for one in made.diff.changed] == [(wish.package, wish.version)]
    changed = changed_lines(files[kind.lock], made.files[kind.lock])
    assert len(changed) <= 10  # PDM has a row of its own for a package with an extra
    words = (wish.package, "version", "sha256", "reference", "shasum", "size", "url")
    assert all(any(word in line for word in words) for line in changed)


def on(kind: Kind, shape: Mapping[str, str]) -> None:
    with SimpleIndex() as index, TemporaryDirectory() as name:
        files = settled(kind, Path(name, "desk"), index, shape)
        uv = Uv(Path(name, "state"), IndexSettings(kind="pypi", url=index.url), TARGET)
        check(kind, files, workshop(uv), Move(package="side", version="1.1", release=release(index, "side", "1.1")))


SHAPES = st.fixed_dictionaries(
    {
        "mark": st.sampled_from(["", "\ufeff"]),
        "end": st.sampled_from(["\n", "\r\n"]),
        "gap": st.sampled_from(["", "  # why", "   ", "\n\n"]),
    }
)


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=SHAPES)
def test_by_uv(name: str, shape: dict[str, str]) -> None:
    on(QUICK[name], shape)


@pytest.mark.exhaustive
@pytest.mark.journey
@pytest.mark.parametrize("name", SLOW)
def test_by_a_tool_that_takes_longer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(SLOW[name].argv()[0]).parent}{os.pathsep}{os.environ['PATH']}")
    on(SLOW[name], {"mark": "\ufeff", "end": "\r\n", "gap": "  # why"})


@pytest.fixture
def repository() -> Iterator[ComposerRepository]:
    need("php", "composer")
    with ComposerRepository() as running:
        for name in ("acme/app", "acme/other", "acme/util"):
            running.publish(name, "1.0.0")
        yield running


@pytest.mark.journey
@pytest.mark.parametrize(("indent", "end"), [("\t", "\r\n"), ("  ", "\n")])
def test_by_composer(repository: ComposerRepository, tmp_path: Path, indent: str, end: str) -> None:
    text = composer_json(repository).replace("  ", indent)
    argv = ["composer", "update", "--no-install", "--no-plugins", "--no-interaction"]
    kind = replace(SLOW["pdm"], lock="composer.lock", manifest="composer.json", argv=lambda: argv)
    write(tmp_path / "desk", {"composer.json": text})
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COMPOSER_ALLOW_SUPERUSER": "1"}
    subprocess.run(argv, cwd=tmp_path / "desk", env=env, check=True, capture_output=True)
    files = {name: (tmp_path / "desk" / name).read_text() for name in ("composer.json", "composer.lock")}
    files = {name: dressed(text, f"x{end}") for name, text in files.items()}
    repository.publish("acme/app", "1.1.0")

    wish = Move(package="acme/app", version="1.1.0", release=Release(package="acme/app", version="1.1.0"))
    check(kind, files, composer_shop(tmp_path), wish)
