"""The same entries are the same bytes, and engines can unpack them."""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from workers.image.entry import Entry, tree, with_parents
from workers.image.errors import BuildRefused
from workers.image.layer import Layer, write_layer

ENTRIES = (
    Entry("opt/venv/bin/tool", b"#!/bin/sh\n", executable=True),
    Entry("opt/venv/bin/python", link="/usr/local/bin/python3"),
    Entry("opt/venv/lib/x.py", b"x = 1\n"),
    Entry("opt/empty"),
)


def members(layer: Layer) -> list[tarfile.TarInfo]:
    with tarfile.open(layer.path, "r:gz", encoding="utf-8", errors="surrogateescape") as tar:
        return tar.getmembers()


def names(layer: Layer) -> list[str]:
    return [member.name for member in members(layer)]


def test_a_layer_is_the_same_on_every_machine(tmp_path: Path) -> None:
    layer = write_layer(ENTRIES, tmp_path / "layer")

    # If this changes, every host of every fleet downloads every layer again: raise `component.FORMAT`, and mean it.
    assert layer.diff_id == "sha256:614de789aa3634711a688ec452dbcab407c8f17ab9218b18a326a97294bf1683"
    assert layer.digest == "sha256:ab76d7d9abfc5b743c491760bbf82f3e5090298c0fe46c36091790c5afba395b"
    assert layer.path.read_bytes()[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", "no time, no name, no system"


def test_a_layer_is_what_its_hashes_say(tmp_path: Path) -> None:
    layer = write_layer(ENTRIES, tmp_path / "layer")

    raw = layer.path.read_bytes()
    assert layer.digest.hex == hashlib.sha256(raw).hexdigest()
    assert layer.diff_id.hex == hashlib.sha256(gzip.decompress(raw)).hexdigest()
    assert layer.size == len(raw)


def test_entries_are_sorted_owned_by_root_and_without_a_time(tmp_path: Path) -> None:
    found = members(write_layer(reversed(ENTRIES), tmp_path / "layer"))

    assert [member.name for member in found] == sorted(member.name for member in found)
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, tuple(m.pax_headers)) for m in found} == {(0, 0, "", "", 0, ())}


def test_the_directories_above_are_in_the_layer_with_the_mode_that_every_layer_gives_them(tmp_path: Path) -> None:
    found = {m.name: m for m in members(write_layer([Entry("tmp/a/b", b""), Entry("root/c", b"")], tmp_path / "layer"))}

    assert list(found) == ["root", "root/c", "tmp", "tmp/a", "tmp/a/b"]
    assert (found["root"].mode, found["tmp"].mode, found["tmp/a"].mode) == (0o700, 0o1777, 0o755)


def test_permissions_are_those_of_a_program_or_of_a_file(tmp_path: Path) -> None:
    for name, mode in (("a", 0o600), ("b", 0o4755), ("c", 0o700), ("d", 0o666)):
        (tmp_path / "tree").mkdir(exist_ok=True)
        (tmp_path / "tree" / name).touch()
        (tmp_path / "tree" / name).chmod(mode)

    found = members(write_layer(tree(tmp_path / "tree", ""), tmp_path / "layer"))

    assert {member.name: member.mode for member in found} == {"a": 0o644, "b": 0o755, "c": 0o755, "d": 0o644}


