"""Archives from outside: what they say lands in one directory, or nothing does."""

import contextlib
import gzip
import io
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rig.image import Entry, File, Link, layer
from tests.rig.mutated import mutated
from tests.rig.wheel import wheel
from workers.image.errors import BuildRefused
from workers.image.unpack import emptied, only_directory, small_text, unpack


def unpacked(tmp_path: Path, entries: dict[str, Entry]) -> Path:
    (tmp_path / "archive").write_bytes(layer(entries))
    into = tmp_path / "into"
    into.mkdir()
    unpack(tmp_path / "archive", into, "x.tar")
    return into


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/one", "1" * 500)
        archive.writestr("a/é", "2")
    return out.getvalue()


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


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_of_many_megabytes_is_refused_before_it_is_read(tmp_path: Path, kind: bytes) -> None:
    head = tarfile.TarInfo("x")
    head.type, head.size = kind, 50_000_000
    data = gzip.compress(head.tobuf(tarfile.GNU_FORMAT) + bytes(50_000_000))
    (tmp_path / "archive").write_bytes(data)
    tracemalloc.start()

    with pytest.raises(BuildRefused, match="longer than all that anybody writes"):
        unpack(tmp_path / "archive", tmp_path / "into", "x.tar.gz")

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_name_that_no_disk_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefused, match="File name too long"):
        unpacked(tmp_path, {"x" * 300: "1"})


def test_a_file_that_nobody_has_written_is_not_taken_into_memory(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(bytes(2_000_000))

    with pytest.raises(BuildRefused, match=r"x: pyproject\.toml: it has more than 1048576 bytes"):
        small_text(tmp_path / "pyproject.toml", "x: pyproject.toml")


@pytest.mark.parametrize("data", [layer({"a/one": "1", "é" * 80: "2", "a/hard": Link("a/one", hard=True)}), zipped()])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_whatever_an_archive_is_it_is_unpacked_or_refused(tmp_path: Path, data: bytes, choice: st.DataObject) -> None:
    (tmp_path / "archive").write_bytes(choice.draw(mutated(data)))
    into = emptied(tmp_path / "into")

    with contextlib.suppress(BuildRefused):
        unpack(tmp_path / "archive", into, "x")

    assert {path.name for path in tmp_path.iterdir()} == {"archive", "into"}
