"""The images that a Dockerfile names: what they are now, and how they are called so that they stay it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.rig.image import layer, publish, publish_index
from tests.rig.registry import Registry, registry
from watcher.dockerfile.graph import Base
from watcher.dockerfile.parse import parse
from watcher.dockerfile.stages import Stages, stages
from watcher.image import Digest, Platform
from workers.dockerfile.bases import Found, Image, Names, external, look_up, pinned
from workers.dockerfile.errors import BuildRefused
from workers.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, canonical
from workers.oci.store import StoreRefused
from workers.oci.stores import open_store

ARM, AMD = Platform("linux", "arm64"), Platform("linux", "amd64")
PINNED = "@sha256:" + "a" * 64


def staged(text: str, **arguments: str) -> Stages:
    return stages(parse(text), arguments, ARM, AMD)


def found(stages_: Stages) -> dict[Image, Found]:
    return {image: Found(Base(image.name), f"{image.name}{PINNED}") for image in external(stages_, "")}


def test_a_stage_stands_on_the_image_of_its_own_platform_and_copies_what_is_for_the_image() -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM go AS build\nCOPY --from=tools /x /\nFROM --platform=linux/386 old\nFROM run\n"
        "COPY --from=build /x /\nCOPY --from=1 /y /\nRUN --mount=from=go,target=/go true\n"
    )
    wanted = [Image("go", AMD), Image("tools", ARM), Image("old", Platform("linux", "386"))]
    assert set(external(staged(text), "")) == {*wanted, Image("run", ARM), Image("go", ARM)}


MOUNTS = """# syntax=docker/dockerfile:1
FROM python:3.12 AS Composer
RUN --mount=type=bind,source=/usr/bin/composer,target=/usr/bin/composer,from=composer true
RUN --mount=source=/usr/bin/php,From=php,target=/php --mount="type=bind,from=php" true
COPY --from=php /usr/bin/php /
FROM composer
COPY --from=Composer /x /
"""


def test_an_image_is_pinned_where_it_is_named_and_nowhere_else() -> None:
    shop = staged(MOUNTS)
    said = pinned(parse(MOUNTS), shop, found(shop), f"docker/dockerfile:1{PINNED}")
    expected = MOUNTS.replace("dockerfile:1", f"dockerfile:1{PINNED}").replace("python:3.12", f"python:3.12{PINNED}")
    # In the first stage there is no stage called composer yet.
    expected = expected.replace("from=composer true", f"from=composer{PINNED} true")
    expected = expected.replace("rom=php", f"rom=php{PINNED}")
    assert said == expected


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def test_an_image_is_called_by_what_its_tag_names_and_known_by_its_layers(real: Registry) -> None:
    store = open_store(f"{real.address}/both", {real.address: real.settings})
    rows = []
    for platform in (AMD, ARM):
        digest = publish(store, [layer({"of": platform.architecture})], architecture=platform.architecture, Env=["A=b"])
        raw = store.manifest(digest) or b""
        rows.append(Descriptor(media_type=OCI_MANIFEST, digest=digest, size=len(raw), platform=platform))
    index = canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [row.json() for row in rows]})
    whole = store.put_manifest(index, OCI_INDEX, "1")
    images = [Image(f"{store.where}:1", AMD), Image(f"{store.where}:1", ARM)]
    amd, arm = look_up(images, Names({real.address: real.settings}, lambda _: None)).values()
    assert amd.pinned == arm.pinned == f"{store.where}:1@{whole}"
    assert (amd.digest, arm.digest) == (rows[0].digest, rows[1].digest)
    assert amd.base.key != arm.base.key
    assert amd.base.env == {"A": "b"}
    publish(store, [layer({"of": "arm64"})], architecture="arm64", tag="2", Labels={"another": "label"})
    (again,) = look_up([Image(f"{store.where}:2", ARM)], Names({real.address: real.settings}, lambda _: None)).values()
    assert again.base.key == arm.base.key


def test_a_tag_that_moves_in_the_meantime_is_the_same_image_for_all_platforms(real: Registry) -> None:
    store = open_store(f"{real.address}/moving", {real.address: real.settings})

    def move(news: str) -> Digest:
        kinds = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
        return publish_index(
            store, {of: publish(store, [layer({news: of})], architecture=kind) for of, kind in kinds.items()}, "1"
        )

    first, names = move("1"), Names({real.address: real.settings}, lambda _: None)
    (amd,) = look_up([Image(f"{store.where}:1", AMD)], names).values()
    assert move("2") != first
    (arm,) = look_up([Image(f"{store.where}:1", ARM)], names).values()
    assert amd.pinned == arm.pinned == f"{store.where}:1@{first}"
    assert (amd.platform, arm.platform) == (AMD, ARM)


HERE = {"Id": "sha256:1", "RootFS": {"Layers": ["sha256:2"]}, "Config": {"Env": ["MADE=here"]}}


@pytest.mark.parametrize("digests", [[], ["127.0.0.1/base@sha256:3"]])
def test_what_only_the_engine_has_is_taken_as_it_is(real: Registry, digests: list[str]) -> None:
    here: Mapping[str, Any] = {**HERE, "RepoDigests": digests}
    name = f"{real.address}/base:made-here"
    (one,) = look_up([Image(name, AMD)], Names({real.address: real.settings}, lambda _: dict(here))).values()
    assert (one.pinned, one.digest, one.base.env) == ("", "", {"MADE": "here"})
    other = {**here, "Os": "linux", "Architecture": "s390x"}
    with pytest.raises(
        BuildRefused, match="only the engine has it, for linux/s390x, and it is built upon for linux/amd"
    ):
        look_up([Image(name, AMD)], Names({real.address: real.settings}, lambda _: other))
    with pytest.raises(BuildRefused, match="has no image made-here"):
        look_up([Image(name, AMD)], Names({real.address: real.settings}, lambda _: None))


def test_a_registry_that_lets_nobody_in_does_not_say_that_there_is_no_such_image(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with registry(tmp_path_factory.mktemp("closed"), auth=True) as closed:
        images = [Image(f"{closed.address}/base:1", AMD)]
        with pytest.raises(StoreRefused):
            look_up(images, Names({}, lambda _: {**HERE, "RepoDigests": ["x"]}))


def test_a_digest_in_the_dockerfile_is_kept() -> None:
    digest = Digest("sha256:" + "b" * 64)
    text = f"FROM python:3.12@{digest}\n"
    assert [image.name for image in external(staged(text), "")] == [f"python:3.12@{digest}"]
