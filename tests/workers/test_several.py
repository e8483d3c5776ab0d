"""What is made of the images for several platforms, whoever builds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from watcher.image import Digest, Platform
from watcher.rollout import Built
from watcher.settings import ImageSettings
from workers.oci.store import find_manifest
from workers.several import build_each

AMD, ARM = "linux/amd64", "linux/arm64"


@dataclass(frozen=True)
class Recipe:
    """Of nothing: what is asked of any."""

    platforms: Sequence[str] = (AMD, ARM)
    tag: str = "shop-1"
    made: Sequence[Digest] = ()

    @property
    def image(self) -> ImageSettings:
        return ImageSettings.model_validate({"repository": "registry.example/shop", "platforms": self.platforms})

    def on(self, platform: str, made: Sequence[Digest]) -> Self:
        return replace(self, platforms=(platform,), made=tuple(made))


@dataclass
class Builder:
    """Builds something for each platform, and tells what it is told to tell."""

    store: FakeStore = field(default_factory=FakeStore)
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seen: list[Recipe] = field(default_factory=list)

    def __call__(self, part: Recipe) -> Built:
        assert self.store.manifest("shop-1") is None, "a half is to be seen"
        self.seen.append(part)
        (platform,) = part.platforms
        image = publish(self.store, [layer({"for": platform})], architecture=Platform.parse(platform).architecture)
        built = Built(image=image, layers=1, new_layers=1, size=100, new_size=10, pushed=50, seconds=1.0)
        return replace(built, **self.told.get(platform, {}))


Told = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def built() -> Callable[[Told], Built]:
    def of(told: Told) -> Built:
        builder = Builder(told=told)
        return build_each(Recipe(), builder.store, builder)

    return of


def test_the_index_is_written_when_all_of_them_are_there() -> None:
    builder = Builder()
    built = build_each(Recipe(), builder.store, builder)

    assert builder.store.named("shop-1") == built.image
    first, second = (find_manifest(builder.store, built.image, Platform.parse(one)) for one in (AMD, ARM))
    assert first
    assert second
    assert first.digest != second.digest
    assert [part.made for part in builder.seen] == [(), (first.digest,)]


def test_sizes_are_those_of_the_platform_for_which_most_is_new(built: Callable[[Told], Built]) -> None:
    found = built({ARM: {"new_size": 20, "new_layers": 2, "foreseen": 21, "size": 90}})
    assert (found.new_size, found.new_layers, found.foreseen) == (20, 2, 21)
    assert 100 < found.size < 1000
    assert found.pushed == found.size


def test_what_is_told_says_of_which_platform_it_is(built: Callable[[Told], Built]) -> None:
    found = built({AMD: {"told": ("same", "one"), "warning": "wide"}, ARM: {"told": ("same", "other")}})
    assert found.told == ("same", f"{AMD}: one", f"{ARM}: other")
    assert found.warning == f"{AMD}: wide"
    assert built({AMD: {"warning": "wide"}, ARM: {"warning": "wide"}}).warning == "wide"
    assert built({AMD: {"warning": "a"}, ARM: {"warning": "b"}}).warning == f"{AMD}: a; {ARM}: b"


def test_the_seconds_of_a_command_are_those_that_it_takes_for_all(built: Callable[[Told], Built]) -> None:
    found = built({AMD: {"timings": {"RUN a": 1.0, "RUN b": 2.0}}, ARM: {"timings": {"RUN a": 4.0}}})
    assert found.timings == {"RUN a": 5.0, "RUN b": 2.0}


def test_one_platform_is_what_its_builder_makes() -> None:
    builder = Builder()
    built = build_each(Recipe(platforms=(ARM,)), builder.store, builder)
    assert built.image == publish(FakeStore(), [layer({"for": ARM})], architecture="arm64")
    assert builder.store.manifest("shop-1") is None
