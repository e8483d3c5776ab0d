"""A wheel is what its RECORD says, or it is refused by name and entry. What uv would do with it is noted at each."""

import contextlib
import csv
import hashlib
import io
import re
import stat
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.rig.mutated import mutated
from tests.rig.wheel import metadata, wheel
from watcher.settings import ImageSettings
from workers.image.content import size_of, whole
from workers.image.errors import BuildRefused
from workers.image.install import installed
from workers.image.layer import write_layer
from workers.image.wheel import read_wheel

Rewrite = Callable[[bytes], bytes]
IMAGE = ImageSettings(repository="oci:/images", python="3.12")
SITE = "opt/venv/lib/python3.12/site-packages"


def put(directory: Path, data: bytes, name: str = "evil", version: str = "1.0") -> Path:
    path = directory / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(data)
    return path


def spoiled(
    data: bytes,
    *,
    add: Mapping[str, bytes] | None = None,
    leave_out: str = "",
    change: Mapping[str, Rewrite] | None = None,
    kinds: Mapping[str, int] | None = None,
) -> bytes:
    """The wheel with entries added, left out or changed behind RECORD's back, and with other types of file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(packed, "w") as target:
        for entry in source.infolist():
            raw = (change or {}).get(entry.filename, bytes)(source.read(entry))
            info = zipfile.ZipInfo(entry.filename)
            info.create_system, info.external_attr = 3, (kinds or {}).get(entry.filename, stat.S_IFREG | 0o644) << 16
            if entry.filename != leave_out:
                target.writestr(info, raw)
        for name, raw in (add or {}).items():
            target.writestr(name, raw)
    return packed.getvalue()


def read_whole(path: Path) -> None:
    for file in read_wheel(path, "evil", "1.0").files.values():
        whole(file)


def refused(directory: Path, data: bytes) -> str:
    with pytest.raises(BuildRefused) as caught:
        read_whole(put(directory, data))
    assert str(caught.value).startswith("evil-1.0-py3-none-any.whl")
    assert caught.value.hint
    return str(caught.value)


def test_a_good_wheel_tells_what_it_needs(tmp_path: Path) -> None:
    data = wheel("good", "1.0", requires=["urllib3<3,>=1.21", 'colorama; sys_platform == "win32"'])

    found = read_wheel(put(tmp_path, data, "good"), "good", "1.0")

    assert found.requires == ("urllib3<3,>=1.21", 'colorama; sys_platform == "win32"')


@pytest.mark.parametrize("name", ["Zope.Interface", "zope_interface", "zope.interface"])
def test_a_name_may_be_written_in_other_ways(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, wheel(name, "1.0"), "zope_interface")

    assert read_wheel(path, "zope-interface", "1").version == "1"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("../../../../evil.txt", "leads out of it"),  # uv: left out in silence
        ("evil/../../../x", "leads out of it"),  # uv: left out in silence
        ("evil/../other/x.py", "leads out of it"),  # uv: installed elsewhere
        ("/etc/cron.d/evil", "absolute"),  # uv: left out in silence
        ("evil-1.0.data/data/../../../x", "leads out of it"),  # uv: left out in silence
        ("evil-1.0.data/data//etc/x", "ordinary"),  # uv: installed below the prefix
        ("..\\..\\x", "ordinary"),  # uv: a file with backslashes in its name
        ("evil/./x", "ordinary"),
        ("evil/\x1b[31mx", "ordinary"),
        ("evil-1.0.data/weird/x", "expected one of purelib"),  # uv: refused
        ("evil-1.0.data/x", "expected one of purelib"),
        ("other-2.dist-info/METADATA", "expected one .dist-info"),  # uv: refused
    ],
)
def test_an_entry_in_a_wrong_place_is_refused(tmp_path: Path, entry: str, said: str) -> None:
    message = refused(tmp_path, wheel("evil", "1.0", files={"evil/__init__.py": "", entry: "x"}))

    assert said in message
    assert "\x1b" not in message


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (stat.S_IFLNK | 0o777, "got a symbolic link"),  # uv: a program with the link's target as its text
        (stat.S_IFCHR | 0o666, "got a device"),  # uv: an empty file
        (stat.S_IFBLK | 0o666, "got a device"),
        (stat.S_IFIFO | 0o666, "got a device or a pipe"),
        (stat.S_IFDIR | 0o755, "got a directory"),
    ],
)
def test_an_entry_that_is_no_file_is_refused(tmp_path: Path, kind: int, said: str) -> None:
    data = spoiled(wheel("evil", "1.0", files={"evil/link": "/etc/passwd"}), kinds={"evil/link": kind})

    assert f"evil/link: expected a file, {said}" in refused(tmp_path, data)


def test_a_file_that_record_lists_and_that_is_not_there_is_refused(tmp_path: Path) -> None:
    data = spoiled(wheel("evil", "1.0"), leave_out="evil/__init__.py")  # uv: RECORD is mended in silence

    assert "evil/__init__.py: RECORD lists it, and it is not in the wheel" in refused(tmp_path, data)


def test_a_file_that_record_does_not_list_is_refused(tmp_path: Path) -> None:
    data = spoiled(wheel("evil", "1.0"), add={"evil/more.py": b"more"})  # uv: installed, RECORD is mended in silence

    assert "evil/more.py: it is in the wheel, and RECORD does not list it" in refused(tmp_path, data)


def test_a_file_with_other_bytes_than_record_says_is_refused(tmp_path: Path) -> None:
    data = spoiled(wheel("evil", "1.0"), change={"evil/__init__.py": lambda raw: raw + b"#"})  # uv: installed

    assert "evil/__init__.py: its bytes are not those that RECORD has the hash of" in refused(tmp_path, data)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_record_that_says_two_things_of_a_file_is_refused(tmp_path: Path, is_first: bool) -> None:
    def rewrite(raw: bytes) -> bytes:
        row = b"evil/__init__.py,sha256=AAAA,3\n"
        return row + raw if is_first else raw + row

    data = spoiled(wheel("evil", "1.0"), change={"evil-1.0.dist-info/RECORD": rewrite})  # uv: installed

    assert "evil/__init__.py: RECORD lists it twice, and not as the same" in refused(tmp_path, data)


def test_a_record_that_says_the_same_twice_or_a_wrong_size_is_put_right(tmp_path: Path) -> None:
    def rewrite(raw: bytes) -> bytes:
        lines = [re.sub(rb",\d+$", b",999", line) for line in raw.splitlines()]
        return b"\n".join([*lines, *lines])

    data = spoiled(wheel("evil", "1.0"), change={"evil-1.0.dist-info/RECORD": rewrite})

    found = installed(read_wheel(put(tmp_path, data), "evil", "1.0"), IMAGE)
    (record,) = (whole(entry.content) for entry in found if entry.content and entry.path.endswith("/RECORD"))
    sizes = {entry.path: size_of(entry.content) for entry in found if entry.content is not None}
    rows = [row for row in csv.reader(record.decode().splitlines()) if row[2]]
    assert rows
    assert all(int(size) == sizes[f"{SITE}/{name}"] for name, _, size in rows)
    assert len({name for name, _, _ in rows}) == len(rows)


def test_bits_that_give_rights_away_are_left_out(tmp_path: Path) -> None:
    files = {"evil/su": "x", "evil/plain": "x"}
    data = spoiled(wheel("evil", "1.0", files=files), kinds={"evil/su": stat.S_IFREG | 0o6777})

    found = {entry.path: entry.mode for entry in installed(read_wheel(put(tmp_path, data), "evil", "1.0"), IMAGE)}

    assert (found[f"{SITE}/evil/su"], found[f"{SITE}/evil/plain"]) == (0o755, 0o644)


@pytest.mark.parametrize(
    "name", ["a" * 256, "é" * 128, f"{'d' * 256}/x", "/".join(["d" * 200] * 20)], ids=["name", "é", "directory", "path"]
)
def test_a_name_that_linux_has_no_room_for_is_refused(tmp_path: Path, name: str) -> None:
    assert "in a name and 4000 in a path, got more" in refused(
        tmp_path, wheel("evil", "1.0", files={f"evil/{name}": ""})
    )


def test_a_file_that_would_have_to_be_a_directory_is_refused(tmp_path: Path) -> None:
    data = wheel("evil", "1.0", files={"evil/a": "x", "evil/a/b/c": "y"})

    assert "evil/a: expected a directory, because evil/a/b/c is in it, got a file" in refused(tmp_path, data)


def test_a_directory_with_bytes_of_its_own_is_refused(tmp_path: Path) -> None:
    data = spoiled(wheel("evil", "1.0"), add={"evil/more/": b"code"})

    assert "evil/more/: expected a directory, got one with 4 bytes" in refused(tmp_path, data)


def test_a_name_that_is_utf8_and_does_not_say_so_is_refused(tmp_path: Path) -> None:
    data = bytearray(wheel("evil", "1.0", files={"evil/é.py": ""}))
    for mark, place in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        for found in re.finditer(re.escape(mark), bytes(data)):
            data[found.start() + place] &= ~0x08

    assert "evil/é.py: RECORD lists it, and it is not in the wheel" in refused(tmp_path, bytes(data))


@pytest.mark.parametrize("row", ["evil/__init__.py,,", "evil/__init__.py,md5=x,3", "evil/__init__.py"])
def test_a_file_without_a_good_hash_is_refused(tmp_path: Path, row: str) -> None:
    def rewrite(raw: bytes) -> bytes:
        lines = raw.decode().splitlines()
        return "\n".join(row if line.startswith("evil/") else line for line in lines).encode()

    data = spoiled(wheel("evil", "1.0"), change={"evil-1.0.dist-info/RECORD": rewrite})

    assert "expected a hash" in refused(tmp_path, data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    data = spoiled(wheel("evil", "1.0"), add={"evil/__init__.py": b"other"})  # uv: one of the two is installed

    assert "evil/__init__.py: it is there twice" in refused(tmp_path, data)


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_a_wheel_without_its_papers_is_refused(tmp_path: Path, name: str) -> None:
    data = spoiled(wheel("evil", "1.0"), leave_out=f"evil-1.0.dist-info/{name}")

    assert f"evil-1.0.dist-info/{name}: it is missing" in refused(tmp_path, data)


@pytest.mark.parametrize(
    ("name", "version"), [("other", "1.0"), ("evil", "1.1"), ("evil", "no version"), ("\x1b[31m", "1.0")]
)
def test_a_wheel_that_says_it_is_another_one_is_refused(tmp_path: Path, name: str, version: str) -> None:
    papers = metadata(name, version)
    digest = urlsafe_b64encode(hashlib.sha256(papers).digest()).rstrip(b"=").decode()
    row = f"evil-1.0.dist-info/METADATA,sha256={digest},{len(papers)}".encode()
    data = spoiled(
        wheel("evil", "1.0"),
        change={
            "evil-1.0.dist-info/METADATA": lambda _: papers,
            "evil-1.0.dist-info/RECORD": lambda raw: re.sub(rb".*METADATA.*", row, raw),
        },
    )

    message = refused(tmp_path, data)

    assert "METADATA: expected evil 1.0, got " in message
    assert "\x1b" not in message


def test_a_wheel_for_another_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefused, match=r"expected good 1\.0, got evil 1\.0"):
        read_wheel(put(tmp_path, wheel("evil", "1.0")), "good", "1.0")


@pytest.mark.parametrize("data", [b"", b"no zip", wheel("evil", "1.0")[:-30], b"PK\x05\x06" + bytes(18)])
def test_what_is_no_wheel_is_refused(tmp_path: Path, data: bytes) -> None:
    refused(tmp_path, data)


def test_a_damaged_entry_is_refused(tmp_path: Path) -> None:
    data = bytearray(wheel("evil", "1.0", files={"evil/__init__.py": "x = 1\n" * 1000}))
    data[60] ^= 0xFF

    refused(tmp_path, bytes(data))


def test_a_wheel_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, wheel("evil", "1.0", files={"evil/zeros": bytes(2_000_000)}))

    with pytest.raises(BuildRefused, match="unpacks to more than 1000000 bytes"):
        read_wheel(path, "evil", "1.0", most_bytes=1_000_000)


def test_a_wheel_with_too_many_entries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefused, match="more than 3 entries"):
        read_wheel(put(tmp_path, wheel("evil", "1.0")), "evil", "1.0", most_entries=3)


def test_a_small_file_that_unpacks_to_much_is_read_in_small_pieces(tmp_path: Path) -> None:
    path = put(tmp_path, wheel("evil", "1.0", files={"evil/zeros": bytes(50_000_000)}))

    found = read_wheel(path, "evil", "1.0").files["evil/zeros"]

    assert max(len(chunk) for chunk in found.chunks()) <= 1024**2


@pytest.mark.parametrize("name", ["METADATA", "RECORD"])
def test_papers_that_nobody_has_written_are_refused(tmp_path: Path, name: str) -> None:
    data = wheel("evil", "1.0")

    def longer(raw: bytes) -> bytes:
        return raw.rstrip() + b"\nX: " + bytes(70_000_000) if name == "RECORD" else b"X: y\n" * 1_000_000 + raw

    spoilt = spoiled(data, change={f"evil-1.0.dist-info/{name}": longer})

    assert re.search(rf"{name}: it.* more than \d+ bytes", refused(tmp_path, spoilt))


def test_a_row_of_record_that_goes_on_for_ever_is_refused(tmp_path: Path) -> None:
    def rewrite(raw: bytes) -> bytes:
        return raw + b"x" * 200_000 + b",,\n"

    data = spoiled(wheel("evil", "1.0"), change={"evil-1.0.dist-info/RECORD": rewrite})

    assert "expected a wheel, got something else: field larger than field limit" in refused(tmp_path, data)


def test_a_name_that_is_not_the_utf8_that_it_says_is_refused(tmp_path: Path) -> None:
    data = wheel("evil", "1.0", files={"evil/é.py": ""})

    assert "expected a wheel, got something else" in refused(tmp_path, data.replace("é".encode(), b"\xff\xff"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutated(wheel("evil", "1.0", files={"evil/é.py": "x\n" * 99}, scripts={"evil": "evil:main"})))
def test_whatever_a_wheel_is_it_is_laid_out_or_refused(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path, data)

    with contextlib.suppress(BuildRefused):
        write_layer(installed(read_wheel(path, "evil", "1.0"), IMAGE), tmp_path / "layer")
