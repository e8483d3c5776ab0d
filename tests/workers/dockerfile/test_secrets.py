"""Secrets of a build: looked for in all that comes of it, as they are, and nothing else is taken for one."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
import zstandard

from tests.rig.image import layer
from watcher.secret import Secret
from workers.dockerfile.errors import BuildRefused
from workers.dockerfile.secrets import Secrets

KEY = "-----BEGIN KEY-----\n  c2VjcmV0IG9mIHRoZSBrZXk=\n}\n    },\n-----END KEY-----\n"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    monkeypatch.setenv("KEY", KEY)
    monkeypatch.setenv("PIN", "1234")
    return Secrets.written({"key": Secret(env="KEY"), "pin": Secret(env="PIN")}, tmp_path)


def test_a_secret_is_a_file_as_it_is_and_only_ours(secrets: Secrets) -> None:
    assert secrets.files["key"].read_text() == KEY
    assert secrets.files["key"].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        (KEY, True),
        ("key=c2VjcmV0IG9mIHRoZSBrZXk= and more", True),
        ("the pin is 1234", True),
        ("    },\n}", False),
        ("nothing", False),
    ],
)
def test_a_line_of_a_secret_tells_it_and_its_brackets_do_not(secrets: Secrets, text: str, is_told: bool) -> None:
    assert secrets.are_told(["harmless", text]) is is_told


def test_one_that_is_not_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildRefused, match=r"secret token: .*NOT_SET_ANYWHERE"):
        Secrets.written({"token": Secret(env="NOT_SET_ANYWHERE")}, tmp_path)


def saved(path: Path, *layers: bytes) -> Path:
    """An image as an engine saves it."""
    names = [f"blobs/sha256/{number}" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "Layers": names}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in (*zip(names, layers, strict=True), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress], ids=["tar", "gz", "zst"])
def test_a_file_in_a_layer_that_holds_one_is_found_wherever_it_stands(
    secrets: Secrets, tmp_path: Path, pack: "type[bytes]"
) -> None:
    # Across the places where reading stops and goes on.
    deep = b"x" * (4 * 1024**2 - 520) + KEY.encode() + b"y"
    clean, told = pack(layer({"pin": "1234", "app": b"x" * 100})), pack(layer({"token": deep}))
    assert not secrets.are_in(saved(tmp_path / "clean", clean, clean), 0)
    assert secrets.are_in(saved(tmp_path / "told", clean, told), 1)
    # What the base has is none of this build's making.
    assert not secrets.are_in(saved(tmp_path / "base", told, clean), 1)
