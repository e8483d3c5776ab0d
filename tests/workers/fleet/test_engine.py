"""Engines of all ages."""

from typing import Any

import pytest
from docker.constants import DEFAULT_DOCKER_API_VERSION

from workers.fleet.engine import takes_of
from workers.fleet.greet import common_version


@pytest.mark.parametrize(
    ("oldest", "newest", "spoken"),
    [
        ("1.12", "1.41", "1.41"),
        ("1.24", "1.9", "1.24"),
        ("1.44", "1.99", DEFAULT_DOCKER_API_VERSION),
        ("1.98", "1.99", "1.98"),
    ],
)
def test_the_newest_version_that_both_sides_know_is_spoken(oldest: str, newest: str, spoken: str) -> None:
    assert common_version(oldest, newest) == spoken


@pytest.mark.parametrize(
    ("version", "info", "said", "zstd", "classic"),
    [
        ({"Version": "20.10.24+dfsg1"}, {"Driver": "overlay2"}, "Docker 20.10.24+dfsg1, overlay2", False, True),
        ({"Version": "23.0.0"}, {"Driver": "overlay2"}, "Docker 23.0.0, overlay2", True, True),
        (
            {"Version": "26.1.5"},
            {"DriverStatus": [["Backing", "x"]], "Driver": "vfs"},
            "Docker 26.1.5, vfs",
            True,
            True,
        ),
        (
            {"Version": "28.5.2"},
            {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
            "Docker 28.5.2, containerd store",
            True,
            False,
        ),
        ({"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}, {}, "podman 4.3.1", True, False),
        ({"Version": "dev"}, {"DriverStatus": None}, "Docker dev, ", False, True),
    ],
)
def test_an_engine_tells_what_it_takes(
    version: dict[str, Any], info: dict[str, Any], said: str, zstd: bool, classic: bool
) -> None:
    found = takes_of(version, info)

    assert (found.engine, found.zstd, found.classic) == (said, zstd, classic)
