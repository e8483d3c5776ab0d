"""Pipfile.lock moves by real Pipenv at an index on loopback."""

import json
import os
import platform
import tomllib
from pathlib import Path

import pytest

from tests.rig.lock_tools import lock_tool
from tests.rig.sdist import sdist
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.world import after, behind_a_password, changed_lines, move, move_to, release
from watcher.requirement import Raise
from workers.propose.bench import Unsolved
from workers.propose.errors import LockRefused
from workers.propose.move import Move
from workers.propose.pipfile_lock import hash_of, in_the_way, rearranged
from workers.propose.uv import Uv

PIPFILE = """\
[[source]]
url = "{url}"
verify_ssl = false
name = "main"

[packages]
api = ">=1,<3" # why

[dev-packages]
side = "*"

[requires]
python_version = "{python}"

[pipenv]
use_default_constraints = false
"""
PYTHON = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture
def files(index: SimpleIndex, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A checkout with a Pipfile.lock as Pipenv wrote it on that day; then `side` 1.1 and `core` 2.0 came out."""
    monkeypatch.setenv("PATH", f"{lock_tool('pipenv')}{os.pathsep}{os.environ['PATH']}")

    def row(package: str, version: str, **more: str) -> dict[str, object]:
        hashes = [f"sha256:{file.hashes['sha256']}" for file in release(index, package, version).files]
        return {"hashes": hashes, **more, "version": f"=={version}"}

    pipfile = PIPFILE.format(url=index.url, python=PYTHON)
    lock = {
        "_meta": {
            "hash": {"sha256": hash_of(tomllib.loads(pipfile))},
            "pipfile-spec": 6,
            "requires": {"python_version": PYTHON},
            "sources": [{"name": "main", "url": index.url, "verify_ssl": False}],
        },
        "default": {"api": row("api", "1.1", index="main"), "core": row("core", "1.0")},
        "develop": {"side": row("side", "1.0", index="main")},
    }
    index.publish("core", "2.0")
    index.publish("side", "1.1")
    index.publish("side", "1.2")
    return {"Pipfile": pipfile, "Pipfile.lock": json.dumps(lock, indent=4, separators=(",", ": ")) + "\n"}


@pytest.mark.exhaustive
@pytest.mark.journey
def test_the_package_moves_to_the_version_that_is_asked_for_and_no_other_line_does(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    index.add("side", "side-1.1.tar.gz", b"a source distribution, which nobody unpacks")

    wish = move_to(index, "side", "1.1")

    made = after(files, "Pipfile.lock", wish, behind_a_password(index, uv))

    assert "s3cret" not in made

    changed = changed_lines(files["Pipfile.lock"], made)
    assert [line.split('"')[3] for line in changed if "version" in line] == ["==1.0", "==1.1"]
    assert len([line for line in changed if "sha256:" in line]) == 3
    assert len(changed) == 5


@pytest.mark.journey
def test_what_it_needs_moves_with_it_and_a_requirement_is_raised_as_the_policy_says(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    wish = Move(package="api", version="3.0", release=release(index, "api", "3.0"), requirement=Raise.WIDEN)

    with pytest.raises(LockRefused, match="asks for api >=1,<3"):
        move(files, "Pipfile.lock", move_to(index, "api", "3.0"), uv)
    made = move(files, "Pipfile.lock", wish, uv)

    assert [(c.after.package, c.after.version) for c in made.diff.changed] == [("api", "3.0"), ("core", "2.0")]
    assert [pin.package for pin in made.diff.added] == ["extra-thing"]
    assert changed_lines(files["Pipfile"], made.files["Pipfile"]) == [
        '- api = ">=1,<3" # why\n',
        '+ api = ">=1,<4" # why\n',
    ]
    assert json.loads(made.files["Pipfile.lock"])["develop"] == json.loads(files["Pipfile.lock"])["develop"]


def grown(files: dict[str, str], section: str, wish: str, rows: dict[str, object]) -> dict[str, str]:
    """The checkout, after a person asked for more in a section, and locked."""
    table = {"default": "[packages]", "develop": "[dev-packages]"}[section]
    pipfile = files["Pipfile"].replace(table, f"{table}\n{wish}")
    lock = json.loads(files["Pipfile.lock"])
    lock[section] = dict(sorted({**lock[section], **rows}.items()))
    lock["_meta"]["hash"]["sha256"] = hash_of(tomllib.loads(pipfile))
    return {"Pipfile": pipfile, "Pipfile.lock": json.dumps(lock, indent=4, separators=(",", ": ")) + "\n"}


@pytest.mark.exhaustive
@pytest.mark.journey
def test_sections_with_a_package_in_different_versions_keep_them(
    index: SimpleIndex, uv: Uv, files: dict[str, str]
) -> None:
    digest = release(index, "core", "2.0").files[0].hashes["sha256"]
    row = {"hashes": [f"sha256:{digest}"], "index": "main", "version": "==2.0"}
    files = grown(files, "develop", 'core = ">=2"', {"core": row})

    made = after(files, "Pipfile.lock", move_to(index, "side", "1.1"), uv)

    assert len(changed_lines(files["Pipfile.lock"], made)) == 4


@pytest.mark.journey
def test_what_is_locked_and_has_no_wheel_is_read_and_not_built(
    index: SimpleIndex, uv: Uv, files: dict[str, str], tmp_path: Path
) -> None:
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'built')!r}).touch(); raise SystemExit(1)"
    about = "Metadata-Version: 2.2\nName: old\nVersion: 1.0\nRequires-Dist: core\n"
    index.add("old", "old-1.0.tar.gz", sdist("old-1.0", {"setup.py": trap, "PKG-INFO": about}))
    digest = release(index, "old", "1.0").files[0].hashes["sha256"]
    row = {"hashes": [f"sha256:{digest}"], "index": "main", "version": "==1.0"}
    files = grown(files, "default", 'old = "*"', {"old": row})

    made = after(files, "Pipfile.lock", move_to(index, "side", "1.1"), uv)

    assert len(changed_lines(files["Pipfile.lock"], made)) == 4
    assert not (tmp_path / "built").exists()


@pytest.mark.journey
def test_a_lock_that_is_not_for_its_pipfile_is_told(index: SimpleIndex, uv: Uv, files: dict[str, str]) -> None:
    files["Pipfile"] = files["Pipfile"].replace("[dev-packages]", '[dev-packages]\ncore = "*"')

    with pytest.raises(LockRefused, match="out-of-date"):
        move(files, "Pipfile.lock", move_to(index, "side", "1.1"), uv)


def test_the_copy_has_the_whole_lock_as_its_packages() -> None:
    text = "[packages]\na = '*' # [packages]\n[ 'dev-packages'.b]\nversion = '*'\n[docs]\nc = '*'\n"

    assert rearranged(text, "Pipfile", {"a": "==1"}) == (
        "[toplayer-packages]\na = '*' # [packages]\n[ toplayer-dev-packages.b]\nversion = '*'\n"
        '[toplayer-docs]\nc = \'*\'\n\n[packages]\n"a" = "==1"\n'
    )


def test_a_pipfile_in_another_form_is_refused() -> None:
    with pytest.raises(Unsolved, match="form"):
        rearranged("packages = {a = '*'}\n", "Pipfile", {"a": "==1"})


def test_what_is_in_the_way_is_what_somebody_needs_in_another_version() -> None:
    said = """\
The conflict is caused by:
    api 2.0 depends on core>=2
    web 1.0 depends on core<4 and >=1
    The user requested (constraint) side==1.0
    job 1.0 depends on side[x]!=1.0; python_version > "3"
    job 1.0 depends on what is no requirement
"""

    assert in_the_way(said, {"core": "==1.0", "side": "==1.0", "web": "==1.0"}) == {"core", "side"}
    assert in_the_way(said, {"core": ">=1.0"}) == set()
