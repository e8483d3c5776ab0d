"""A requirement is raised in its manifest: the one constraint, and not a character more."""

import pytest

from watcher.release import Release
from watcher.requirement import Raise
from workers.propose.bench import Unsolved
from workers.propose.move import Move
from workers.propose.requirement_edit import raised_in

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


def move(how: Raise, version: str = "5.1") -> Move:
    return Move(package="django", version=version, release=Release(package="django", version=version), requirement=how)


def test_in_a_pyproject_every_requirement_moves_and_nothing_else() -> None:
    made = raised_in({"pyproject.toml": MANIFEST}, ["pyproject.toml"], [move(Raise.WIDEN)])

    wanted = MANIFEST.replace(">= 4, < 5 ;", ">= 4, < 6 ;").replace('"django<5"', '"django<6"')
    assert made == {"pyproject.toml": wanted.replace('"4.2"', '"5.1"')}


def test_in_a_requirements_file_spaces_comments_and_line_ends_stay() -> None:
    text = "\ufeff# django<5\r\nDjango[x]>=4,<5  # why\r\ndjango-filter<5\r\ndjango <5; python_version>'3'\r\n"

    made = raised_in({"requirements.in": text}, ["requirements.in", "gone.in"], [move(Raise.BUMP)])

    wanted = text.replace(">=4,<5  #", ">=5.1,<6  #").replace("django <5;", "django <6;")
    assert made == {"requirements.in": wanted}


def test_what_the_policy_keeps_is_named() -> None:
    with pytest.raises(Unsolved, match=r"requirements.in asks for django <5"):
        raised_in({"requirements.in": "django<5\n"}, ["requirements.in"], [move(Raise.KEEP)])


def test_what_admits_the_release_stays() -> None:
    assert raised_in({"requirements.in": "django<6\n"}, ["requirements.in"], [move(Raise.KEEP)]) == {}
