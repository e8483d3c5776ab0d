"""Layers over each other show what a container would see."""

from pathlib import Path

import pytest

from workers.fleet.stack import stack


def make(root: Path, **entries: str | Path | None) -> Path:
    """A tree: texts are files, None is a directory, paths are links. In a name, `__` is a `/` and `wh_` a whiteout."""
    root.mkdir()
    for name, entry in entries.items():
        path = root / name.replace("__", "/").replace("wh_", ".wh.").replace("OPAQUE", ".wh..wh..opq")
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry is None:
            path.mkdir(exist_ok=True)
        elif isinstance(entry, Path):
            path.symlink_to(entry)
        else:
            path.write_text(entry)
    return root


def shown(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"→ {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(root))] = path.read_text()
    return found


@pytest.fixture
def release(tmp_path: Path) -> Path:
    made = tmp_path / "release"
    made.mkdir()
    return made


def test_upper_layers_hide_lower_ones_and_directories_are_merged(tmp_path: Path, release: Path) -> None:
    low = make(tmp_path / "low", a="low", d__x="low", d__y="low")
    high = make(tmp_path / "high", a="high", d__y="high", d__z="high")
    stack([low, high], release)
    assert shown(release) == {"a": "high", "d/x": "low", "d/y": "high", "d/z": "high"}
    assert shown(low) == {"a": "low", "d/x": "low", "d/y": "low"}


def test_a_whiteout_takes_away_what_is_below_and_nothing_of_its_own_layer(tmp_path: Path, release: Path) -> None:
    low = make(tmp_path / "low", gone="x", d__x="low", d__deep__y="low", kept="low")
    high = make(tmp_path / "high", wh_gone="", wh_d="", d__new="high", wh_never="")
    stack([low, high], release)
    assert shown(release) == {"d/new": "high", "kept": "low"}


def test_an_opaque_directory_shows_only_its_own_layer(tmp_path: Path, release: Path) -> None:
    low = make(tmp_path / "low", d__x="low", d__deep__y="low", e__x="low")
    high = make(tmp_path / "high", d__OPAQUE="", d__new="high", **{"d__wh_.wh.plnk": ""})
    stack([low, high], release)
    assert shown(release) == {"d/new": "high", "e/x": "low"}


def test_kinds_may_change_from_layer_to_layer(tmp_path: Path, release: Path) -> None:
    low = make(tmp_path / "low", a="file", b__x="in a directory", c=Path("b"), d=Path("nowhere"))
    high = make(tmp_path / "high", a__x="in a directory", b="file", c__x="in a directory", d="file")
    stack([low, high], release)
    assert shown(release) == {"a/x": "in a directory", "b": "file", "c/x": "in a directory", "d": "file"}


def test_no_link_of_a_lower_layer_leads_an_upper_one_out(tmp_path: Path, release: Path) -> None:
    outside = make(tmp_path / "outside", x="mine", y="mine")
    low = make(tmp_path / "low", door=outside)
    high = make(tmp_path / "high", door__x="theirs", door__wh_y="")
    stack([low, high], release)
    assert shown(outside) == {"x": "mine", "y": "mine"}
    assert shown(release) == {"door/x": "theirs"}
    again = tmp_path / "again"
    again.mkdir()
    stack([low, make(tmp_path / "white", wh_door="")], again)
    assert shown(again) == {}
    assert shown(outside) == {"x": "mine", "y": "mine"}


def test_files_cost_no_space_and_permissions_are_the_uppermost_ones(tmp_path: Path, release: Path) -> None:
    low, high = make(tmp_path / "low", d__x="x"), make(tmp_path / "high", d=None)
    low.chmod(0o755)
    high.chmod(0o755)
    (high / "d").chmod(0o750)
    stack([low, high], release)
    assert (release / "d/x").samefile(low / "d/x")
    assert (release / "d").stat().st_mode & 0o777 == 0o750
    assert release.stat().st_mode & 0o777 == 0o755
    (release / "d/new").write_text("written by the app")
    assert not (low / "d/new").exists()
