"""Images for several platforms: their settings, and what is said of them."""

import pytest

from watcher.image import Platform
from watcher.platforms import together
from watcher.settings import ImageSettings

AMD, ARM = "linux/amd64", "linux/arm64"


def kept_in(*platforms: str, cache: str = "registry.example/shop:cache") -> list[str]:
    image = ImageSettings.model_validate(
        {
            "repository": "registry.example/shop",
            "builder": "dockerfile",
            "platforms": platforms,
            "dockerfile": {"cache": cache},
        }
    )
    parts = [image.on(platform) for platform in image.every_platform]
    assert [part.platform for part in parts] == list(platforms)
    return [part.dockerfile.cache for part in parts if part.dockerfile]


def test_the_caches_of_two_platforms_do_not_overwrite_each_other() -> None:
    assert kept_in(AMD) == ["registry.example/shop:cache"]
    assert kept_in(AMD, ARM) == ["registry.example/shop:cache-linux-amd64", "registry.example/shop:cache-linux-arm64"]
    assert kept_in(AMD, ARM, cache="") == ["", ""]


def test_a_cache_whose_name_leaves_no_room_for_platforms_is_refused_at_once() -> None:
    assert kept_in(AMD, cache=f"registry.example/shop:{'c' * 120}")
    with pytest.raises(ValueError, match="expected"):
        kept_in(AMD, ARM, cache=f"registry.example/shop:{'c' * 120}")


def test_what_is_said_of_all_platforms_is_said_once_and_of_others_with_their_names() -> None:
    assert together({AMD: ["one", "two"]}) == ("one", "two")
    assert together({AMD: ["one", "two", "one"], ARM: ["one", "three"]}) == ("one", f"{AMD}: two", f"{ARM}: three")
    assert together({AMD: ["one"], ARM: ["one"], "linux/arm/v7": []}) == (f"{AMD}, {ARM}: one",)


def test_a_variant_that_goes_without_saying_makes_no_other_platform() -> None:
    arm, eighth, seventh = (Platform.parse(name) for name in (ARM, "linux/arm64/v8", "linux/arm/v7"))
    assert arm.is_like(eighth)
    assert eighth.is_like(arm)
    assert not seventh.is_like(Platform.parse("linux/arm/v6"))
    assert not seventh.is_like(arm)
    assert seventh.in_tag == "linux-arm-v7"
