"""What locks install from elsewhere than an index: in all formats, in the same words."""

from collections.abc import Mapping

import pytest

from watcher import lockfiles
from watcher.errors import LockfileUnreadable
from watcher.source import Source

COMMIT = "a" * 40
HASH = f"sha256:{'b' * 64}"

UV = f"""
version = 1
requires-python = ">=3.11"

[[package]]
name = "shop"
version = "1.0"
source = {{ editable = "." }}
dependencies = [{{ name = "lib", extra = ["fast"] }}, {{ name = "kit", marker = "sys_platform == 'linux'" }}]

[[package]]
name = "lib"
source = {{ editable = "packages/lib" }}

[[package]]
name = "kit"
version = "2.0"
source = {{ git = "https://git.example/kit.git?rev=main&subdirectory=py#{COMMIT}" }}

[[package]]
name = "wheel-here"
version = "3.0"
source = {{ path = "vendor/wheel_here-3.0-py3-none-any.whl" }}
wheels = [{{ filename = "wheel_here-3.0-py3-none-any.whl", hash = "{HASH}" }}]

[[package]]
name = "far"
version = "4.0"
source = {{ url = "https://files.example/far-4.0.tar.gz" }}
sdist = {{ hash = "{HASH}" }}

[[package]]
name = "tools"
version = "0.1"
source = {{ virtual = "tools" }}

[[package]]
name = "plain"
version = "5.0"
source = {{ registry = "https://index.example/simple" }}
"""

REQUIREMENTS = f"""
plain==5.0
-e .
-e ./packages/lib[fast] ; sys_platform == 'linux'
kit @ git+https://git.example/kit.git@{COMMIT}#subdirectory=py ; sys_platform == 'linux'
./vendor/wheel_here-3.0-py3-none-any.whl --hash={HASH}
far @ https://files.example/far-4.0.tar.gz --hash={HASH}
-e git+ssh://git@git.example/kat.git@{COMMIT}#egg=kat
"""

POETRY = f"""
[[package]]
name = "kit"
version = "2.0"
files = []

[package.source]
type = "git"
url = "https://git.example/kit.git"
reference = "main"
resolved_reference = "{COMMIT}"
subdirectory = "py"

[[package]]
name = "lib"
version = "1.0"
develop = true
files = []

[package.source]
type = "directory"
url = "packages/lib"

[[package]]
name = "far"
version = "4.0"
files = [{{file = "far-4.0.tar.gz", hash = "{HASH}"}}]

[package.source]
type = "url"
url = "https://files.example/far-4.0.tar.gz"

[metadata]
lock-version = "2.1"
"""

PYLOCK = f"""
lock-version = "1.0"

[[packages]]
name = "kit"
vcs = {{ type = "git", url = "https://git.example/kit.git", commit-id = "{COMMIT}", subdirectory = "py" }}

[[packages]]
name = "lib"
directory = {{ path = "packages/lib", editable = true }}

[[packages]]
name = "far"
version = "4.0"
archive = {{ url = "https://files.example/far-4.0.tar.gz", hashes = {{ sha256 = "{"b" * 64}" }} }}
"""

PDM = f"""
[metadata]
lock_version = "4.5.0"

[[package]]
name = "kit"
version = "2.0"
git = "https://git.example/kit.git"
revision = "{COMMIT}"
subdirectory = "py"

[[package]]
name = "lib"
version = "1.0"
path = "./packages/lib"
editable = true

[[package]]
name = "far"
version = "4.0"
url = "https://files.example/far-4.0.tar.gz"
files = [{{url = "https://files.example/far-4.0.tar.gz", hash = "{HASH}"}}]
"""

PIPFILE = f"""{{"_meta": {{"pipfile-spec": 6}}, "develop": {{"x": {{"path": "x"}}}}, "default": {{
  "kit": {{"git": "https://git.example/kit.git", "ref": "{COMMIT}", "subdirectory": "py"}},
  "lib": {{"path": "packages/lib", "editable": true}},
  "far": {{"file": "https://files.example/far-4.0.tar.gz", "hashes": ["{HASH}"]}}
}}}}"""


def read(path: str, text: str, **files: str) -> dict[str, Source]:
    held: Mapping[str, str] = {path: text, **files}
    found = lockfiles.elsewhere([path], lambda name: held[name].encode() if name in held else None)
    return {one.package or one.at: one for one in found}


