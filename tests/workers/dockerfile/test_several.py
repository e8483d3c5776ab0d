"""A Dockerfile for hosts of several kinds, on real parts: built for each by one engine, and an index of them."""

import json
import os
import platform
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.image import Entry, File, busybox, layer, publish, publish_index
from tests.rig.registry import Registry
from tests.workers.dockerfile.test_build import Shop, another_second, files_in, nothing_is_named_like
from watcher.image import Digest, Platform
from watcher.rollout import Built
from workers.dockerfile.earlier import Earlier, earlier
from workers.dockerfile.errors import BuildFailed, BuildRefused
from workers.oci.manifest import OCI_MANIFEST, ImageUnreadable
from workers.oci.stores import open_store

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the engine is to be of another kind than arm64"),
]

AMD, ARM = "linux/amd64", "linux/arm64"
BOTH = [AMD, ARM]
TEXT = """FROM --platform=$BUILDPLATFORM {base}-both AS build
COPY requirements.txt /
RUN cat /etc/motd /requirements.txt > /made; cat /proc/uptime >> /made
FROM {base}-both
ARG TARGETARCH
COPY --from=build /made /etc/motd /
COPY start/$TARGETARCH /start
COPY code /code
"""


@pytest.fixture
def shop(tmp_path: Path, docker: RealEngine, real: Registry, request: pytest.FixtureRequest) -> Shop:
    made = Shop(tmp_path, docker, real, f"shop-{abs(hash(request.node.name)) % 10**8}")
    bases(made)
    made.write({"Dockerfile": TEXT, "start/amd64": "amd64\n", "start/arm64": "arm64\n"})
    return made


def bases(shop: Shop, more: Mapping[str, Entry] | None = None) -> dict[str, Digest]:
    """A base for both platforms, under one tag: the images in it."""
    store = open_store(f"{shop.registry.address}/base", shop.registries)
    images = {
        f"linux/{one}": publish(
            store, [busybox({"etc/motd": f"of {one}\n", **(more or {})})], architecture=one, Env=["PATH=/bin"]
        )
        for one in ("amd64", "arm64")
    }
    publish_index(store, images, "1-both")
    return images


def part(shop: Shop, image: Digest, of: str) -> Earlier:
    found = earlier(shop.store, image, Platform.parse(of))
    assert found
    return found


def parts(shop: Shop, image: Digest) -> dict[str, Earlier]:
    return {of: part(shop, image, of) for of in BOTH}


def tag(shop: Shop, of: str = "") -> str:
    """The tag of the newest commit's image, or of the part of it for one platform."""
    return f"commit-{f'{shop.commits:040x}'[::-1][:12]}{f'-{of}'.replace('/', '-') if of else ''}"


def same(one: Built, other: Built) -> bool:
    return replace(one, pushed=0, seconds=0.0) == replace(other, pushed=0, seconds=0.0)


def test_the_image_is_built_for_each_platform_and_an_index_of_them_stands_under_the_tag(shop: Shop) -> None:
    on = bases(shop)
    built = shop.build(platforms=BOTH)

    raw = shop.store.manifest(tag(shop))
    assert raw
    index: Any = json.loads(raw)
    assert shop.store.named(tag(shop)) == built.image
    assert [row["platform"] for row in index["manifests"]] == [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64"},
    ]
    assert index["annotations"]["org.opencontainers.image.source"] == "https://git.example/shop.git"
    assert not any("base" in name for name in index["annotations"])
    for of, made in parts(shop, built.image).items():
        assert str(made.config.platform) == of
        assert made.labels["org.opencontainers.image.base.digest"] == on[of]
        assert made.manifest.annotations["org.opencontainers.image.base.digest"] == on[of]
        assert shop.store.named(tag(shop, of)) == made.manifest.digest
        files = files_in(shop, made.manifest.digest)
        # What was run was run on the engine's own platform, and once.
        assert files["motd"] == "of amd64\n"
        assert files["start"] == f"{of.rpartition('/')[2]}\n"
    made_by = {files_in(shop, made.manifest.digest)["made"] for made in parts(shop, built.image).values()}
    assert len(made_by) == 1
    assert built.size > max(made.manifest.size for made in parts(shop, built.image).values())
    assert f"{AMD}: no image to start from: everything is made" in shop.said
    assert nothing_is_named_like(shop)


def test_a_change_is_foreseen_and_made_anew_for_each_platform_that_it_touches_and_for_no_other(shop: Shop) -> None:
    first = shop.build(platforms=BOTH)
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image, platforms=BOTH)

    assert (second.new_layers, second.warning) == (1, "")
    assert second.foreseen == pytest.approx(second.new_size, abs=20)
    assert second.told[0] == "code/main.py enters at line 8: COPY code /code"
    for of in BOTH:
        before, after = (part(shop, one.image, of).manifest.layers for one in (first, second))
        assert [layer in before for layer in after] == [True, True, True, False]

    # What is for one of them alone.
    shop.write({"start/arm64": "arm64, again\n"})
    another_second()
    third = shop.build(second.image, platforms=BOTH)
    assert part(shop, third.image, AMD).manifest.layers == part(shop, second.image, AMD).manifest.layers
    assert files_in(shop, part(shop, third.image, ARM).manifest.digest)["start"] == "arm64, again\n"
    assert f"{ARM}: start/arm64 enters at line 7: COPY start/$TARGETARCH /start" in third.told
    assert f"{AMD}: start/arm64 is in no layer" in third.told
    assert f"{AMD}: nothing is made anew" in third.told
    assert third.warning == ""


