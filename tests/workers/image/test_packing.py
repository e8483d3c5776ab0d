"""The same bytes in give the same bytes out, for everybody and always; and everybody can read them."""

import gzip
import hashlib
import random
import subprocess

import pytest
from zstandard import ZstdDecompressor

from tests.rig.process import need
from workers.image.packing import Packing, packer

# Over several members, of which parts can be made smaller and others cannot.
_RANDOM = random.Random(5)
RAW = b"".join(_RANDOM.randbytes(1000) + b"the same again and again " * 200 for _ in range(1500))


def packed(packing: Packing, raw: bytes, piece: int = 70_000) -> bytes:
    sink = bytearray()
    pack = packer(packing, sink.extend)
    for start in range(0, len(raw), piece):
        pack.write(raw[start : start + piece])
    pack.close()
    return bytes(sink)


@pytest.mark.parametrize(
    ("packing", "digest"),
    [
        (Packing.GZIP, "a73bd0b42d1236c4d2162e081c3646c3f071733b33aaf425cbee62597db0ba58"),
        (Packing.ZSTD, "96365a3b7dfddc188181b5c66b2ae073fb67768d295eeb22f61f62cd9527ffc4"),
    ],
)
def test_packed_bytes_are_the_same_on_every_machine_and_with_every_version(packing: Packing, digest: str) -> None:
    # If this changes, every host of every fleet downloads every layer again: docs/decisions/0011-gzip.md.
    assert hashlib.sha256(packed(packing, RAW)).hexdigest() == digest


@pytest.mark.parametrize("packing", list(Packing))
def test_the_pieces_that_come_in_have_no_say(packing: Packing) -> None:
    assert packed(packing, RAW, 1000) == packed(packing, RAW, 10_000_000)


@pytest.mark.parametrize("raw", [b"", b"x", RAW])
def test_what_was_packed_comes_out_again(raw: bytes) -> None:
    assert gzip.decompress(packed(Packing.GZIP, raw)) == raw
    assert ZstdDecompressor().decompressobj().decompress(packed(Packing.ZSTD, raw)) == raw


def test_programs_that_know_nothing_of_us_read_it() -> None:
    need("gzip")

    out = subprocess.run(["gzip", "-dc"], input=packed(Packing.GZIP, RAW), capture_output=True, check=True).stdout

    assert out == RAW
