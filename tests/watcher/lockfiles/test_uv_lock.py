"""uv.lock as uv writes it, and as an enemy would."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig.process import need
from tests.rig.simple_index import SimpleIndex
from watcher import lockfiles
from watcher.errors import LockfileUnreadable
from watcher.lockfiles.uv_lock import UvLock
from watcher.pin import Pin

A, B = "a" * 64, "b" * 64
LOCK = f"""
version = 1
revision = 5
requires-python = ">=3.11"
resolution-markers = ["python_full_version >= '3.12'", "python_full_version < '3.12'"]

[manifest]
members = ["lib", "shop"]
constraints = [{{ name = "urllib3", specifier = "<2.4" }}]
overrides = [{{ name = "idna", specifier = "==3.7" }}]

[[package]]
name = "colorama"
version = "0.4.6"
source = {{ registry = "https://index.example/simple" }}

[[package]]
name = "idna"
version = "3.7"
source = {{ registry = "https://index.example/simple" }}

[[package]]
name = "lib"
version = "0.2"
source = {{ editable = "packages/lib" }}
dependencies = [{{ name = "six" }}]

[package.metadata]
requires-dist = [{{ name = "six", specifier = ">=1" }}]

[[package]]
name = "local"
source = {{ directory = "local" }}

[[package]]
name = "numpy"
version = "1.26.4"
source = {{ registry = "https://index.example/simple" }}
resolution-markers = ["python_full_version < '3.12'"]

[[package]]
name = "numpy"
version = "2.5.5"
source = {{ registry = "https://index.example/simple" }}
resolution-markers = ["python_full_version >= '3.12'"]

[[package]]
name = "Requests"
version = "2.34.2"
source = {{ registry = "https://index.example/simple" }}
dependencies = [
    {{ name = "urllib3" }},
    {{ name = "colorama", marker = "sys_platform == 'win32'" }},
]
sdist = {{ url = "https://index.example/r.tar.gz", hash = "sha256:{B}", upload-time = "2026-05-14T19:25:27.735Z" }}
wheels = [{{ url = "https://index.example/r.whl", hash = "sha256:{A}" }}]

[[package]]
name = "shop"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "numpy", version = "1.26.4", source = {{ registry = "x" }}, marker = "python_full_version < '3.12'" }},
    {{ name = "numpy", version = "2.5.5", source = {{ registry = "x" }}, marker = "python_full_version >= '3.12'" }},
    {{ name = "requests", extra = ["socks"] }},
]

[package.optional-dependencies]
x = [{{ name = "idna" }}]

[package.dev-dependencies]
dev = [{{ name = "tool" }}]

[package.metadata]
requires-dist = [
    {{ name = "idna", marker = "extra == 'x'", specifier = ">3" }},
    {{ name = "numpy", marker = "python_full_version < '3.12'", specifier = "<2" }},
    {{ name = "numpy", marker = "python_full_version >= '3.12'", specifier = ">=2" }},
    {{ name = "requests", extras = ["socks"], specifier = ">=2.30,<3" }},
]

[package.metadata.requires-dev]
dev = [{{ name = "tool", git = "https://git.example/tool" }}]

[[package]]
name = "six"
version = "1.17.0"
source = {{ registry = "https://index.example/simple" }}

[[package]]
name = "tool"
version = "1.0"
source = {{ git = "https://git.example/tool?rev=main#abc" }}

[[package]]
name = "urllib3"
version = "2.3.0"
source = {{ registry = "https://index.example/simple" }}

