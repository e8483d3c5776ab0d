"""What a wheel leaves in the image: where it goes, and that a Python can run it."""

import csv
import hashlib
import io
import os
import stat
import subprocess
import sys
import tracemalloc
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rig.wheel import wheel
from watcher.settings import ImageSettings
from workers.image.content import chunks, size_of, whole
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.install import installed, site_packages
from workers.image.layer import write_layer
from workers.image.venv import venv
from workers.image.wheel import read_wheel

Install = Callable[..., dict[str, Entry]]
HERE = f"3.{sys.version_info.minor}"
OTHER = f"3.{sys.version_info.minor + 1}"


def settings(**changes: object) -> ImageSettings:
    return ImageSettings.model_validate({"repository": "oci:/images", "python": OTHER} | changes)


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Lays out a wheel from bytes; the entries by their paths."""

    def install(data: bytes, name: str = "shop", image: ImageSettings | None = None) -> dict[str, Entry]:
        path = tmp_path / f"wheels-{len(list(tmp_path.iterdir()))}" / f"{name}-1.0-py3-none-any.whl"
        path.parent.mkdir()
        path.write_bytes(data)
        return {entry.path: entry for entry in installed(read_wheel(path, name, "1.0"), image or settings())}

    return install


def text(entry: Entry) -> str:
    return whole(entry.content or b"").decode()


EVERYTHING = {
    "shop/__init__.py": "def main():\n    print('the shop is open')\n",
    "shop-nspkg.pth": "import sys\n",
    "shop-1.0.data/scripts/plain": "#!/bin/sh\necho plain\n",
    "shop-1.0.data/scripts/snake": "#!python\nimport shop; shop.main()\n",
    "shop-1.0.data/data/share/shop/menu.txt": "tea",
    "shop-1.0.data/headers/shop.h": "// tea",
    "shop-1.0.data/purelib/shop/pure.py": "",
    "shop-1.0.data/platlib/shop/plat.py": "",
}


def test_everything_goes_where_the_images_python_looks_for_it(install: Install) -> None:
    found = install(wheel("shop", "1.0", files=EVERYTHING, scripts={"shop": "shop:main"}))

    site = f"opt/venv/lib/python{OTHER}/site-packages"
    assert sorted(found) == sorted(
        [
            *("opt/venv/bin/plain", "opt/venv/bin/shop", "opt/venv/bin/snake"),
            f"opt/venv/include/site/python{OTHER}/shop/shop.h",
            *(f"{site}/shop/{name}" for name in ("__init__.py", "plat.py", "pure.py")),
            *(
                f"{site}/shop-1.0.dist-info/{name}"
                for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")
            ),
            f"{site}/shop-1.0.dist-info/entry_points.txt",
            f"{site}/shop-nspkg.pth",
            "opt/venv/share/shop/menu.txt",
        ]
    )


def test_scripts_are_run_by_the_environments_python(install: Install) -> None:
    found = install(wheel("shop", "1.0", files=EVERYTHING, scripts={"shop": "shop:main"}))

    assert text(found["opt/venv/bin/shop"]).startswith("#!/opt/venv/bin/python\n")
    assert text(found["opt/venv/bin/snake"]) == "#!/opt/venv/bin/python\nimport shop; shop.main()\n"
    assert text(found["opt/venv/bin/plain"]) == "#!/bin/sh\necho plain\n"
    assert all(found[f"opt/venv/bin/{name}"].executable for name in ("shop", "snake", "plain"))


def test_record_lists_just_what_is_there(install: Install) -> None:
    found = install(wheel("shop", "1.0", files=EVERYTHING, scripts={"shop": "shop:main"}))

    site = f"opt/venv/lib/python{OTHER}/site-packages"
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(text(found[f"{site}/shop-1.0.dist-info/RECORD"])))}
    assert set(rows) == {os.path.relpath(path, site) for path in found}
    for path, (digest, size) in rows.items():
        content = whole(found[os.path.normpath(f"{site}/{path}")].content or b"")
        expected = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (digest, size) in [(f"sha256={expected}", str(len(content))), ("", "")]


def test_nothing_tells_where_and_when_it_was_installed(install: Install, tmp_path: Path) -> None:
    found = install(wheel("shop", "1.0", files=EVERYTHING, scripts={"shop": "shop:main"}))

    assert not any(str(tmp_path) in text(entry) for entry in found.values())
    assert not any(path.endswith(("direct_url.json", "uv_cache.json", ".lock")) for path in found)


def test_two_installations_are_the_same_layer(install: Install, tmp_path: Path) -> None:
    data = wheel("shop", "1.0", files=EVERYTHING, scripts={"shop": "shop:main"})
    before = os.umask(0o077)
    try:
        one = write_layer(install(data).values(), tmp_path / "one")
    finally:
        os.umask(before)

    two = write_layer(install(data).values(), tmp_path / "two")

    assert one.digest == two.digest


def test_a_long_way_to_the_interpreter_goes_through_a_shell(install: Install) -> None:
    place = f"/opt/{'x' * 120}"

    found = install(wheel("shop", "1.0", scripts={"shop": "shop:main"}), image=settings(venv=place))

    script = text(found[f"{place[1:]}/bin/shop"])
    assert script.startswith(f"#!/bin/sh\n'''exec' '{place}/bin/python' \"$0\" \"$@\"\n' '''\n")
    compile(script, "shop", "exec")


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("#!python", "#!/opt/venv/bin/python"),
        ("#!pythonw", "#!/opt/venv/bin/python"),
        ("#!python -E", "#!/opt/venv/bin/python -E"),
        ("#!/usr/bin/perl", "#!/usr/bin/perl"),
        ("#!/usr/bin/env python", "#!/usr/bin/env python"),
    ],
)
def test_only_a_script_that_leaves_its_interpreter_open_gets_the_environments(
    install: Install, first: str, expected: str
) -> None:
    files: dict[str, str | bytes] = {
        "shop/__init__.py": "",
        "shop-1.0.data/scripts/tool": f"{first}\nmore\n".encode() + b"\xff\n",
    }

    found = install(wheel("shop", "1.0", files=files))

    assert whole(found["opt/venv/bin/tool"].content or b"") == f"{expected}\nmore\n".encode() + b"\xff\n"


@pytest.mark.parametrize(
    "place", ["data/pyvenv.cfg", "data/lib64/x", "data/bin/python3", "data/bin/python3.12", "scripts/python"]
)
def test_a_wheel_cannot_take_the_place_of_the_environment_itself(install: Install, place: str) -> None:
    data = wheel("shop", "1.0", files={"shop/__init__.py": "", f"shop-1.0.data/{place}": "evil"})

    with pytest.raises(BuildRefused, match=r"shop-1\.0-py3-none-any\.whl"):
        install(data)


@pytest.mark.parametrize(
    ("script", "target", "said"),
    [
        ("../../evil", "shop:main", "expected a name of a script"),
        ("python", "shop:main", "the environment's own file"),
        ("shop", "shop", "expected a name of a script and module:function"),
        ("shop", "shop:main()", "expected a name of a script and module:function"),
        ("shop", "shop:main;import evil", "expected a name of a script and module:function"),
    ],
)
def test_a_console_script_is_a_name_and_a_function(install: Install, script: str, target: str, said: str) -> None:
    with pytest.raises(BuildRefused, match=said):
        install(wheel("shop", "1.0", scripts={script: target}))


def test_a_console_script_may_be_the_method_of_a_class(install: Install, tmp_path: Path) -> None:
    found = install(wheel("shop", "1.0", scripts={"shop": "shop.cli : Main.run [extra]"}))

    assert "from shop.cli import Main\n" in text(found["opt/venv/bin/shop"])
    assert "sys.exit(Main.run())" in text(found["opt/venv/bin/shop"])


def test_a_script_of_any_size_needs_little_memory(install: Install) -> None:
    data = wheel("shop", "1.0", files={"shop-1.0.data/scripts/tool": b"#!python\n" + bytes(50_000_000)})
    tracemalloc.start()

    found = install(data)["opt/venv/bin/tool"]
    sizes = [len(chunk) for chunk in chunks(found.content or b"")]

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == size_of(found.content or b"") == 50_000_000 + len("#!/opt/venv/bin/python\n")
    assert peak < 10_000_000


def test_entry_points_that_nobody_has_written_are_refused(install: Install) -> None:
    lines = "".join(f"run-{number} = shop:main\n" for number in range(60_000))
    files = {"shop/__init__.py": "", "shop-1.0.dist-info/entry_points.txt": f"[console_scripts]\n{lines}"}

    with pytest.raises(BuildRefused, match=r"entry_points\.txt: it has more than 1048576 bytes"):
        install(wheel("shop", "1.0", files=files))


def test_what_was_installed_runs_from_any_directory(install: Install, tmp_path: Path) -> None:
    image = settings(python=HERE, interpreter=str(Path(sys.executable).resolve()))
    files = {
        **EVERYTHING,
        "space/one/__init__.py": "name = 'one'\n",  # a namespace package has no file of its own
        "shop-nspkg.pth": "import sys; sys.came_by = 'pth'\n",
    }
    other = {"space/two/__init__.py": "name = 'two'\n"}
    entries = [
        *venv(image),
        *install(wheel("shop", "1.0", files=files, scripts={"shop": "shop:main"}), image=image).values(),
        *install(wheel("other", "1.0", files=other), name="other", image=image).values(),
    ]
    layer = write_layer(entries, tmp_path / "layer")
    (tmp_path / "release").mkdir()
    subprocess.run(["tar", "-xzf", str(layer.path), "-C", str(tmp_path / "release")], check=True)
    root = tmp_path / "release" / "opt" / "venv"
    script = (
        "import importlib.metadata as m, shop, space.one, space.two, sys, sysconfig\n"
        "print(sys.came_by, space.one.name, space.two.name, m.version('shop'), sys.prefix)\n"
        "print(all(f.locate().exists() for f in m.files('shop')), sysconfig.get_path('purelib'))\n"
    )

    said = subprocess.run([root / "bin" / "python", "-c", script], capture_output=True, text=True, check=True).stdout
    ran = subprocess.run([root / "bin" / "python", root / "bin" / "shop"], capture_output=True, text=True, check=True)

    assert said.splitlines() == [f"pth one two 1.0 {root}", f"True {root}/{site_packages(image)}"]
    assert ran.stdout == "the shop is open\n"
    assert stat.S_IMODE((root / "bin" / "shop").stat().st_mode) & 0o111