def test_another_machine_starts_from_the_image_of_each_platform(shop: Shop) -> None:
    shop.write({"Dockerfile": TEXT.replace("code /code", "code /code\nLABEL a=b")})
    first = shop.build(platforms=BOTH)
    shop.write({"code/main.py": "2\n"})
    with engine() as cold:
        # Not by the ledger: by the tag of the commit before, where an index stands.
        second = shop.build(None, docker=cold, platforms=BOTH)
    assert (second.new_layers, second.layers) == (1, first.layers)
    assert "everything is made" not in " ".join(second.told)


def test_a_warning_says_of_which_platform_it_is(shop: Shop) -> None:
    # Of another size for each: what is said of both alike is said once.
    install = "pip install -r /app/x; cat /proc/uptime > /installed; [ $TARGETARCH = amd64 ] || seq 999 >> /installed"
    shop.write({"Dockerfile": f"FROM {{base}}-both\nARG TARGETARCH\nCOPY . /app\nRUN {install}\n"})
    first = shop.build(platforms=BOTH)
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image, platforms=BOTH)
    wide = "line 3: COPY . /app was made anew (it takes `code/main.py`), and with it line 4: "
    assert second.warning.startswith(f"{AMD}: {wide}")
    assert f"; {ARM}: {wide}" in second.warning
    # The seconds of both, for both were run.
    assert list(second.timings) == [f"RUN {install}"]


def test_a_build_that_is_killed_between_two_platforms_goes_on_with_the_second(shop: Shop) -> None:
    child = os.fork()
    if child == 0:
        said = shop.said

        class Until(list[str]):
            def append(self, line: str) -> None:
                said.append(line)
                if line.startswith(ARM):
                    os.kill(os.getpid(), SIGKILL)

        shop.said = Until()
        shop.build(platforms=BOTH)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == SIGKILL
    shop.commits += 1
    assert shop.store.manifest(tag(shop)) is None, "a half is to be seen"
    finished = shop.store.named(tag(shop, AMD))
    assert finished
    assert shop.store.named(tag(shop, ARM)) is None

    shop.commits -= 1
    built = shop.build(platforms=BOTH)
    assert part(shop, built.image, AMD).manifest.digest == finished
    assert f"{AMD}: {tag(shop, AMD)} is there already" in shop.said
    assert f"{ARM}: {tag(shop, ARM)} is there already" not in shop.said
    assert built.timings == {}, "what the engine had made before it is not made again"

    # As after a crash between the index and the note in the ledger.
    shop.commits -= 1
    again = shop.build(platforms=BOTH)
    assert same(again, built)
    assert again.pushed == 0


def test_a_part_that_was_pushed_and_no_more_is_finished_and_not_built_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = os.fork()
    if child == 0:
        monkeypatch.setattr("workers.dockerfile.build.finish", lambda *_: os.kill(os.getpid(), SIGKILL))
        shop.build(platforms=BOTH)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == SIGKILL
    shop.commits += 1
    pushed = earlier(shop.store, tag(shop, AMD))
    assert pushed
    assert not pushed.manifest.annotations

    shop.commits -= 1
    built = shop.build(platforms=BOTH)
    assert f"{AMD}: {tag(shop, AMD)} is there already" in shop.said
    for of, made in parts(shop, built.image).items():
        assert made.manifest.annotations["org.opencontainers.image.source"] == "https://git.example/shop.git", of
    assert part(shop, built.image, AMD).manifest.config.digest == pushed.manifest.config.digest


def test_parts_that_have_lost_their_own_tags_are_found_by_the_index(shop: Shop) -> None:
    built = shop.build(platforms=BOTH)
    other = publish(shop.store, [layer({"other": "1"})])
    raw = shop.store.manifest(other)
    assert raw
    for of in BOTH:
        shop.store.put_manifest(raw, OCI_MANIFEST, tag(shop, of))

    shop.commits -= 1
    again = shop.build(platforms=BOTH)
    assert (again.image, again.pushed) == (built.image, 0)
    # One of them alone is wanted now, and there.
    shop.commits -= 1
    alone = shop.build(platforms=[ARM])
    assert (alone.image, alone.pushed) == (part(shop, built.image, ARM).manifest.digest, 0)


