"""A requirement is raised in its manifest: the one constraint, and not a character more."""

from dataclasses import replace

import pytest

from watcher.release import File, Release
from watcher.requirement import Raise
from workers.propose.bench import Unsolved
from workers.propose.move import Move
from workers.propose.requirement_edit import raised_in, reach

MANIFEST = """\
[project]
name = "django-shop"  # django<5
dependencies = [
    'Django[argon2] >= 4, < 5 ; python_version > "3"',  # why\r
    "django-filter<5", "other>=1",
]

[dependency-groups]
dev = ["django<5"]

[tool.poetry.dependencies]
python = "^3.11"
django = "4.2" # exact

[tool.poetry.group.x.dependencies]
django = { version = "4.2", extras = ["argon2"] }

[project.scripts]
django = "1.0"
"""


HERE = {"python_version": "3.12", "python_full_version": "3.12.0", "sys_platform": "linux", "os_name": "posix"}


def move(how: Raise, version: str = "5.1") -> Move:
    return Move(package="django", version=version, release=Release(package="django", version=version), requirement=how)


def test_in_a_pyproject_every_requirement_moves_and_nothing_else() -> None:
    made = raised_in({"pyproject.toml": MANIFEST}, ["pyproject.toml"], [move(Raise.WIDEN)], HERE)

    wanted = MANIFEST.replace(">= 4, < 5 ;", ">= 4, < 6 ;").replace('"django<5"', '"django<6"')
    assert made == {"pyproject.toml": wanted.replace('"4.2"', '"5.1"')}


def test_in_a_requirements_file_spaces_comments_and_line_ends_stay() -> None:
    text = "\ufeff# django<5\r\nDjango[x]>=4,<5  # why\r\ndjango-filter<5\r\ndjango <5; python_version>'3'\r\n"

    made = raised_in({"requirements.in": text}, ["requirements.in", "gone.in"], [move(Raise.BUMP)], HERE)

    wanted = text.replace(">=4,<5  #", ">=5.1,<6  #").replace("django <5;", "django <6;")
    assert made == {"requirements.in": wanted}


def test_what_the_policy_keeps_is_named() -> None:
    with pytest.raises(Unsolved, match=r"requirements.in asks for django <5"):
        raised_in({"requirements.in": "django<5\n"}, ["requirements.in"], [move(Raise.KEEP)], HERE)


def test_what_admits_the_release_stays() -> None:
    assert raised_in({"requirements.in": "django<6\n"}, ["requirements.in"], [move(Raise.KEEP)], HERE) == {}


POETRY = """\
[tool.poetry.dependencies]
django-filter = "^4"
Django = { version = '^4.2', extras = ["argon2"] } # "^4.2"

[tool.poetry.group.dev.dependencies.django]
version = "~4.2"
python = "^3.11"

[tool.poetry.scripts]
django = "^4"
"""
PIPFILE = """\
[[source]]
django = "<5"

["packages"]
django = "<5"
'Django' = {extras = ["argon2"], version = ">=4,<5"}

[docs.django]
version = "==4.*"

[scripts]
django = "<5"
"""


@pytest.mark.parametrize(
    ("how", "caret", "tilde"), [(Raise.WIDEN, "^4.2 || ^5.1", "~4.2 || ~5.1"), (Raise.BUMP, "^5.1", "~5.1")]
)
def test_poetrys_own_spelling_is_raised_in_poetrys_own_tables(how: Raise, caret: str, tilde: str) -> None:
    for text in (POETRY, POETRY.replace("\n", "\r\n")):
        made = raised_in({"a/pyproject.toml": text}, ["a/pyproject.toml"], [move(how)], HERE)

        wanted = text.replace("'^4.2'", f"'{caret}'").replace('"~4.2"', f'"{tilde}"')
        assert made == {"a/pyproject.toml": wanted}


