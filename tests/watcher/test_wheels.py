"""Which files an image can install, computed from its settings alone."""

import pytest

from watcher.pin import Pin
from watcher.release import File, Release
from watcher.settings import ImageSettings
from watcher.wheels import Wheels, wheel_tags

TARGET = Wheels("3.12", "manylinux_2_28", "x86_64")


def pin(version: str = "1.0", marker: str = "") -> Pin:
    return Pin(ecosystem="pypi", package="shop-api", version=version, lock="uv.lock", marker=marker)


def release(*tags: str, version: str = "2.0", requires_python: str = "", yanked: str | None = None) -> Release:
    files = tuple(
        File(
            filename=f"shop_api-{version}-{tag}.whl" if tag != "sdist" else f"shop_api-{version}.tar.gz",
            url="https://index.example/",
            requires_python=requires_python,
            yanked=yanked,
        )
        for tag in tags
    )
    return Release(package="shop-api", version=version, files=files)


@pytest.mark.parametrize(
    "tag",
    [
        "py3-none-any",
        "py2.py3-none-any",
        "py312-none-any",
        "py38-none-any",
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp312-cp312-manylinux1_x86_64",
        "cp37-abi3-manylinux2010_x86_64",
        "cp312-none-linux_x86_64",
        "py3-none-manylinux_2_5_x86_64",
        "cp312-cp312-musllinux_1_2_x86_64.manylinux_2_28_x86_64",
    ],
)
def test_a_wheel_for_this_python_c_library_and_machine_fits(tag: str) -> None:
    assert TARGET.fit(pin(), release(tag)).files


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp313-cp313-manylinux_2_28_x86_64",
        "cp313-abi3-manylinux_2_28_x86_64",
        "cp312-cp312t-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_34_x86_64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp312-cp312-musllinux_1_2_x86_64",
        "cp312-cp312-win_amd64",
        "cp312-cp312-macosx_11_0_arm64",
        "pp310-pypy310_pp73-manylinux_2_28_x86_64",
        "py2-none-any",
    ],
)
def test_a_wheel_for_another_place_does_not(tag: str) -> None:
    fit = TARGET.fit(pin(), release(tag))

    assert (fit.files, fit.rule) == ((), "wheel")
    assert fit.said == "has no wheel for Python 3.12 on manylinux_2_28_x86_64"


def test_musl_is_another_world() -> None:
    alpine = Wheels("3.12", "musllinux_1_2", "aarch64")

    assert alpine.fit(pin(), release("cp312-cp312-musllinux_1_1_aarch64")).files
    assert not alpine.fit(pin(), release("cp312-cp312-manylinux_2_17_aarch64")).files


def test_only_what_fits_is_counted() -> None:
    fit = TARGET.fit(pin(), release("sdist", "cp312-cp312-win_amd64", "cp312-cp312-manylinux_2_28_x86_64"))

    assert [file.filename for file in fit.files] == ["shop_api-2.0-cp312-cp312-manylinux_2_28_x86_64.whl"]


def test_a_source_distribution_is_no_wheel() -> None:
    fit = TARGET.fit(pin(), release("sdist"))

    assert (fit.files, fit.rule, fit.said) == ((), "wheel", "has no wheel")


def test_a_yanked_file_is_not_there() -> None:
    assert TARGET.fit(pin(), release("py3-none-any", yanked="")).rule == "wheel"


@pytest.mark.parametrize(
    ("requires", "python", "fits"),
    [
        (">=3.9", "3.12", True),
        (">=3.13", "3.12", False),
        (">=3.12.1", "3.12", False),
        (">=3.12.1", "3.12.4", True),
        (">=3.9.*", "3.12", False),
        ("", "3.12", True),
    ],
)
def test_the_python_that_a_file_needs_is_respected(requires: str, python: str, fits: bool) -> None:
    fit = Wheels(python, "manylinux_2_28", "x86_64").fit(pin(), release("py3-none-any", requires_python=requires))

    assert bool(fit.files) is fits
    if not fits:
        assert (fit.rule, fit.said) == ("requires-python", f"needs Python {requires}, and the image has {python}")


@pytest.mark.parametrize(
    ("mine", "theirs", "fits"),
    [("1.0+cpu", "2.0+cpu", True), ("1.0+cpu", "2.0+cu121", False), ("1.0", "2.0+cpu", False)],
)
def test_a_pin_stays_with_its_build(mine: str, theirs: str, fits: bool) -> None:
    fit = TARGET.fit(pin(mine), release("py3-none-any", version=theirs))

    assert bool(fit.files) is fits
    assert fits or fit.rule == "build"


@pytest.mark.parametrize(
    ("marker", "wanted"),
    [
        ("", True),
        ('sys_platform == "win32"', False),
        ('python_full_version < "3.12"', False),
        ('python_version >= "3.12" and platform_machine == "x86_64"', True),
        ('implementation_name == "pypy"', False),
        ("what is this", True),
    ],
)
def test_a_pin_for_other_platforms_is_not_wanted(marker: str, wanted: bool) -> None:
    assert TARGET.wants(pin(marker=marker)) is wanted


@pytest.mark.parametrize(
    ("platform", "machine"),
    [
        ("linux/amd64", "x86_64"),
        ("linux/arm64", "aarch64"),
        ("linux/arm64/v8", "aarch64"),
        ("linux/arm/v7", "armv7l"),
        ("linux/386", "i686"),
        ("linux/riscv64", "riscv64"),
    ],
)
def test_the_platforms_of_images_are_the_machines_of_wheels(platform: str, machine: str) -> None:
    image = ImageSettings(repository="oci:/images", python="3.12", platform=platform, libc="manylinux_2_28")

    assert Wheels.of(image) == Wheels("3.12", "manylinux_2_28", machine)


def test_the_tags_do_not_depend_on_the_python_that_runs_us() -> None:
    tags = {str(tag) for tag in wheel_tags("3.14", "manylinux_2_17", "s390x")}

    assert "cp314-cp314-manylinux2014_s390x" in tags
    assert not any("x86_64" in tag or "manylinux_2_16" in tag or "cp311-cp311" in tag for tag in tags)


def test_a_source_distribution_fits_where_it_can_be_built_and_nothing_better_is_there() -> None:
    builds = Wheels("3.12", "manylinux_2_28", "x86_64", builds=True)

    assert [file.filename for file in builds.fit(pin(), release("sdist")).files] == ["shop_api-2.0.tar.gz"]
    assert [file.filename for file in builds.fit(pin(), release("sdist", "py3-none-any")).files] == [
        "shop_api-2.0-py3-none-any.whl"
    ]
    assert builds.fit(pin(), release("sdist", "cp312-cp312-win_amd64")).files
    assert not builds.fit(pin(), release("sdist", requires_python=">=3.13")).files
    assert not builds.fit(pin(), release("sdist", yanked="broken")).files
    assert builds.rank(release("sdist").files[0]) > builds.rank(release("py3-none-any").files[0])
