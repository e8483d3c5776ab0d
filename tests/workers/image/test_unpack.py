"""Archives from outside: what they say lands in one directory, or nothing does."""

import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.rig.image import Entry, File, Link, layer
from tests.rig.wheel import wheel
from workers.image.errors import BuildRefused
from workers.image.unpack import only_directory, unpack


def unpacked(tmp_path: Path, entries: dict[str, Entry]) -> Path:
    (tmp_path / "archive").write_bytes(layer(entries))
    into = tmp_path / "into"
    into.mkdir()
    unpack(tmp_path / "archive", into, "x.tar")
    return into


def test_files_directories_and_links_come_out(tmp_path: Path) -> None:
    entries: dict[str, Entry] = {
        "a/one": "1",
        "a/run": File(b"#!/bin/sh\n", 0o6711),
        "a/empty": None,
        "a/link": Link("one"),
        "a/hard": Link("a/one", hard=True),
        "./a/b/../two": "2",
    }

    root = unpacked(tmp_path, entries)

    assert {str(path.relative_to(root)) for path in root.rglob("*")} == {
        *("a", "a/one", "a/run", "a/empty", "a/link", "a/hard", "a/two")
    }
    assert (root / "a/link").readlink() == Path("one")
    assert (root / "a/hard").read_text() == "1"
    assert stat.S_IMODE((root / "a/run").stat().st_mode) == 0o755
    assert only_directory(root, "x.tar") == root / "a"


def device(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.CHRTYPE
    return info


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"../out": "x"}, "a path within the archive"),
        ({"a/../../out": "x"}, "a path within the archive"),
        ({"/etc/out": "x"}, "a path within the archive"),
        ({"a\\..\\out": "x"}, "a path within the archive"),
        ({"link": Link("../out")}, "leads out of the archive"),
        ({"link": Link("/etc")}, "leads out of the archive"),
        ({"a/link": Link("../../out")}, "leads out of the archive"),
        ({"a/b/c/up": Link("../../.."), "a/b/c/up/out": Link("../../../z")}, "a link to one"),
        ({"null": device("null")}, "a device or a pipe"),
    ],
)
def test_what_would_land_elsewhere_is_refused(tmp_path: Path, entries: dict[str, Entry], why: str) -> None:
    with pytest.raises(BuildRefused, match=why):
        unpacked(tmp_path, entries)

    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "into").rglob("out"))


def test_a_link_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefused, match="a directory for others"):
        unpacked(tmp_path, {"b/x": "1", "a": Link("b"), "a/y": "2"})


def test_a_zip_comes_out_with_its_links(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("a/one", "1")
        archive.writestr(link, "one")
    (tmp_path / "into").mkdir()

    unpack(tmp_path / "archive", tmp_path / "into", "x.zip")

    assert (tmp_path / "into/a/link").readlink() == Path("one")
    assert (tmp_path / "into/a/one").read_text() == "1"


def test_a_tar_whose_last_file_is_a_zip_is_a_tar(tmp_path: Path) -> None:
    root = unpacked(tmp_path, {"out/x-1.0-py3-none-any.whl": File(wheel("x", "1.0"))})

    with zipfile.ZipFile(root / "out/x-1.0-py3-none-any.whl") as archive:
        assert "x/__init__.py" in archive.namelist()


@pytest.mark.parametrize("data", [b"", b"nothing of the kind" * 100, layer({"a": "x" * 2000})[:700]])
def test_what_is_no_archive_or_not_whole_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "archive").write_bytes(data)

    with pytest.raises(BuildRefused, match=r"x\.tar"):
        unpack(tmp_path / "archive", tmp_path / "into", "x.tar")


def test_two_directories_at_the_top_are_no_source_distribution(tmp_path: Path) -> None:
    (tmp_path / "into" / "a").mkdir(parents=True)
    (tmp_path / "into" / "b").mkdir()

    with pytest.raises(BuildRefused, match="one directory at its top, got 2"):
        only_directory(tmp_path / "into", "x.tar")
