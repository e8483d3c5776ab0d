"""A program that is confined writes to its own directories, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.process import lack
from workers.confined import can_confine, confined

SCRIPT = """
import os, pathlib, sys
for place in sys.argv[1:]:
    try:
        pathlib.Path(place, "made").write_text("x")
        print("written")
    except PermissionError:
        print("kept out")
print(pathlib.Path(os.environ["NETRC"]).read_text())
os.open("/dev/null", os.O_WRONLY)
pathlib.Path(sys.argv[1], "made").rename(pathlib.Path(sys.argv[1], "inner", "moved"))
"""


@pytest.fixture(autouse=True)
def landlock() -> None:
    if not can_confine():
        lack("a kernel with Landlock (Linux 5.19)")


def test_it_can_write_to_its_directories_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("mine/inner", "theirs"):
        (tmp_path / name).mkdir(parents=True)
    netrc = os.memfd_create("netrc")
    os.write(netrc, b"s3cret")
    inner = [sys.executable, "-c", SCRIPT, str(tmp_path / "mine"), str(tmp_path / "theirs")]
    outer = [sys.executable, "-c", f"import subprocess; subprocess.run({inner!r}, check=True)"]

    argv = confined(outer, [tmp_path / "mine", tmp_path / "none-such"], netrc)
    done = subprocess.run(argv, capture_output=True, text=True, pass_fds=[netrc])
    os.close(netrc)

    assert done.stdout.split("\n")[:3] == ["written", "kept out", "s3cret"], done.stderr
    assert (tmp_path / "mine" / "inner" / "moved").exists()


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = subprocess.run(confined(["none-such"], [tmp_path]), capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (127, "none-such: No such file or directory\n")
