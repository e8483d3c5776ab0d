"""A lock that leaves something out is refused, with everything that it leaves out."""

import pytest

from watcher.pin import Pin
from watcher.settings import ImageSettings
from watcher.wheels import Wheels
from workers.image.errors import BuildRefused
from workers.image.needs import check

TARGET = Wheels.of(ImageSettings(repository="oci:/images", python="3.12"))


def pin(package: str, version: str = "1.0", *extras: str) -> Pin:
    return Pin(ecosystem="pypi", package=package, version=version, lock="requirements.txt", extras=extras)


def faults(*pins: Pin, **requires: list[str]) -> str:
    with pytest.raises(BuildRefused) as caught:
        check(pins, requires, TARGET)
    assert caught.value.hint
    return str(caught.value)


def test_everything_that_is_missing_is_named_at_once() -> None:
    said = faults(pin("requests"), pin("idna", "2.4"), requests=["urllib3<3,>=1.21", "idna>=2.5", "certifi"], idna=[])

    assert said == (
        "requirements.txt: `requests` needs `certifi`, which the lock does not pin; "
        "`requests` needs `idna>=2.5`, and the lock pins 2.4; "
        "`requests` needs `urllib3<3,>=1.21`, which the lock does not pin"
    )


def test_names_are_the_same_however_they_are_written() -> None:
    check([pin("zope-interface"), pin("shop")], {"shop": ["Zope.Interface>=1"]}, TARGET)


def test_what_another_platform_or_python_needs_is_not_needed() -> None:
    rows = ['colorama; sys_platform == "win32"', 'tomli; python_version < "3.11"', 'x; platform_machine == "arm64"']

    check([pin("shop")], {"shop": rows}, TARGET)


def test_a_pre_release_that_is_pinned_will_do() -> None:
    check([pin("shop"), pin("idna", "3.0rc1")], {"shop": ["idna>=2"]}, TARGET)


def test_an_extra_is_needed_when_it_is_asked_for() -> None:
    rows = ['pysocks; extra == "socks"']

    check([pin("requests")], {"requests": rows}, TARGET)
    assert "`requests` needs `pysocks`" in faults(pin("requests", "1.0", "socks"), requests=rows)


def test_an_extra_that_a_package_asks_of_another_is_needed_too() -> None:
    requires = {"a": ["b[fast]"], "b": ['c[deep]; extra == "fast"'], "c": ['d; extra == "deep"']}

    said = faults(pin("c"), pin("b"), pin("a"), **requires)

    assert said == "requirements.txt: `c` needs `d`, which the lock does not pin"


def test_packages_may_need_each_other() -> None:
    check([pin("a"), pin("b")], {"a": ["b[x]"], "b": ["a[y]"]}, TARGET)


def test_metadata_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(BuildRefused, match="which is no requirement"):
        check([pin("shop")], {"shop": ["idna >>> 3"]}, TARGET)
