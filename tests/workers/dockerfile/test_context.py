"""What a build is given of a repository: its own files, and nothing of the machine that builds."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from watcher.settings import ImageSettings
from workers.dockerfile.build import Recipe, build
from workers.dockerfile.context import files_of, ignore_text, place
from workers.dockerfile.errors import BuildRefused


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "machine/keys").mkdir(parents=True)
    (tmp_path / "machine/keys/id").write_text("of the machine")
    (tmp_path / "machine/.dockerignore").write_text("*")
    (tmp_path / "machine/Dockerfile").write_text("FROM scratch\n")
    found = tmp_path / "tree"
    found.mkdir()
    (found / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    return found


@pytest.mark.parametrize(
    ("links", "settings"),
    [
        ({"site": "../machine"}, {"context": "site"}),
        ({"site": "../machine"}, {"context": "site/keys"}),
        ({"site": "/etc"}, {"context": "site"}),
        ({"build": "../machine"}, {"file": "build/Dockerfile"}),
        ({"Dockerfile.dockerignore": "../machine/.dockerignore"}, {}),
        ({".dockerignore": "../machine/.dockerignore"}, {}),
    ],
)
def test_a_link_in_the_repository_leads_to_no_file_of_the_machine(
    tree: Path, tmp_path: Path, links: dict[str, str], settings: dict[str, str]
) -> None:
    for name, to in links.items():
        (tree / name).symlink_to(to)
    with pytest.raises(BuildRefused, match="leads out of the repository"):
        build(recipe(tree, **settings), FakeStore(), {}, scratch=tmp_path / "scratch")


def recipe(tree: Path, **settings: str) -> Recipe:
    image = {"builder": "dockerfile", "repository": "r.example/shop", "python": "3.11", "dockerfile": settings}
    return Recipe(
        image=ImageSettings.model_validate(image),
        tree=tree,
        commit="1" * 40,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_link_within_the_repository_is_followed(tree: Path) -> None:
    (tree / "parts/site").mkdir(parents=True)
    (tree / "site").symlink_to("parts/site")
    assert place(tree, "site") == tree / "parts/site"
    (tree / "shared").write_text("*.log\n")
    (tree / ".dockerignore").symlink_to("shared")
    assert ignore_text(tree, ".", "Dockerfile") == "*.log\n"


def test_a_link_below_the_context_is_given_as_a_link(tree: Path, tmp_path: Path) -> None:
    (tree / "keys").symlink_to(tmp_path / "machine/keys")
    assert files_of(tree)["keys"] == f"link:{tmp_path}/machine/keys"
    assert "keys/id" not in files_of(tree)