def test_directory_day_umask_and_locale_have_no_say(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from workers.image.entry import tree; from workers.image.layer import write_layer\n"
        "root = Path(sys.argv[1]); os.umask(int(sys.argv[2], 8))\n"
        "(root / 't/ä/ü').mkdir(parents=True); (root / 't/ä/ü/z').write_text('z'); (root / 't/B').write_text('b')\n"
        "(root / 't/a').write_text('a'); (root / 't/a').chmod(0o700); (root / 't/l').symlink_to('a')\n"
        "os.utime(root / 't/a', (int(sys.argv[3]), 0))\n"
        "print(write_layer(tree(root / 't', 'app'), root / 'layer').digest)"
    )
    digests = set()
    for number, (umask, when, locale) in enumerate((("000", "1", "C"), ("077", "999999999", "C.UTF-8"))):
        (tmp_path / str(number) / "deeper").mkdir(parents=True)
        argv = [sys.executable, "-c", script, str(tmp_path / str(number) / "deeper"), umask, when]
        env = {"LC_ALL": locale, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUTF8": "1", "TZ": f"X{number}"}
        digests.add(subprocess.run(argv, env=env, capture_output=True, check=True, text=True).stdout)

    assert len(digests) == 1


def test_long_names_and_names_of_any_bytes_come_back(tmp_path: Path) -> None:
    long, foreign = "d/" + "/".join(["x" * 90] * 5), os.fsdecode(b"d/caf\xe9")
    target = "y" * 300

    layer = write_layer([Entry(long, b"1"), Entry(foreign, b"2"), Entry("l", link=target)], tmp_path / "layer")

    assert {long, foreign} <= set(names(layer))
    assert next(member for member in members(layer) if member.name == "l").linkname == target
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzf", str(layer.path), "-C", str(tmp_path / "out")], check=True)
    assert (tmp_path / "out" / foreign).read_bytes() == b"2"


def test_a_hard_link_is_two_files(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("same")
    (tmp_path / "tree" / "b").hardlink_to(tmp_path / "tree" / "a")

    found = members(write_layer(tree(tmp_path / "tree", ""), tmp_path / "layer"))

    assert [(member.isreg(), member.size) for member in found] == [(True, 4), (True, 4)]


def test_a_named_pipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree" / "pipe")

    with pytest.raises(BuildRefused, match=r"^pipe: expected a file, a directory or a symbolic link, got a named pipe"):
        list(tree(tmp_path / "tree", ""))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "..", "../a/../../b"])
def test_a_symbolic_link_out_of_the_tree_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "tree" / "d").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(target)

    with pytest.raises(BuildRefused, match="leads out of the tree"):
        list(tree(tmp_path / "tree", ""))


@pytest.mark.parametrize("target", ["x", "../x", "./d", "..x", "nowhere", "../d/../x"])
def test_a_symbolic_link_within_the_tree_is_kept(tmp_path: Path, target: str) -> None:
    (tmp_path / "tree" / "d").mkdir(parents=True)
    (tmp_path / "tree" / "d" / "link").symlink_to(target)

    found = {entry.path: entry for entry in tree(tmp_path / "tree", "app")}

    assert found["app/d/link"].link in (target, target.removeprefix("./"))


def test_of_two_entries_the_later_one_counts() -> None:
    assert with_parents([Entry("a", b"1"), Entry("a", b"2")]) == [Entry("a", b"2")]


@pytest.mark.parametrize("entries", [(Entry("a", b""), Entry("a/b", b"")), (Entry("a/b", b""), Entry("a", b""))])
def test_a_file_in_the_place_of_a_directory_is_refused(entries: tuple[Entry, ...]) -> None:
    with pytest.raises(BuildRefused):
        with_parents(entries)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["sh", "-c", f"echo more > '{tmp_path}/pipe'"])
    try:
        with pytest.raises(BuildRefused, match="it changed while it was read"):
            write_layer([Entry("a", tmp_path / "pipe")], tmp_path / "layer")
    finally:
        writer.wait(10)


def test_memory_does_not_grow_with_the_layer(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(200_000_000)
    tracemalloc.start()

    write_layer([Entry(f"f/{n}", tmp_path / "large") for n in range(2)], tmp_path / "layer")

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_names_that_differ_in_case_alone_are_two_files(tmp_path: Path) -> None:
    entries = [Entry("app/Readme", b"one"), Entry("app/README", b"two")]

    made = write_layer(entries, tmp_path / "layer")

    with tarfile.open(made.path) as archive:
        assert {"app/Readme", "app/README"} <= set(archive.getnames())


@pytest.mark.parametrize("path", [f"app/{'é' * 128}", f"app/{'x' * 256}/y", "/".join(["d" * 200] * 21)])
def test_a_name_that_no_host_can_hold_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(BuildRefused, match="bytes"):
        write_layer([Entry(path, b"")], tmp_path / "layer")