def kit(lock: str, **more: str) -> Source:
    facts = {"package": "kit", "kind": "git", "at": "https://git.example/kit.git", "commit": COMMIT, "directory": "py"}
    return Source(lock=lock, **{**facts, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("uv.lock", UV),
        ("poetry.lock", POETRY),
        ("pdm.lock", PDM),
        ("pylock.toml", PYLOCK.replace('name = "kit"', 'name = "kit"\nversion = "2.0"')),
    ],
)
def test_a_pin_says_at_which_commit_or_file_it_is(path: str, text: str) -> None:
    """Another commit of the same version is another thing to install."""
    pins = {pin.package: pin for pin in lockfiles.read(path, lambda name: text.encode() if name == path else None)}

    assert (pins["kit"].version, pins["kit"].source, pins["kit"].hashes) == ("2.0", "git", (f"ref:{COMMIT}",))
    assert (pins["far"].source, pins["far"].hashes) == ("url", (HASH,))


def test_what_uv_locks_from_elsewhere() -> None:
    found = read("py/uv.lock", UV)

    lock = "py/uv.lock"
    assert found["shop"] == Source(package="shop", lock=lock, kind="path", at="py", editable=True, version="1.0")
    assert found["lib"] == Source(
        package="lib", lock=lock, kind="path", at="py/packages/lib", editable=True, extras=("fast",)
    )
    assert found["kit"] == kit(lock, version="2.0", marker='sys_platform == "linux"')
    assert (found["wheel-here"].at, found["wheel-here"].hashes) == (
        "py/vendor/wheel_here-3.0-py3-none-any.whl",
        (HASH,),
    )
    assert (found["far"].kind, found["far"].hashes) == ("url", (HASH,))
    assert found.keys() == {"shop", "lib", "kit", "wheel-here", "far"}


def test_what_a_requirements_file_asks_for_by_its_place() -> None:
    found = read("requirements.txt", REQUIREMENTS)

    lock = "requirements.txt"
    assert found["."] == Source(package="", lock=lock, kind="path", at=".", editable=True)
    assert (found["packages/lib"].extras, found["packages/lib"].marker) == (("fast",), 'sys_platform == "linux"')
    assert found["kit"] == kit(lock, marker='sys_platform == "linux"')
    assert found["vendor/wheel_here-3.0-py3-none-any.whl"].hashes == (HASH,)
    assert (found["far"].at, found["far"].hashes) == ("https://files.example/far-4.0.tar.gz", (HASH,))
    assert (found["kat"].at, found["kat"].editable) == ("ssh://git@git.example/kat.git", False)
    assert len(found) == 6


@pytest.mark.parametrize(
    ("path", "text"),
    [("poetry.lock", POETRY), ("pylock.toml", PYLOCK), ("pdm.lock", PDM), ("Pipfile.lock", PIPFILE)],
)
def test_other_formats_say_the_same(path: str, text: str) -> None:
    found = read(path, text)

    assert found.keys() == {"kit", "lib", "far"}
    assert kit(path, version=found["kit"].version) == found["kit"]
    assert (found["lib"].kind, found["lib"].at, found["lib"].editable) == ("path", "packages/lib", True)
    assert (found["far"].kind, found["far"].at) == ("url", "https://files.example/far-4.0.tar.gz")
    assert found["far"].hashes == (HASH,)


@pytest.mark.parametrize(
    "line",
    [
        "-e ../elsewhere",
        "-e file:///etc",
        "kit @ git+https://git.example/kit.git@main",
        "kit @ git+https://git.example/kit.git",
        f"kit @ git+https://git.example/kit.git@{COMMIT}#subdirectory=../..",
        "kit @ ftp://files.example/kit.tar.gz",
    ],
)
def test_what_may_be_something_else_tomorrow_or_is_not_in_the_repository_is_refused(line: str) -> None:
    with pytest.raises(LockfileUnreadable, match=r"requirements\.txt: line 1"):
        read("requirements.txt", line)


PROJECT = """
[project]
name = "My.Shop"
version = "1.0"
[build-system]
requires = ["poetry-core"]
"""


@pytest.mark.parametrize(("path", "text"), [("py/poetry.lock", POETRY), ("py/pdm.lock", PDM)])
def test_the_project_beside_a_lock_is_linked_as_its_tool_would(path: str, text: str) -> None:
    found = read(path, text, **{"py/pyproject.toml": PROJECT})

    assert found["my-shop"] == Source(package="my-shop", lock=path, kind="path", at="py", editable=True, version="1.0")
    for less in (PROJECT.replace("[build-system]", "[other]"), PROJECT + "[tool.poetry]\npackage-mode = false\n"):
        assert "my-shop" not in read(path, text, **{"py/pyproject.toml": less})
