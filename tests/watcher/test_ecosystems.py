"""The tables of ecosystems, indexes, schemes and formats fit together."""

from typing import get_args

from watcher.ecosystems import ECOSYSTEMS
from watcher.lockfiles import FORMATS
from watcher.settings import ImageSettings, IndexSettings
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
