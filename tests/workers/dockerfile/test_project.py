"""A Dockerfile's project as git and the disk have it, and the command that advises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.dockerfiles import CONTEXT, sample, write
from tests.rig.process import need
from workers.dockerfile.project import project

ROOT = Path(__file__).parents[3]
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.example", "GIT_COMMITTER_NAME": "a"}
WHO |= {"GIT_COMMITTER_EMAIL": "a@b.example"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    need("git")
    root = tmp_path / "shop"
    write({path: content for path, content in CONTEXT.items() if path.startswith(("php/", "python/"))}, root)
    (root / "Dockerfile").write_text(sample("02").text)
    git(root, "init", "-q", ".")
    commit(root)
    for _ in range(6):
        grow(root / "php/src/composer.lock")
        commit(root)
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True, env=os.environ | WHO, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "more")


def grow(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


def lint(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "workers.main", "lint", *words]
    return subprocess.run(argv, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def test_the_history_is_what_each_commit_changed_within_the_context(shop: Path) -> None:
    (shop / ".dockerignore").write_text("python\n.git\n")
    found = project(shop / "Dockerfile", shop, 30)
    assert found.history[:6] == (frozenset({"php/src/composer.lock"}),) * 6
    assert "python/src/requirements.txt" not in found.files
    assert "python/src/requirements.txt" not in found.history[6]
    inside = project(shop / "Dockerfile", shop / "php", 30)
    assert inside.history[0] == frozenset({"src/composer.lock"})


def test_without_a_repository_there_is_no_history(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    assert project(tmp_path / "Dockerfile", tmp_path, 30).history == ()


def test_lint_shows_a_diff_and_fix_writes_it(shop: Path) -> None:
    shown = lint(shop)
    assert shown.returncode == 1
    assert "Dockerfile:4" in shown.stdout
    assert "+FROM worker-base:1 AS composer" in shown.stdout
    assert "Traceback" not in shown.stderr

    assert lint(shop, "--fix").returncode == 0
    assert "--no-autoloader" in (shop / "Dockerfile").read_text()
    assert {one["code"] for one in json.loads(lint(shop, "--json").stdout)["findings"]} == {"TL008"}


def test_json_and_sarif_have_the_same_findings(shop: Path) -> None:
    rows = json.loads(lint(shop, "--json").stdout)["findings"]
    sarif = json.loads(lint(shop, "--sarif").stdout)
    results = sarif["runs"][0]["results"]
    assert sarif["version"] == "2.1.0"
    assert [row["code"] for row in rows] == [result["ruleId"] for result in results]
    assert all(row["bytes_per_host_and_month"] is not None for row in rows if row["code"] == "TL002")


@pytest.mark.parametrize(
    ("text", "said", "code"),
    [(None, "there is no file", 2), ("BAKE\n", "Dockerfile:1: expected an instruction, got BAKE", 1)],
)
def test_what_is_no_dockerfile_is_told_as_one(tmp_path: Path, text: str | None, said: str, code: int) -> None:
    if text:
        (tmp_path / "Dockerfile").write_text(text)
    ran = lint(tmp_path)
    assert (ran.returncode, said in ran.stderr) == (code, True)
