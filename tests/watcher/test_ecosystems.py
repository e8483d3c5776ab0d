"""The tables of ecosystems, indexes, schemes and formats fit together."""

from dataclasses import replace
from typing import get_args

from watcher.ecosystems import ECOSYSTEMS
from watcher.lockfiles import FORMATS
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import ImageSettings, IndexSettings
from watcher.target import Fit
from watcher.versions import SCHEMES
from watcher.wheels import Wheels
from workers.indexes import OPEN


def test_every_kind_of_index_that_can_be_configured_can_be_made() -> None:
    assert set(get_args(IndexSettings.model_fields["kind"].annotation)) == set(OPEN) == set(ECOSYSTEMS)


def test_every_lockfile_belongs_to_an_ecosystem_with_a_scheme() -> None:
    assert {known.ecosystem for _, known in FORMATS} <= set(ECOSYSTEMS)
    assert all(ecosystem.scheme is SCHEMES[name] for name, ecosystem in ECOSYSTEMS.items())


def test_an_ecosystem_knows_what_an_image_can_install() -> None:
    image = ImageSettings(repository="oci:/images", python="3.12", platform="linux/arm64")

    assert ECOSYSTEMS["pypi"].target(image) == Wheels("3.12", "manylinux_2_28", "aarch64")


def test_what_an_image_for_several_platforms_installs_there_is_for_all_of_them() -> None:
    image = ImageSettings(repository="oci:/images", python="3.12", platforms=("linux/amd64", "linux/arm64"))
    target, pin = ECOSYSTEMS["pypi"].target(image), Pin(ecosystem="pypi", package="fast", version="1.0", lock="uv.lock")
    x86, arm, any_one = (
        File(filename=f"fast-1.0-{tag}.whl", url="x")
        for tag in ("cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_aarch64", "py3-none-any")
    )

    def fit(*files: File) -> Fit:
        return target.fit(pin, Release(package="fast", version="1.0", files=files))

    assert fit(x86, arm).files == (x86, arm)
    assert fit(any_one).files == (any_one,)
    assert fit(x86).said == "has no wheel for Python 3.12 on manylinux_2_28_aarch64"
    assert target.wants(replace(pin, marker="platform_machine == 'aarch64'"))
    assert not target.wants(replace(pin, marker="sys_platform == 'win32'"))
