"""pylock.toml without a command in its head moves by its text: one that pip locked, and one in another spelling."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rig.lock_tools import lock_tool
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import after, changed_lines, move, move_to
from workers.propose.errors import LockRefused
from workers.propose.uv import Uv

INLINE = """\
lock-version = "1.0" # as somebody writes it
created-by = "pdm"
[[packages]]
name = "core"
version = "1.0"
wheels = [ {{ url = "{url}/core-1.0-py3-none-any.whl", hashes = {{ sha256 = "{digit}" }} }} ]
[[packages]]
name = 'side'
version = '1.0'
marker = '"default" in dependency_groups'
sdist = {{name = "side-1.0.tar.gz", url = "{url}/side-1.0.tar.gz", size = 7, hashes = {{sha256 = "{digit}"}}}}
wheels = [
  {{ url = "{url}/side-1.0-py3-none-any.whl", upload-time = 2025-01-01T00:00:00Z, hashes={{sha256="{digit}"}} }}, # why
]
"""
OLD = "0" * 64


def by_pip(directory: Path, index: SimpleIndex, *wanted: str) -> str:
    """What `pip lock` makes of it."""
    env = {"PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": "/dev/null", "PATH": "", "HOME": str(directory)}
    (python,) = lock_tool("pip-tools").parent.glob("tools/*/bin/python")
    argv = [str(python), "-m", "pip", "lock", "--quiet", "-o", "pylock.toml", *wanted]
    subprocess.run(argv, cwd=directory, env=env, check=True, capture_output=True)
    return (directory / "pylock.toml").read_text()


@pytest.mark.journey
def test_what_pip_locked_moves_by_the_lines_of_the_package(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    text = by_pip(tmp_path, index, "api<2", "side")
    index.publish("side", "1.1")

    made = after({"pylock.toml": text}, "pylock.toml", move_to(index, "side", "1.1"), uv)

    changed = changed_lines(text, made)
    assert [line[2:].split(" = ")[0] for line in changed if line[0] == "+"] == ["version", "name", "url", "sha256"]
    assert len(changed) == 8


@pytest.mark.parametrize(("mark", "end"), [("", "\n"), ("\ufeff", "\r\n")])
def test_every_spelling_stays_as_it_is(index: SimpleIndex, uv: Uv, mark: str, end: str) -> None:
    text = mark + INLINE.format(url="https://index.example", digit=OLD).replace("\n", end)
    index.publish("side", "1.1", at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC))
    index.add("side", "side-1.1.tar.gz", b"a source distribution")

    made = after({"pylock.toml": text}, "pylock.toml", move_to(index, "side", "1.1"), uv)

    assert len(changed_lines(text, made)) == 6
    assert "version = '1.1'" in made
    assert "upload-time = 2026-02-03T04:05:06Z, hashes" in made
    assert made.count(OLD) == 1
    assert made.startswith(mark)
    assert made.count("\n") == made.count(end)


def test_a_release_that_has_no_file_in_the_place_of_another_is_refused(index: SimpleIndex, uv: Uv) -> None:
    text = INLINE.format(url="https://index.example", digit=OLD)
    index.publish("side", "1.1")

    with pytest.raises(LockRefused, match=r"no file like side-1\.0\.tar\.gz"):
        move({"pylock.toml": text}, "pylock.toml", move_to(index, "side", "1.1"), uv)


@pytest.mark.journey
def test_what_it_needs_has_to_be_locked(index: SimpleIndex, uv: Uv, tmp_path: Path) -> None:
    text = by_pip(tmp_path, index, "api<2", "side")
    index.publish("core", "2.0")

    with pytest.raises(LockRefused, match="core"):
        move({"pylock.toml": text}, "pylock.toml", move_to(index, "api", "2.0"), uv)
