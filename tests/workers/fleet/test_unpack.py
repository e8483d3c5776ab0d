"""A layer unpacks into its directory and nowhere else, whatever it says."""

import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.rig.image import Entry, File, Link, layer
from watcher.image import DiffID
from workers.fleet.unpack import FREE, MAX_DEPTH, unpack
from workers.oci.manifest import OCI_LAYER_GZIP, Descriptor, ImageUnreadable, digest_of

TAR = "application/vnd.oci.image.layer.v1.tar"


def unpacked(into: Path, tar: bytes, *, media_type: str = OCI_LAYER_GZIP, diff_id: DiffID | None = None) -> Path:
    blob = gzip.compress(tar, mtime=0) if media_type.endswith("gzip") else tar
    described = Descriptor(media_type=media_type, digest=digest_of(blob), size=len(blob))
    into.mkdir(exist_ok=True)
    unpack(io.BytesIO(blob), described, diff_id or DiffID(digest_of(tar)), into, "registry.example/shop")
    return into


def special(name: str, kind: bytes, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def test_files_directories_and_links_are_as_the_layer_has_them(tmp_path: Path) -> None:
    tar = layer(
        {
            "./": None,
            "opt/venv/bin/python": Link("/usr/bin/python3"),
            "opt/venv/bin/tool": File(b"#!/bin/sh\n", 0o755),
            "opt/venv/bin/same": Link("opt/venv/bin/tool", hard=True),
            "app/naïve file": "text",
            "app/.wh.gone": b"",
        }
    )
    root = unpacked(tmp_path / "layer", tar)
    assert (root / "opt/venv/bin/python").readlink() == Path("/usr/bin/python3")
    assert os.access(root / "opt/venv/bin/tool", os.X_OK)
    assert (root / "opt/venv/bin/same").samefile(root / "opt/venv/bin/tool")
    assert (root / "app/naïve file").read_text() == "text"
    assert (root / "app/.wh.gone").exists()


@pytest.mark.parametrize("media_type", [TAR, OCI_LAYER_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip"])
def test_layers_come_plain_or_compressed_by_gzip(tmp_path: Path, media_type: str) -> None:
    assert (unpacked(tmp_path / "layer", layer({"a": "1"}), media_type=media_type) / "a").read_text() == "1"


def test_a_layer_compressed_by_zstd_is_refused_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match=r"media type tar or tar\+gzip, got .*zstd"):
        unpacked(tmp_path / "layer", b"", media_type="application/vnd.oci.image.layer.v1.tar+zstd")


HOSTILE: dict[str, dict[str, Entry]] = {
    "a path with dots": {"../escaped": "x"},
    "dots further in": {"a/../../escaped": "x"},
    "an absolute path": {"/tmp/escaped": "x"},
    "a directory outside": {"../escaped": None},
    "a way through a link": {"door": Link("/tmp"), "door/escaped": "x"},
    "a way through a link that goes up": {"door": Link(".."), "door/escaped": "x"},
    "a directory behind a link": {"door": Link("/tmp"), "door/escaped/": None},
    "a hard link to the outside": {"passwd": Link("/etc/passwd", hard=True)},
    "a hard link upwards": {"passwd": Link("../../../../../etc/passwd", hard=True)},
    "a hard link through a link": {"door": Link("/etc"), "passwd": Link("door/passwd", hard=True)},
    "a hard link to what is not there": {"a": Link("b", hard=True)},
    "a character device": {"null": special("null", tarfile.CHRTYPE, devmajor=1, devminor=3)},
    "a block device": {"disk": special("disk", tarfile.BLKTYPE, devmajor=8, devminor=0)},
    "a pipe": {"pipe": special("pipe", tarfile.FIFOTYPE)},
    "a whiteout of the directory above": {"a/.wh...": b""},
    "a whiteout of nothing": {".wh.": b""},
    "a file where a directory was": {"a/b": "x", "a": "y"},
    "a tower of directories": {"/".join("d" * (MAX_DEPTH + 1)): "x"},
}


@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_layer_is_refused_by_name_and_reaches_nothing(tmp_path: Path, entries: dict[str, Entry]) -> None:
    before = Path("/etc/passwd").stat().st_nlink
    with pytest.raises(ImageUnreadable, match=r"registry.example/shop: layer [0-9a-f]{12}: entry '"):
        unpacked(tmp_path / "layer", layer(entries))
    assert list(tmp_path.iterdir()) == [tmp_path / "layer"]
    assert not Path("/tmp/escaped").exists()
    assert Path("/etc/passwd").stat().st_nlink == before


def test_nothing_gets_the_rights_of_its_owner(tmp_path: Path) -> None:
    root = unpacked(tmp_path / "layer", layer({"su": File(b"x", 0o6755), "d/su": File(b"x", 0o4711)}))
    for path in (root / "su", root / "d/su"):
        assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_a_name_that_comes_twice_is_the_later_one_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    tar = layer({"a": Link(str(outside)), "b": "first"})[:-1024]
    # Two tars behind each other without the end of the first: what `tar --append` makes.
    tar = tar[: tar.rindex(b"first") + 512 - tar.rindex(b"first") % 512] + layer({"a": "second", "b": "second"})
    root = unpacked(tmp_path / "layer", tar)
    assert (root / "a").read_text() == (root / "b").read_text() == "second"
    assert outside.read_text() == "mine"


def test_a_bomb_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match=r"at most \d+ bytes unpacked, got more"):
        unpacked(tmp_path / "layer", layer({"zeros": bytes(2 * FREE)}))
    assert (tmp_path / "layer/zeros").stat().st_size < 1.5 * FREE


def test_a_sparse_file_counts_with_all_its_holes(tmp_path: Path) -> None:
    info = special("holes", tarfile.REGTYPE, size=0)
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": f"{1 << 40},0",
        "GNU.sparse.size": str(1 << 40),
    }
    with pytest.raises(ImageUnreadable, match=r"entry 'holes': expected at most \d+ bytes unpacked"):
        unpacked(tmp_path / "layer", layer({"holes": info}))


@pytest.mark.parametrize(
    "tar",
    [b"", b"not a tar at all" * 100, layer({"a": bytes(5000)})[:2000], layer({"a": "1"})[:300]],
    ids=["empty", "text", "cut in a file", "cut in a head"],
)
def test_what_is_no_tar_is_refused(tmp_path: Path, tar: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        unpacked(tmp_path / "layer", tar)


def test_a_damaged_compression_is_refused(tmp_path: Path) -> None:
    blob = gzip.compress(layer({"a": os.urandom(5000)}), mtime=0)[:-900]
    described = Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(blob), size=len(blob))
    (tmp_path / "layer").mkdir()
    with pytest.raises(ImageUnreadable):
        unpack(io.BytesIO(blob), described, DiffID(digest_of(b"")), tmp_path / "layer", "somewhere")


def test_a_tar_other_than_the_configuration_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match="a tar with the hash"):
        unpacked(tmp_path / "layer", layer({"a": "1"}), diff_id=DiffID(digest_of(layer({"a": "2"}))))


def test_odd_times_and_permissions_do_no_harm(tmp_path: Path) -> None:
    future = special("future", tarfile.REGTYPE, mtime=2**40)
    closed = special("closed", tarfile.DIRTYPE, mode=0)
    root = unpacked(tmp_path / "layer", layer({"future": future, "closed": closed, "closed/a": "1"}))
    assert (root / "future").stat().st_mtime == 0
    assert (root / "closed/a").read_text() == "1"