[[package]]
name = "wheeled"
version = "1.0"
source = {{ registry = "wheels" }}
"""


def pins(text: str = LOCK) -> tuple[Pin, ...]:
    return UvLock().pins(text, "uv.lock", {})


def one(package: str, text: str = LOCK) -> Pin:
    (pin,) = [pin for pin in pins(text) if pin.package == package]
    return pin


def test_every_package_that_is_not_the_projects_own_is_a_pin() -> None:
    assert [f"{pin.package} {pin.version} {pin.source}" for pin in pins()] == [
        "colorama 0.4.6 index",
        "idna 3.7 index",
        "numpy 1.26.4 index",
        "numpy 2.5.5 index",
        "requests 2.34.2 index",
        "six 1.17.0 index",
        "tool 1.0 git",
        "urllib3 2.3.0 index",
        "wheeled 1.0 path",
    ]


def test_a_pin_has_all_that_the_lock_knows_of_it() -> None:
    assert one("requests") == Pin(
        ecosystem="pypi",
        package="requests",
        version="2.34.2",
        lock="uv.lock",
        direct=True,
        constraint="<3,>=2.30",
        registry="https://index.example/simple",
        hashes=(f"sha256:{A}", f"sha256:{B}"),
        extras=("socks",),
    )


def test_direct_is_what_the_projects_own_packages_ask_for() -> None:
    assert {pin.package for pin in pins() if pin.direct} == {"idna", "numpy", "requests", "six", "tool"}


def test_constraints_bind_and_overrides_replace() -> None:
    assert (one("urllib3").constraint, one("urllib3").direct) == ("<2.4", False)
    assert one("idna").constraint == "==3.7"


def test_a_package_that_is_locked_for_two_worlds_has_two_pins() -> None:
    assert [(pin.version, pin.marker, pin.constraint) for pin in pins() if pin.package == "numpy"] == [
        ("1.26.4", 'python_full_version < "3.12"', "<2"),
        ("2.5.5", 'python_full_version >= "3.12"', ">=2"),
    ]


def test_a_package_that_only_another_platform_needs_says_so() -> None:
    assert one("colorama").marker == 'sys_platform == "win32"'
    assert one("urllib3").marker == ""


def test_a_lock_of_nothing_has_no_pins() -> None:
    assert pins("version = 1\n") == ()
    assert UvLock().also(LOCK, "uv.lock") == ()


OWN = 'version = 1\n[[package]]\nname = "x"\nsource = { virtual = "." }\n[package.metadata]\n'
PACKAGE = '[[package]]\nname = "six"\nversion = "1.0"\nsource = { registry = "https://index.example/simple" }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": version: expected 1, got nothing"),
        ("version = 2", ": version: expected 1, the format that is known here, got '2'"),
        ("version = true", ": version: expected 1, got bool"),
        ('version = "1"', ": version: expected 1, got '1'"),
        ("version = 1\npackage = 5", ": package: expected a list of tables, got int"),
        ("version = 1\npackage = [5]", ": package[0]: expected a table, got int"),
        ("version = 1\nmanifest = 5", ": manifest: expected a table, got int"),
        ("version = 1\n[[package]]", ": package[0].source: expected a table, got nothing"),
        (
            "version = 1\n" + PACKAGE.replace("registry", "magnet"),
            ": package[0].source: expected one of registry, git,",
        ),
        (
            "version = 1\n" + PACKAGE.replace('"six"', "5"),
            ": package[0].name: expected the name of a package, got int",
        ),
        (
            "version = 1\n" + PACKAGE.replace("six", "$(id)"),
            ": package[0].name: expected the name of a package, got '$(id)'",
        ),
        (
            "version = 1\n" + PACKAGE.replace("six", "../x"),
            ": package[0].name: expected the name of a package, got '../x'",
        ),
        (
            "version = 1\n" + PACKAGE.replace("six", "<b>"),
            ": package[0].name: expected the name of a package, got '<b>'",
        ),
        (
            "version = 1\n" + PACKAGE.replace("six", r"s\u001b[31mx"),
            r": package[0].name: expected the name of a package, got 's\x1b[31mx'",
        ),
        (
            "version = 1\n" + PACKAGE.replace("1.0", "1.0;id"),
            ": package[0].version: expected a PEP 440 version, got '1.0;id'",
        ),
        (
            "version = 1\n" + PACKAGE.replace('version = "1.0"\n', ""),
            ": package[0].version: expected a PEP 440 version, got nothing",
        ),
        (
            "version = 1\n" + PACKAGE + 'wheels = [{ hash = "sha256:x" }]',
            ": package[0].wheels[0].hash: expected a hash such as sha256:…, got 'sha256:x'",
        ),
        (
            "version = 1\n" + PACKAGE + 'dependencies = [{ name = "x", marker = "what" }]',
            ": package[0].dependencies[0].marker: expected a PEP 508 marker, got 'what'",
        ),
        (
            "version = 1\n" + PACKAGE + 'resolution-markers = ["what"]',
            ": package[0].resolution-markers: expected a PEP 508 marker, got 'what'",
        ),
        (
            OWN + 'requires-dist = [{ name = "y", specifier = "=>1" }]',
            ": package[0].metadata.requires-dist[0].specifier: expected a PEP 440 specifier, got '=>1'",
        ),
        ("version = 1\nx = " + "[" * 100_000, ": expected TOML, got "),
        ("version = 1\nx = " + "9" * 100_000, ": expected TOML, got "),
        ("version = ", ": expected TOML, got 'Invalid value (at end of document)'"),
        ("<!DOCTYPE html>", ": expected TOML, got "),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(LockfileUnreadable) as raised:
        pins(text)

    assert str(raised.value).startswith(f"uv.lock{said}")


_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["six", "1.0", "sha256:" + A]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "version", "source", "registry", "git", "marker", "specifier", "hash", "extra", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_FIELDS = [
    *("name", "version", "source", "metadata", "wheels", "sdist", "resolution-markers"),
    *("dependencies", "optional-dependencies", "dev-dependencies"),
]
_SIX = {"name": "six", "version": "1.0", "source": {"registry": "https://index.example"}}
_package = st.dictionaries(st.sampled_from(_FIELDS), _value, max_size=4).map(lambda fields: _SIX | fields)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return '"' + "".join(f"\\U{ord(ch):08x}" for ch in value if not 0xD800 <= ord(ch) < 0xE000) + '"'
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
        case _:
            return "1979-05-27"


@settings(max_examples=250, deadline=None)
@given(st.lists(_package | _value, max_size=3), _value)
def test_whatever_a_lock_holds_only_our_own_error_comes_out(packages: list[Any], manifest: Any) -> None:
    with contextlib.suppress(LockfileUnreadable):
        for pin in pins(f"version = 1\npackage = {_toml(packages)}\nmanifest = {_toml(manifest)}\n"):
            assert (pin.package + pin.version).isascii()
            assert (pin.package + pin.version + pin.marker + pin.constraint).isprintable()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_whatever_text_comes_only_our_own_error_comes_out(text: str) -> None:
    with contextlib.suppress(LockfileUnreadable):
        pins(text)


def _uv(directory: Path, *words: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "UV_CACHE_DIR": str(directory / "cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    program = Path(sys.executable).with_name("uv")
    done = subprocess.run([str(program), *words], cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.journey
def test_real_uv_locks_and_compiles_what_we_read(tmp_path: Path) -> None:
    need(str(Path(sys.executable).with_name("uv")))
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["tool-box>=1,<2"]\n'
    )

    def fetch(path: str) -> bytes | None:
        return (tmp_path / path).read_bytes() if (tmp_path / path).exists() else None

    with SimpleIndex() as index:
        index.publish("tool-box", "1.0", requires=["nail>=1", "colour; sys_platform == 'win32'"])
        for name in ("nail", "colour"):
            index.publish(name, "1.1")
        _uv(tmp_path, "lock", "--default-index", index.url)
        (tmp_path / "requirements.txt").write_text("")
        argv = ["pip", "compile", "pyproject.toml", "-o", "requirements.txt", "--generate-hashes", "--universal"]
        _uv(tmp_path, *argv, "--default-index", index.url)
        read = {path: lockfiles.read(path, fetch) for path in ("uv.lock", "requirements.txt")}

    for path, found in read.items():
        assert [(pin.package, pin.version, pin.direct, pin.constraint, len(pin.hashes)) for pin in found] == [
            ("colour", "1.1", False, "", 1),
            ("nail", "1.1", False, "", 1),
            ("tool-box", "1.0", True, "<2,>=1", 1),
        ], path
        assert found[0].marker == 'sys_platform == "win32"'
    assert [pin.hashes for pin in read["uv.lock"]] == [pin.hashes for pin in read["requirements.txt"]]
