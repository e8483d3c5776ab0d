"""What an odd wheel leaves in an image is what `uv pip install` would have left, file by file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import uv

from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import Shop, pin
from tests.workers.image.test_real import files
from watcher.http import Http, Limits
from workers.process import environment

ODD = {
    "odd/__init__.py": "",
    "odd/Case.py": "UPPER = 1\n",
    "odd/case.py": "LOWER = 1\n",
    f"odd/{'long' * 50}.txt": "long",
    f"odd/{'/'.join(['deep' * 20] * 6)}/x.txt": "deep",
    "odd/é ü/naïve.txt": "names",
    "space/of/odd.py": "NAME = 'odd'\n",
    "odd.pth": "import sys; sys.odd = True\n",
    "odd-1.0.data/scripts/run-odd": "#!python\nprint('odd')\n",
    "odd-1.0.data/scripts/plain-odd": "#!/bin/sh\necho odd\n",
    "odd-1.0.data/data/share/odd/menu.txt": "tea",
    "odd-1.0.data/data/etc/odd.conf": "x = 1\n",
    "odd-1.0.data/headers/odd.h": "#define ODD\n",
    "odd-1.0.data/purelib/odd/pure.py": "",
    "odd-1.0.data/platlib/odd/plat.py": "",
    "odd-1.0.dist-info/licenses/LICENSE": "free",
    "odd-1.0.dist-info/top_level.txt": "odd\n",
}


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("odd", "1.0", files=ODD, scripts={"odd": "odd.case:main", "odd-two": "odd:main"})
        index.publish("even", "1.0", files={"space/of/even.py": "NAME = 'even'\n"})
        yield Shop(tmp_path, index, http, now)


def test_the_trees_are_the_same(shop: Shop, tmp_path: Path) -> None:
    root = shop.unpacked(shop.build(pin("odd"), pin("even")))

    env = environment(tmp_path, UV_NO_CONFIG="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    program, python = os.fsdecode(uv.find_uv_bin()), str(tmp_path / "venv/bin/python")
    subprocess.run([program, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")], env=env, check=True)
    words = ["pip", "install", "-q", "--python", python, "--default-index", shop.index.url, "odd==1.0", "even==1.0"]
    subprocess.run([program, *words], env=env, check=True)

    mine, theirs = files(root / "opt/venv"), files(tmp_path / "venv")
    assert mine.keys() == theirs.keys()
    assert mine == theirs
    assert modes(root / "opt/venv", mine) == modes(tmp_path / "venv", theirs)
    # Both halves of the namespace, and both cases of a name.
    check = (
        "import space.of.odd, space.of.even, odd.Case, odd.case, sys; print(sys.odd, odd.Case.UPPER, odd.case.LOWER)"
    )
    ran = subprocess.run([root / "opt/venv/bin/python", "-c", check], capture_output=True, text=True, check=True)
    assert ran.stdout == "True 1 1\n"


def modes(root: Path, names: dict[str, bytes]) -> dict[str, bool]:
    return {name: os.access(root / name, os.X_OK) for name in names}
