"""Lock tools in the app's image, on a real engine: what counts is the image's PHP, and nothing of this machine's."""

import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rig.base_image import libraries
from tests.rig.composer_repository import ComposerRepository
from tests.rig.engine import RealEngine, engine
from tests.rig.image import Entry, File, layer
from tests.rig.lock_tools import lock_tool
from tests.rig.php_image import php_image
from tests.rig.registry import registry
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.test_composer_lock import locked, manifest, move, shop, ways
from tests.workers.propose.test_poetry_lock import MANIFEST as POETRY
from tests.workers.propose.world import after, behind_a_password, changed_lines, move_to, write
from workers.container import LABEL
from workers.oci.layout import LayoutStore
from workers.oci.manifest import OCI_MANIFEST, Manifest
from workers.oci.store import copy_blob
from workers.oci.stores import open_store
from workers.process import ToolTimedOut
from workers.propose.bench import ToolAway
from workers.propose.box import Box
from workers.propose.composer import Composer
from workers.propose.errors import EngineAway, LockRefused
from workers.propose.program import Program
from workers.propose.uv import Uv
from workers.propose.workshop import Workshop

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def docker() -> Iterator[RealEngine]:
    with engine() as running:
        yield running


@pytest.fixture(scope="module")
def box(docker: RealEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """An image with PHP and Composer in a registry, which the engine has not pulled yet."""
    directory = tmp_path_factory.mktemp("image")
    tools = layer(dict([*_tool("poetry", "poetry", "poetry.console.application:main"), *_compiler(), *_traps()]))
    php_image(directory, [tools], path="/app/bin:", WorkingDir="/app")
    here = LayoutStore(directory)
    digest = here.named("latest")
    assert digest is not None
    with registry(tmp_path_factory.mktemp("registry")) as real:
        there = open_store(f"{real.address}/team/shop", {real.address: real.settings})
        raw = here.manifest(digest)
        assert raw is not None
        parsed = Manifest.parse(raw, "")
        for blob in (parsed.config, *parsed.layers):
            copy_blob(blob, here, there, directory)
        there.put_manifest(raw, OCI_MANIFEST)
        yield Box(f"{real.address}/team/shop@{digest}", docker.address, insists=True)


def _tool(distribution: str, name: str, entry: str) -> Iterator[tuple[str, Entry]]:
    """A lock tool of the rig as the image has it: a directory of its own, and a program on PATH."""
    (site,) = lock_tool(distribution).parent.glob("tools/*/lib/python3*/site-packages")
    for path in sorted(site.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and "/tests/" not in str(path):
            yield f"opt/{distribution}/{path.relative_to(site)}", path.read_bytes()
    for path, content in libraries([*site.rglob("*.so")]) if [*site.rglob("*.so")] else ():
        yield str(path).lstrip("/"), File(content)
    module, _, function = entry.partition(":")
    script = f"import sys\nsys.path.insert(0, '/opt/{distribution}')\nfrom {module} import {function}\n"
    text = f"#!/usr/local/bin/python3\n{script}sys.argv[0] = '{name}'\nsys.exit({function}())\n"
    yield f"usr/local/bin/{name}", File(text.encode())


def _compiler() -> Iterator[tuple[str, Entry]]:
    return _tool("pip-tools", "pip-compile", "piptools.scripts.compile:cli")


def _traps() -> Iterator[tuple[str, Entry]]:
    """What a package that the app depends on may have put first on its PATH."""
    for name in ("composer", "poetry", "pip-compile", "python3", "php", "env"):
        yield f"app/bin/{name}", File(b"#!/bin/sh\necho 99.0.0\n")


@pytest.fixture
def repository() -> Iterator[ComposerRepository]:
    with ComposerRepository() as running:
        running.publish("acme/app", "1.0.0")
        running.publish("acme/other", "1.0.0")
        yield running


def in_box(directory: Path, box: Box) -> Workshop:
    plain = shop(directory)
    return replace(plain, composer=Composer(directory / "state", (), box))


def test_composer_runs_in_the_image_and_judges_by_its_platform(
    repository: ComposerRepository, box: Box, docker: RealEngine, tmp_path: Path
) -> None:
    files = locked(tmp_path / "desk", manifest(repository))
    repository.publish("acme/app", "1.1.0", requires={"ext-mbstring": "*"})
    repository.publish("acme/app", "1.2.0", requires={"ext-nobody-has-this": "*"})

    assert ways(move(files, in_box(tmp_path, box), "1.1.0")) == ["acme/app 1.0.0 → 1.1.0"]
    with pytest.raises(LockRefused, match="ext-nobody-has-this"):
        move(files, in_box(tmp_path, box), "1.2.0")

    # On the machine an extension is nobody's business.
    assert ways(move(files, shop(tmp_path), "1.2.0")) == ["acme/app 1.0.0 → 1.2.0"]
    with docker.api() as api:
        assert api.containers(all=True, filters={"label": LABEL}) == []


@pytest.mark.parametrize(
    ("program", "is_in"),
    [
        (Program("composer", ">=2", travels=True), True),
        (Program("composer", ">=99", travels=True), False),
        (Program("composer", ">=2"), False),
        (Program("composer", python=".".join(platform.python_version_tuple()[:2]), travels=True), True),
        (Program("composer", python="2.7", travels=True), False),
    ],
)
def test_a_tool_in_the_image_has_to_be_the_right_one(box: Box, program: Program, is_in: bool) -> None:
    assert program.is_in(box) is is_in


def test_a_program_of_what_the_app_depends_on_is_not_taken_for_a_lock_tool(box: Box) -> None:
    assert "99.0.0" not in str(box.version_of("composer"))
    assert box.version_of("pdm") is None


def test_poetry_of_the_image_moves_a_lock(
    index: SimpleIndex, uv: Uv, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = tmp_path / "desk"
    write(desk, {"pyproject.toml": POETRY.format(url=index.url)})
    env = {"PATH": os.environ["PATH"], "HOME": str(desk), "POETRY_VIRTUALENVS_CREATE": "false"}
    subprocess.run([f"{lock_tool('poetry')}/poetry", "lock", "-n"], cwd=desk, env=env, check=True, capture_output=True)
    files = {name: (desk / name).read_text() for name in ("pyproject.toml", "poetry.lock")}
    index.publish("side", "1.1")
    monkeypatch.setattr(Program, "command", lambda *_: pytest.fail("it is run on the machine"))

    wish = move_to(index, "side", "1.1")
    closed = behind_a_password(index, replace(uv, box=box))

    made = after(files, "poetry.lock", wish, closed)

    assert "s3cret" not in made
    assert len(changed_lines(files["poetry.lock"], made)) == 4


def test_pip_compile_of_the_image_moves_a_lock(
    index: SimpleIndex, uv: Uv, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "desk", {"requirements.in": "side\n"})
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": index.url,
        "PIP_CONFIG_FILE": "/dev/null",
    }
    argv = [f"{lock_tool('pip-tools')}/pip-compile", "--generate-hashes", "--no-emit-index-url", "-q"]
    subprocess.run(argv, cwd=tmp_path / "desk", env=env, check=True, capture_output=True)
    files = {path.name: path.read_text() for path in (tmp_path / "desk").iterdir() if path.is_file()}
    index.publish("side", "1.1")
    monkeypatch.setattr(Program, "command", lambda *_: pytest.fail("it is run on the machine"))

    wish = move_to(index, "side", "1.1")
    closed = behind_a_password(index, replace(uv, box=box))

    made = after(files, "requirements.txt", wish, closed)

    assert "s3cret" not in made
    assert len(changed_lines(files["requirements.txt"], made)) == 4


def test_passwords_are_for_an_image_that_the_settings_insist_on(
    index: SimpleIndex, uv: Uv, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Box, "run", lambda *_, **__: pytest.fail("it is run in the image"))
    closed = replace(behind_a_password(index, uv), box=replace(box, insists=False))

    with closed.bench({}) as bench:
        assert bench.tool(Program("echo", travels=True), ["here"]) == "here\n"


def test_what_is_not_in_the_image_runs_on_the_machine_unless_the_settings_insist(box: Box, docker: RealEngine) -> None:
    assert box.holds("composer")
    assert not replace(box, insists=False).holds("pdm")
    with pytest.raises(ToolAway, match="has no pdm"):
        box.holds("pdm")


def test_an_image_that_the_engine_has_not_is_pulled_only_if_the_settings_insist(box: Box) -> None:
    elsewhere = replace(box, image=f"{box.image[:-8]}00000000", insists=False)

    assert not elsewhere.holds("composer")
    with pytest.raises(EngineAway):
        replace(elsewhere, insists=True).holds("composer")


def test_an_engine_that_is_not_there_is_none(box: Box, tmp_path: Path) -> None:
    nowhere = replace(box, engine=f"unix://{tmp_path}/none.sock", insists=False)

    assert not nowhere.holds("composer")
    with pytest.raises(EngineAway, match="No such file"):
        replace(nowhere, insists=True).holds("composer")


def test_a_tool_in_it_has_a_deadline_no_privileges_and_nothing_to_write_to(
    box: Box, docker: RealEngine, tmp_path: Path
) -> None:
    assert box.holds("php")
    mine = tmp_path / "scratch" / "mine"
    (mine / "work").mkdir(parents=True)
    (mine / "work" / "here").write_text("here")

    def php(script: str, seconds: int) -> bytes:
        argv, env, secrets = ["php", "-r", script], {"SECRET": "s3cret"}, ["s3cret"]
        deadline, cache = timedelta(seconds=seconds), box.cache(tmp_path)
        ran = box.run(argv, root=mine, cwd=mine / "work", env=env, cache=cache, deadline=deadline, secrets=secrets)
        return ran.stdout

    with pytest.raises(ToolTimedOut) as caught:
        php("echo getenv('SECRET'); sleep(60);", 3)
    said = php(
        "file_put_contents('a', 'b'); symlink('/etc/passwd', 'c'); echo file_get_contents('here'), ' ';"
        "echo @file_put_contents('/a', 'b') === false ? 'kept out' : 'written';"
        "echo join(preg_grep('/^CapEff:\\s+0+$/', file('/proc/self/status')));",
        60,
    )

    assert "s3cret" not in str(caught.value)
    assert said.split() == [b"here", b"kept", b"outCapEff:", b"0" * 16]
    assert sorted(path.name for path in (mine / "work").iterdir()) == ["a", "here"]
    assert (mine / "work" / "a").read_text() == "b"
    with docker.api() as api:
        assert api.containers(all=True, filters={"label": LABEL}) == []
