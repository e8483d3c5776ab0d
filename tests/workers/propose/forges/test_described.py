"""The addresses that the forges of the tests answer at are those of the forges' own descriptions, verb and all.

What is sent there, and what comes back, the servers check at every request.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import githubkit_schemas.v2022_11_28.rest as github_rest
import pyforgejo
import pytest

from tests.rig.forges import gitea, github
from tests.rig.forges.server import PROJECT

_GITHUB = re.compile(r'\n        url = f?"([^"]+)"\n(?:(?!\n        url = ).)*?\.request\(\s*"([A-Z]+)"', re.DOTALL)
_FORGEJO = re.compile(r'\n            f?"([a-z][^"]*)",\s*method="([A-Z]+)"')


def described(pattern: re.Pattern[str], files: Iterable[Path]) -> set[str]:
    """Every `VERB /path/{}` in clients that are made from a description."""
    found = (row for file in files for row in pattern.findall(file.read_text(encoding="utf-8")))
    return {f"{verb} /{re.sub(r'{[^}]*}', '{}', path).lstrip('/')}" for path, verb in found}


def of_github() -> set[str]:
    directory = Path(github_rest.__path__[0])
    return described(_GITHUB, (directory / f"{name}.py" for name in ("apps", "checks", "issues", "pulls", "repos")))


def of_forgejo() -> set[str]:
    return described(_FORGEJO, Path(pyforgejo.__path__[0]).glob("*/raw_client.py"))


@pytest.mark.parametrize(("table", "known"), [(github.TABLE, of_github), (gitea.TABLE, of_forgejo)])
def test_every_address_is_one_that_the_forge_has_published(
    table: Mapping[str, object], known: Callable[[], set[str]]
) -> None:
    rows = {row.replace(PROJECT, "{}/{}").replace("{*}", "{}") for row in table} - {"POST /graphql"}
    assert rows <= known()
