"""Patches: what has changed, what is gone, and what belongs to others."""

import io
from pathlib import Path

import pytest

from tests.rig.image import layer as packed
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.layer import write_layer
from workers.image.packing import Packing
from workers.image.patch import below, changes, contents, touched
from workers.image.places import collide
from workers.oci.manifest import OCI_LAYER_GZIP, Descriptor, digest_of

SITE = "opt/venv/lib/python3.12/site-packages"
ODD = "caf\udce9"


def held(entries: list[Entry], path: Path, packing: Packing = Packing.GZIP) -> dict[str, tuple[int, str, str]]:
    made = write_layer(entries, path, packing)
    with path.open("rb") as blob:
        return contents(blob, made.descriptor())


def over(before: list[Entry], after: list[Entry], path: Path, *others: str) -> dict[str, bytes | None]:
    """What the patch holds: path → content."""
    return {
        one.path: one.content if isinstance(one.content, bytes) else None
        for one in changes(held(before, path / "layer"), after, others)
    }


@pytest.mark.parametrize("packing", list(Packing))
def test_what_a_layer_holds_is_read_whichever_way_it_is_packed(tmp_path: Path, packing: Packing) -> None:
    entries = [Entry("a/file", b"x" * 9_000_000), Entry("a/link", link="file"), Entry("a/run", b"", executable=True)]
    entries += [Entry(f"{'long/' * 40}{ODD}", b"odd")]

    found = held(entries, tmp_path / "layer", packing)

    assert {found["a"], found["long"]} == {(0o755, "", "")}
    assert found["a/link"] == (0o777, "file", "")
    assert found["a/run"][0] == 0o755
    assert f"{'long/' * 40}{ODD}" in found
    assert changes(found, entries, ()) == []


def test_only_what_has_changed_is_in_a_patch(tmp_path: Path) -> None:
    before = [Entry("a/same", b"1"), Entry("a/moved", b"1"), Entry("a/run", b"1"), Entry("a/link", link="same")]
    after = [
        Entry("a/same", b"1"),
        Entry("a/moved", b"2"),
        Entry("a/run", b"1", executable=True),
        Entry("a/link", link="run"),
        Entry("b/new", b"1"),
    ]

    assert over(before, after, tmp_path) == {"a/moved": b"2", "a/run": b"1", "a/link": None, "b": None, "b/new": b"1"}


def test_what_is_gone_is_whited_out_and_a_directory_takes_along_what_is_in_it(tmp_path: Path) -> None:
    before = [Entry("a/kept", b"1"), Entry("a/gone", b"1"), Entry("old/deep/one", b"1"), Entry("old/two", b"1")]

    assert over(before, before[:1], tmp_path) == {"a/.wh.gone": b"", ".wh.old": b""}


def test_a_directory_in_which_others_have_files_stays(tmp_path: Path) -> None:
    before = [Entry("bin/mine", b"1"), Entry("kept", b"1")]

    assert over(before, before[1:], tmp_path, "bin/theirs") == {"bin/.wh.mine": b""}
    assert over(before, before[1:], tmp_path, "lib/theirs") == {".wh.bin": b""}


def test_only_what_is_a_parts_own_is_compared(tmp_path: Path) -> None:
    shared = held([Entry("a/one", b"1"), Entry("ab/two", b"2"), Entry("b/three", b"3")], tmp_path / "layer")

    assert set(below(shared, ("a", "b/three"))) == {"a", "a/one", "b", "b/three"}


def test_a_file_that_becomes_a_directory_is_laid_over(tmp_path: Path) -> None:
    assert over([Entry("a", b"1")], [Entry("a/b", b"1")], tmp_path) == {"a": None, "a/b": b"1"}
    assert over([Entry("a/b", b"1")], [Entry("a", b"1")], tmp_path) == {"a": b"1", "a/.wh.b": b""}


def test_a_layer_that_is_no_tar_is_refused() -> None:
    blob = packed({"a": b"1"})[:-20]

    with pytest.raises(BuildRefused, match="cannot be read"):
        contents(io.BytesIO(blob), Descriptor(media_type=OCI_LAYER_GZIP, digest=digest_of(blob), size=len(blob)))


@pytest.mark.parametrize(
    ("path", "others", "expected"),
    [
        (f"{SITE}/google/auth/x.py", f"{SITE}/google/cloud", False),
        (f"{SITE}/google/auth/x.py", f"{SITE}/google", True),
        (f"{SITE}/.wh.google", f"{SITE}/google/cloud", True),
        (f"{SITE}/google/.wh.__init__.py", f"{SITE}/google/__init__.py", True),
        (f"{SITE}/googled", f"{SITE}/google", False),
        ("opt/venv/bin/one", "opt/venv/bin/two", False),
    ],
)
def test_a_patch_leaves_alone_what_others_have(path: str, others: str, expected: bool) -> None:
    assert collide(touched([Entry("opt"), Entry(path, b"")]), {others}) is expected
