"""What a lock has for developers, or for those who ask for an extra: every format says so, and images go by it."""

import pytest

from watcher import lockfiles
from watcher.settings import ImageSettings
from watcher.wheels import Wheels

UV = """
version = 1
requires-python = ">=3.11"
[[package]]
name = "shop"
version = "1.0"
source = { editable = "." }
dependencies = [{ name = "web", extra = ["fast"] }]
[package.optional-dependencies]
pdf = [{ name = "paper" }]
[package.dev-dependencies]
dev = [{ name = "test" }, { name = "paper" }]
[[package]]
name = "web"
version = "1.0"
source = { registry = "https://index.example/simple" }
[package.optional-dependencies]
fast = [{ name = "speed" }]
slow = [{ name = "test" }]
[[package]]
name = "speed"
version = "1.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "paper"
version = "1.0"
source = { registry = "https://index.example/simple" }
dependencies = [{ name = "ink" }]
[[package]]
name = "ink"
version = "1.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "test"
version = "1.0"
source = { registry = "https://index.example/simple" }
dependencies = [{ name = "web" }]
[[package]]
name = "near"
version = "1.0"
source = { directory = "near" }
"""
POETRY = "".join(
    f'[[package]]\nname = "{name}"\nversion = "1.0"\nfiles = []\ngroups = {groups}\n'
    for name, groups in (("web", '["main", "dev"]'), ("test", '["dev"]'))
)
PIPFILE = """{"_meta": {"pipfile-spec": 6},
"develop": {"web": {"version": "==1.0"}, "test": {"version": "==1.0"}}, "default": {"web": {"version": "==1.0"}}}"""


def groups(path: str, text: str) -> dict[str, tuple[str, ...]]:
    return {pin.package: pin.groups for pin in lockfiles.read(path, {path: text.encode()}.get)}


def test_a_package_of_uv_lock_knows_what_it_is_there_for() -> None:
    assert groups("uv.lock", UV) == {
        "web": (),
        "speed": (),
        "paper": ("dev", "pdf"),
        "ink": ("dev", "pdf"),
        "test": ("dev",),
    }
    [near] = [one for one in lockfiles.elsewhere(["uv.lock"], lambda _: UV.encode()) if one.package == "near"]
    assert near.groups == ()


@pytest.mark.parametrize(
    ("path", "text", "group"),
    [
        ("poetry.lock", f'{POETRY}[metadata]\nlock-version = "2.1"\n', "dev"),
        ("pdm.lock", f'[metadata]\nlock_version = "4.5.0"\n{POETRY.replace("main", "default")}', "dev"),
        ("Pipfile.lock", PIPFILE, "develop"),
    ],
)
def test_so_it_does_in_other_formats(path: str, text: str, group: str) -> None:
    assert groups(path, text) == {"web": (), "test": (group,)}


def test_an_image_has_what_is_asked_for() -> None:
    pins = lockfiles.read("uv.lock", lambda _: UV.encode())

    def installed(*groups: str) -> set[str]:
        target = Wheels.of(ImageSettings(repository="registry.example/shop", python="3.12", groups=groups))
        return {pin.package for pin in pins if target.wants(pin)}

    assert installed() == {"web", "speed"}
    assert installed("pdf") == {"web", "speed", "paper", "ink"}
    assert installed("dev") == {"web", "speed", "paper", "ink", "test"}
