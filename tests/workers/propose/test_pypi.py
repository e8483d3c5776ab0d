"""Locks of real packages, moved on the real index. A handful of requests, most of them answered by uv's cache."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uv as uv_program

from tests.rig.process import lack
from tests.workers.propose.world import PROJECT, TARGET, changed_lines, checkout, move, write
from watcher.http import Http
from watcher.indexes.pypi import PyPI
from watcher.lookup import Lookup, Outcome
from watcher.settings import IndexSettings
from workers.process import environment
from workers.propose.errors import LockRefused
from workers.propose.move import Move
from workers.propose.uv import Uv

pytestmark = pytest.mark.journey

INDEX = IndexSettings(kind="pypi")


def asked(package: str, version: str) -> Move:
    now = datetime.now(UTC)
    with Http() as http:
        (found,) = PyPI(INDEX).look_up([Lookup(index="pypi", package=package)], http, now)
    if found.outcome is not Outcome.ANSWER:
        lack(f"the public index of Python packages does not answer: {found.reason}")
    release = next(release for release in found.releases if release.version == version)
    return Move(package=package, version=version, release=release)


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    return Uv(tmp_path / "state", INDEX, TARGET)


def run(directory: Path, uv: Uv, *words: str) -> None:
    env = environment(directory, UV_CACHE_DIR=str(uv.state / "uv"), UV_PYTHON_DOWNLOADS="never")
    done = subprocess.run([uv_program.find_uv_bin(), *words], cwd=directory, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_requests_moves_alone_in_a_uv_lock(uv: Uv, tmp_path: Path) -> None:
    wish = asked("requests", "2.32.3")
    desk = tmp_path / "desk"
    write(desk, {"pyproject.toml": PROJECT.format('"requests>=2.31", "rich<14"')})
    run(desk, uv, "lock", "-P", "requests==2.31.0")
    files = checkout(desk)

    made = move(files, "uv.lock", wish, uv)

    assert [(c.after.package, c.after.version) for c in made.diff.changed] == [("requests", "2.32.3")]
    assert not made.diff.added
    assert not made.diff.removed
    assert len(changed_lines(files["uv.lock"], made.files["uv.lock"])) == 6
    write(desk, made.files)
    run(desk, uv, "lock", "--check")


def test_requests_moves_alone_in_a_file_with_hashes_and_installs(uv: Uv, tmp_path: Path) -> None:
    wish = asked("requests", "2.32.3")
    desk = tmp_path / "desk"
    write(desk, {"requirements.in": "requests==2.31.0\n"})
    options = ("--generate-hashes", "--no-header", *uv.for_target)
    run(desk, uv, "pip", "compile", "requirements.in", "-o", "requirements.txt", "-q", *options)
    files = {"requirements.txt": (desk / "requirements.txt").read_text()}

    made = move(files, "requirements.txt", wish, uv)

    changed = changed_lines(files["requirements.txt"], made.files["requirements.txt"])
    assert [line for line in changed if "==" in line] == ["- requests==2.31.0 \\\n", "+ requests==2.32.3 \\\n"]
    assert len(changed) == 6
    write(desk, made.files)
    run(desk, uv, "pip", "install", "--require-hashes", "-r", "requirements.txt", "--target", "out", *uv.for_target)
    assert '__version__ = "2.32.3"' in (desk / "out" / "requests" / "__version__.py").read_text()


def test_requests_moves_in_a_compiled_file_and_takes_only_what_it_needs(uv: Uv, tmp_path: Path) -> None:
    wish = asked("urllib3", "2.2.3")
    desk = tmp_path / "desk"
    write(desk, {"requirements.in": "requests\nurllib3==1.26.18\n"})
    run(desk, uv, "pip", "compile", "requirements.in", "-o", "requirements.txt", "-q", "-P", "requests==2.31.0")
    write(desk, {"requirements.in": "requests\nurllib3\n"})
    files = checkout(desk)

    made = move(files, "requirements.txt", wish, uv)

    changed = changed_lines(files["requirements.txt"], made.files["requirements.txt"])
    assert changed == ["- urllib3==1.26.18\n", "+ urllib3==2.2.3\n"]


def test_urllib3_is_blocked_by_botocore(uv: Uv) -> None:
    files = {"requirements.txt": "botocore==1.34.0\nurllib3==2.0.7\njmespath==1.0.1\npython-dateutil==2.9.0.post0\n"}

    with pytest.raises(LockRefused, match=r"botocore==1\.34\.0 depends on urllib3"):
        move(files, "requirements.txt", asked("urllib3", "2.2.3"), uv)