def test_in_a_pipfile_every_category_asks_for_packages() -> None:
    made = raised_in({"Pipfile": PIPFILE}, ["Pipfile"], [move(Raise.WIDEN)], HERE)

    before, mine = PIPFILE.split('["packages"]')
    mine, scripts = mine.split("[scripts]")
    mine = mine.replace('"<5"', '"<6"').replace(">=4,<5", ">=4,<6").replace("==4.*", "==5.*")
    assert made == {"Pipfile": f'{before}["packages"]{mine}[scripts]{scripts}'}


def test_what_poetry_admits_stays_as_it_is() -> None:
    text = '[tool.poetry.dependencies]\ndjango = "^3 || >=5"\n'

    assert raised_in({"pyproject.toml": text}, ["pyproject.toml"], [move(Raise.KEEP)], HERE) == {}
    with pytest.raises(Unsolved, match="asks for django ~4"):
        raised_in({"pyproject.toml": POETRY}, ["pyproject.toml"], [move(Raise.KEEP)], HERE)


@pytest.mark.parametrize(
    "row",
    [
        '[project]\ndependencies = [\n  # "django<5",\n  "other", # it\'s "django<5"\n]\n',
        '[build-system]\nrequires = ["django<5"]\n',
        '[project]\ndescription = "django<5"\nkeywords = ["django<5"]\n',
        '[project]\nreadme = """\n"django<5"\n"""\n',
        '[tool.poetry.scripts]\ndjango = "<5"\n["django<5"]\nx = ["django<5"]\n',
        "[project]\ndependencies = [\"django<5; python_version < '3.8'\"]\n",
        '[project]\ndependencies = ["django<5 ; sys_platform == \\"win32\\""]\n',
        '[tool.poetry.dependencies]\ndjango = [{ version = "^3", python = "<3.8" }, { version = "*" }]\n',
    ],
)
def test_what_asks_for_nothing_or_is_not_for_the_image_stays(row: str) -> None:
    assert raised_in({"pyproject.toml": row}, ["pyproject.toml"], [move(Raise.KEEP)], HERE) == {}


def test_of_several_requirements_the_one_for_the_image_moves() -> None:
    text = 'django<4; python_version < "3.8"\ndjango>=4,<5; python_version >= "3.8" # why\n'

    made = raised_in({"a.in": text}, ["a.in"], [move(Raise.WIDEN)], HERE)

    assert made == {"a.in": text.replace("<5;", "<6;")}


def test_a_pin_with_hashes_in_a_file_of_limits_gets_the_hashes_of_the_release() -> None:
    text = f"other==1\ndjango==4.2 --hash=sha256:{'a' * 64}  # why\n"
    file = File(filename="django-5.1.tar.gz", url="https://index.example/x", hashes={"sha256": "b" * 64})
    wish = replace(move(Raise.KEEP), release=Release(package="django", version="5.1", files=(file,)))

    made = raised_in({"limits.txt": text}, ["limits.txt"], [wish], HERE)

    assert made == {"limits.txt": text.replace("4.2", "5.1").replace("a" * 64, "b" * 64)}


def test_a_file_of_limits_that_is_a_lock_itself_is_moved_by_its_own_command() -> None:
    text = "# This file is autogenerated by pip-compile with Python 3.12\n# by the following command:\n#\n"
    text += "#    pip-compile base.in\n#\ndjango==4.2\n"

    with pytest.raises(Unsolved, match="is a lock of its own") as caught:
        raised_in({"base.txt": text}, ["base.txt"], [move(Raise.KEEP)], HERE)

    assert "in_step" in caught.value.hint


def test_only_what_the_command_reads_is_reached() -> None:
    files = {
        "a.in": "-c limits/b.txt\n-r c.in\n",
        "limits/b.txt": "-r d.txt\n",
        "c.in": "-r a.in\n",
        "pyproject.toml": "",
    }

    assert reach(files, ["a.in", "gone.in"]) == ("a.in", "limits/b.txt", "c.in")
