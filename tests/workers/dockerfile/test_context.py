"""What a build is given of a repository: its own files, and nothing of the machine that builds."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.store import FakeStore
from watcher.settings import ImageSettings
from workers.dockerfile.bases import Names
from workers.dockerfile.context import files_of, ignore_text, level, place
from workers.dockerfile.draft import Builder, draft
from workers.dockerfile.errors import BuildRefused
from workers.dockerfile.recipe import Recipe

NAMES = Names({}, lambda _: None)


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
        ({"site": "../machine"}, {"contexts": {"extra": "site/keys"}}),
    ],
)
def test_a_link_in_the_repository_leads_to_no_file_of_the_machine(
    tree: Path, links: dict[str, str], settings: dict[str, Any]
) -> None:
    for name, to in links.items():
        (tree / name).symlink_to(to)
    with pytest.raises(BuildRefused, match="leads out of the repository"):
        draft(recipe(tree, **settings), FakeStore(), NAMES, Builder())


def recipe(tree: Path, **settings: Any) -> Recipe:
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


def test_what_is_built_does_not_depend_on_the_umask_of_who_checked_it_out(tree: Path, tmp_path: Path) -> None:
    (tree / "app").mkdir(mode=0o700)
    for name, mode in (("app/main.py", 0o600), ("app/start", 0o700), ("app/shared", 0o664)):
        (tree / name).touch(mode=mode)
    (tree / "app/out").symlink_to(tmp_path / "machine/keys/id")
    (tmp_path / "machine/keys/id").chmod(0o600)
    level(tree)
    found = {name: (tree / name).stat().st_mode & 0o777 for name in ("app", "app/main.py", "app/start", "app/shared")}
    assert found == {"app": 0o755, "app/main.py": 0o644, "app/start": 0o755, "app/shared": 0o644}
    assert (tmp_path / "machine/keys/id").stat().st_mode & 0o777 == 0o600


def test_a_context_of_its_own_name_is_foreseen_as_the_other_one_is(tree: Path) -> None:
    (tree / "notes").mkdir()
    (tree / "notes/a.txt").write_text("a")
    (tree / "Dockerfile").write_text("FROM scratch\nCOPY --from=extra a.txt /\nFROM extra\nCOPY Dockerfile /\n")
    settings = {"contexts": {"extra": "notes"}}
    before = draft(recipe(tree, target="0", **settings), FakeStore(), NAMES, Builder()).graph
    whole = draft(recipe(tree, **settings), FakeStore(), NAMES, Builder()).graph
    (tree / "notes/a.txt").write_text("b")
    after = draft(recipe(tree, target="0", **settings), FakeStore(), NAMES, Builder()).graph
    assert [step.takes for step in after.steps] == [frozenset(), {"extra:a.txt"}]
    assert [old == new for old, new in zip(before.keys, after.keys, strict=True)] == [True, False]
    assert whole.keys != draft(recipe(tree, **settings), FakeStore(), NAMES, Builder()).graph.keys