def test_an_app_that_gets_another_platform_goes_on_from_what_it_had(shop: Shop) -> None:
    first = shop.build()
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image, platforms=BOTH)

    assert f"{ARM}: no image to start from: everything is made" in second.told
    before, after = earlier(shop.store, first.image), part(shop, second.image, AMD)
    assert before
    assert after.manifest.layers[:-1] == before.manifest.layers[:-1]
    shop.write({"code/main.py": "3\n"})
    third = shop.build(second.image, platform=ARM)
    assert (third.new_layers, third.warning) == (1, "")


def test_a_base_that_moves_is_followed_by_all_of_them(shop: Shop) -> None:
    first = shop.build(platforms=BOTH)
    on = bases(shop, {"etc/moved": "yes"})
    second = shop.build(first.image, platforms=BOTH)
    assert {
        of: made.labels["org.opencontainers.image.base.digest"] for of, made in parts(shop, second.image).items()
    } == on
    assert second.new_layers == second.layers


def test_what_fails_for_one_platform_is_named_and_nothing_stands_under_the_tag(shop: Shop) -> None:
    shop.write({"Dockerfile": f"{TEXT}RUN test -f /etc/motd && grep -q amd64 /start\n"})
    with pytest.raises(BuildFailed, match=r"^Dockerfile for linux/arm64: "):
        shop.build(platforms=BOTH)
    assert shop.store.manifest(tag(shop)) is None


def test_a_base_that_one_platform_lacks_is_refused_before_anything_is_built(shop: Shop) -> None:
    with pytest.raises(ImageUnreadable, match="an image for linux/s390x, got linux/amd64, linux/arm64"):
        shop.build(platforms=[AMD, "linux/s390x"])
    assert not shop.said
    assert shop.store.manifest(tag(shop, AMD)) is None


def test_a_base_for_other_machines_is_refused_though_an_engine_would_build_upon_it(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nCOPY code /code\n"})
    with pytest.raises(BuildRefused, match="it is for linux/amd64, and is built upon for linux/arm64") as refused:
        shop.build(platforms=BOTH)
    assert "say FROM --platform=linux/amd64" in refused.value.hint
    # Where that is said it is meant, and files may come from anywhere.
    shop.write(
        {"Dockerfile": "FROM --platform=linux/amd64 {base} AS a\nFROM {base}-both\nCOPY --from={base} /etc /x\n"}
    )
    assert shop.build(platforms=BOTH).layers == 2


def foreign() -> File:
    """A program for ARM, as far as a kernel looks: it has the head of one."""
    head = (
        b"\x7fELF"
        + bytes([2, 1, 1])
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 64, 0, 0, 0, 64, 0, 0, 0, 0, 0)
    )
    return File(head + bytes(64))


def test_an_engine_that_cannot_run_what_is_for_another_platform_says_what_to_do(shop: Shop) -> None:
    it_says_what_to_do(shop)


def it_says_what_to_do(shop: Shop) -> None:
    if any(Path("/proc/sys/fs/binfmt_misc").glob("qemu-aarch64*")):
        pytest.skip("this machine runs programs for ARM")
    store = open_store(f"{shop.registry.address}/base", shop.registries)
    images = {
        AMD: publish(store, [busybox({"etc/motd": "not foreign\n"})], Env=["PATH=/bin"]),
        ARM: publish(store, [layer({"bin": None, "bin/sh": foreign()})], architecture="arm64", Env=["PATH=/bin"]),
    }
    publish_index(store, images, "1-foreign")
    shop.write({"Dockerfile": "FROM {base}-foreign\nRUN echo here\n"})
    with pytest.raises(BuildRefused) as refused:
        shop.build(platforms=BOTH)
    assert str(refused.value).startswith("Dockerfile for linux/arm64: the engine at unix://")
    assert "cannot run what is for linux/arm64: [" in str(refused.value)
    assert "2/2] RUN echo here" in str(refused.value)
    assert "FROM --platform=$BUILDPLATFORM" in refused.value.hint
    assert "binfmt" in refused.value.hint
    assert shop.store.manifest(tag(shop)) is None


def test_a_base_that_only_the_engine_has_is_refused_for_another_platform_in_words(shop: Shop) -> None:
    with shop.docker.api() as api:
        api.import_image_from_data(busybox(), repository="only-here", tag="1")
    shop.write({"Dockerfile": "FROM only-here:1\nCOPY code /code\n"})
    with pytest.raises(BuildRefused) as refused:
        shop.build(platforms=BOTH)
    assert "image only-here:1: only the engine has it, for linux/amd64, and" in str(refused.value)
    assert "push one for each platform to a registry" in refused.value.hint
    # For its own it does; and nobody has to run on the platform of the image.
    shop.write({"Dockerfile": TEXT.replace("$BUILDPLATFORM {base}-both", "$BUILDPLATFORM only-here:1")})
    with shop.docker.api() as api:
        api.import_image_from_data(busybox({"etc/motd": "here\n"}), repository="only-here", tag="1")
    built = shop.build(platforms=BOTH)
    assert files_in(shop, part(shop, built.image, ARM).manifest.digest)["motd"] == "here\n"
