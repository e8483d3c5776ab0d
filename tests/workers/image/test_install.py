"""What uv leaves of a wheel, made right for the image: and then run by a Python."""

import csv
import hashlib
import io
import os
import stat
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rig.wheel import wheel
from watcher.settings import ImageSettings
from workers.image.entry import Entry
from workers.image.errors import BuildRefused
from workers.image.install import Installer, argv, platform, shebang, site_packages
from workers.image.layer import chunks, write_layer
from workers.image.venv import venv
from workers.image.wheel import read_wheel
from workers.oci.manifest import canonical

Install = Callable[..., dict[str, Entry]]
HERE = f"3.{sys.version_info.minor}"
OTHER = f"3.{sys.version_info.minor + 1}"


def settings(**changes: object) -> ImageSettings:
    return ImageSettings.model_validate({"repository": "oci:/images", "python": OTHER} | changes)


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Installs a wheel from bytes; the entries by their paths."""

    def install(data: bytes, name: str = "shop", image: ImageSettings | None = None) -> dict[str, Entry]:
        bench = tmp_path / f"bench-{len(list(tmp_path.iterdir()))}"
        bench.mkdir()
        path = bench / f"{name}-1.0-py3-none-any.whl"
        path.write_bytes(data)
        installer = Installer.at(bench, image or settings())
        return {entry.path: entry for entry in installer.install(read_wheel(path, name, "1.0"), bench / "prefix")}

    return install


def text(entry: Entry) -> str:
    return b"".join(chunks(entry.content or b"")).decode()


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
        content = b"".join(chunks(found[os.path.normpath(f"{site}/{path}")].content or b""))
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


def test_a_script_that_names_another_interpreter_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "script").write_bytes(b"#!/usr/bin/perl\n\xff")

    assert shebang(tmp_path / "script", Path("/here/python"), "/there/python") == tmp_path / "script"


@pytest.mark.parametrize(
    "place", ["data/pyvenv.cfg", "data/lib64/x", "data/bin/python3", "data/bin/python3.12", "scripts/python"]
)
def test_a_wheel_cannot_take_the_place_of_the_environment_itself(install: Install, place: str) -> None:
    data = wheel("shop", "1.0", files={"shop/__init__.py": "", f"shop-1.0.data/{place}": "evil"})

    with pytest.raises(BuildRefused, match=r"shop-1\.0-py3-none-any\.whl"):
        install(data)


@pytest.mark.parametrize("script", ["../../evil", "python"])
def test_a_console_script_stays_where_scripts_are(install: Install, script: str) -> None:
    with pytest.raises(BuildRefused, match="uv cannot install it"):
        install(wheel("shop", "1.0", scripts={script: "shop:main"}))


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


def test_uv_is_asked_for_the_images_python_and_platform_and_for_one_file() -> None:
    image = settings(python="3.12.4", platform="linux/arm64", libc="manylinux_2_29")

    words = argv(Path("/b/x.whl"), Path("/b/p"), Path("/b/python"), image)

    assert (
        canonical(words)
        .decode()
        .endswith('"--python-version","3.12.4","--python-platform","aarch64-manylinux_2_31","/b/x.whl"]')
    )
    assert {"--no-deps", "--no-build", "--no-index"} <= set(words)


@pytest.mark.parametrize(
    ("libc", "expected"),
    [
        ("manylinux_2_5", "x86_64-manylinux_2_17"),
        ("manylinux_2_28", "x86_64-manylinux_2_28"),
        ("manylinux_2_41", "x86_64-manylinux_2_40"),
        ("musllinux_1_2", "x86_64-unknown-linux-musl"),
    ],
)
def test_uvs_name_of_a_platform_has_room_for_ours(libc: str, expected: str) -> None:
    from watcher.wheels import Wheels

    assert platform(Wheels.of(settings(libc=libc))) == expected
