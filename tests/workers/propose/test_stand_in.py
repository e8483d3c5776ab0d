"""What a source says of its needs without being built."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.workers.propose.world import write
from workers.propose.stand_in import answer, metadata

OLD = "Metadata-Version: 2.1\nName: old\nVersion: 1.0\n"
NEW = "Metadata-Version: 2.2\nName: new\nVersion: 1.0\nRequires-Dist: core>=1\n"
NOTES = "core>=1\n\n[:python_version < '3']\nback ; os_name == 'posix'\n\n[x:sys_platform == 'linux']\nmore\n[y]\n"


@pytest.mark.parametrize(
    ("files", "needs"),
    [
        ({"PKG-INFO": f"{NEW}\nA description\n"}, ["core>=1"]),
        ({"PKG-INFO": OLD.replace("2.1", "1.0")}, []),
        (
            {"PKG-INFO": f"{OLD}\nRequires-Dist: no\n", "src/old.egg-info/requires.txt": NOTES},
            [
                "core>=1",
                "back ; (os_name == 'posix') and (python_version < '3')",
                "more ; (sys_platform == 'linux') and extra == \"x\"",
            ],
        ),
        (
            {
                "pyproject.toml": '[project]\nname = "git"\ndynamic = ["version"]\nrequires-python = ">=3.9"\n'
                'dependencies = ["core"]\n[project.optional-dependencies]\nx = ["more; os_name == \'posix\'"]\n'
            },
            ["core", "more ; (os_name == 'posix') and extra == \"x\""],
        ),
    ],
)
def test_a_source_that_says_what_it_needs_is_believed(
    tmp_path: Path, files: Mapping[str, str], needs: list[str]
) -> None:
    write(tmp_path, files)

    said = metadata(tmp_path).split("\n\n")[0].splitlines()

    assert [line.removeprefix("Requires-Dist: ") for line in said if line.startswith("Requires-Dist")] == needs
    assert all(any(line.startswith(f"{name}: ") for line in said) for name in ("Metadata-Version", "Name", "Version"))


@pytest.mark.parametrize(
    "files",
    [
        {"PKG-INFO": NEW + "Dynamic: requires-dist\n"},
        {"setup.py": ""},
        {"pyproject.toml": '[project]\nname = "git"\nversion = "1"\ndynamic = ["dependencies"]\n'},
        {"pyproject.toml": "= ="},
    ],
)
def test_one_that_leaves_it_to_its_build_is_not_built(tmp_path: Path, files: Mapping[str, str]) -> None:
    write(tmp_path, files)

    with pytest.raises(LookupError, match="leaves to its build what it needs"):
        answer("prepare_metadata_for_build_wheel", tmp_path)


def test_nothing_else_is_answered(tmp_path: Path) -> None:
    write(tmp_path, {"PKG-INFO": NEW})

    assert answer("get_requires_for_build_wheel", tmp_path) == []
    for hook in ("build_wheel", "build_editable", "build_sdist"):
        with pytest.raises(LookupError):
            answer(hook, tmp_path)
