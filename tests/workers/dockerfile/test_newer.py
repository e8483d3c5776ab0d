"""What only a newer Docker can: buildx, caches of all stages in a registry, `--link`. Run by `make newer`, as root.

PROGRAMS is a directory with the `docker` (with its buildx plugin) and `dockerd` of a release from 24 on.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rig.dockerfiles import Sample, samples
from tests.rig.engine import RealEngine, engine
from tests.rig.image import busybox, publish
from tests.rig.process import free_port
from tests.rig.registry import Registry
from tests.rig.toolbox import load_images
from tests.workers.dockerfile.test_build import SOUND, Shop, agent, files_in, with_libraries
from tests.workers.dockerfile.test_prediction import CHANGES, Bench, it_goes_as_foreseen
from tests.workers.dockerfile.test_several import BOTH, TEXT, bases, it_says_what_to_do, parts
from watcher.dockerfile.advice.lint import lint
from watcher.dockerfile.parse import parse
from workers.dockerfile.earlier import earlier
from workers.dockerfile.errors import BuildRefused
from workers.dockerfile.project import project
from workers.oci.stores import open_store

PROGRAMS = os.environ.get("PROGRAMS", "")
STAGES = """FROM {base} AS build
COPY requirements.txt ./
RUN cat /proc/uptime > /built
FROM {base}
COPY --from=build /built /built
COPY code ./code
"""


@pytest.fixture(scope="module")
def newer() -> Iterator[RealEngine]:
    with engine(programs=PROGRAMS, containerd=True) as running:
        yield running


@pytest.fixture
def shop(
    tmp_path: Path,
    newer: RealEngine,
    real: Registry,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    return Shop(tmp_path, newer, real, f"newer-{abs(hash(request.node.name)) % 10**8}")


def test_buildx_builds_what_was_foreseen(shop: Shop) -> None:
    shop.write({"Dockerfile": SOUND})
    first = shop.build()
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)

    assert (second.layers, second.new_layers, second.warning) == (first.layers, 1, "")
    assert second.foreseen == pytest.approx(second.new_size, abs=20)
    made = earlier(shop.store, second.image)
    assert made is not None
    told = json.loads(made.manifest.raw)["annotations"]
    assert told["org.opencontainers.image.source"] == made.labels["org.opencontainers.image.source"]


def test_a_cache_of_all_stages_warms_a_cold_builder(shop: Shop) -> None:
    cache = f"{shop.registry.address}/{shop.name}:cache"
    shop.write({"Dockerfile": STAGES})
    first = shop.build(cache=cache)
    assert not any("cannot keep a cache" in row for row in shop.said)
    shop.write({"code/main.py": "2\n"})
    with engine(programs=PROGRAMS, containerd=True) as cold:
        second = shop.build(first.image, docker=cold, cache=cache)

    # The stage `build` is in no image: without the cache it would be built again, and what is copied be another file.
    assert second.new_layers == 1
    assert "RUN cat" not in second.warning


def test_each_of_several_platforms_has_a_cache_of_its_own(shop: Shop) -> None:
    bases(shop)
    cache = f"{shop.registry.address}/{shop.name}:cache"
    shop.write({"Dockerfile": TEXT, "start/amd64": "amd64\n", "start/arm64": "arm64\n"})
    first = shop.build(cache=cache, platforms=BOTH)
    caches = [shop.store.named(f"cache-linux-{one}") for one in ("amd64", "arm64")]
    assert None not in caches
    assert len({*caches}) == 2
    assert shop.store.named("cache") is None
    for of, made in parts(shop, first.image).items():
        assert str(made.config.platform) == of
        assert files_in(shop, made.manifest.digest)["start"] == f"{of.partition('/')[2]}\n"
    shop.write({"code/main.py": "2\n"})
    with engine(programs=PROGRAMS, containerd=True) as cold:
        second = shop.build(first.image, docker=cold, cache=cache, platforms=BOTH)
    # Nothing was run; what is only copied may be copied again, and is the layer that it was.
    assert (second.new_layers, dict(second.timings)) == (1, {})
    with shop.docker.api() as api:
        pulled = api.pull(f"{shop.registry.address}/{shop.name}@{second.image}", auth_config=shop.login)
    assert "Downloaded newer image" in pulled


def test_buildx_cannot_run_what_is_for_another_platform_either(shop: Shop) -> None:
    it_says_what_to_do(shop)


def test_what_only_a_newer_engine_has_is_of_one_platform_too(shop: Shop) -> None:
    with shop.docker.api() as api:
        api.import_image_from_data(busybox({"only": "here"}), repository=f"{shop.registry.address}/only-here", tag="1")
    shop.write({"Dockerfile": f"FROM {shop.registry.address}/only-here:1\nCOPY code /code\n"})
    with pytest.raises(BuildRefused, match="only the engine has it, for linux/amd64, and it is built upon for"):
        shop.build(platforms=BOTH)
    assert shop.build(platforms=["linux/amd64"]).layers == 2


def test_an_agent_of_ssh_answers_through_buildx(shop: Shop, tmp_path: Path) -> None:
    base = open_store(f"{shop.registry.address}/base", shop.registries)
    publish(base, [busybox(with_libraries("ssh-add"))], tag="1-ssh", Env=["PATH=/bin:/usr/bin"])
    shop.write({"Dockerfile": "FROM {base}-ssh\nRUN --mount=type=ssh ssh-add -L > /keys\n"})
    with agent(tmp_path / "agent") as (socket, public):
        built = shop.build(ssh={"default": str(socket)})
    assert public in files_in(shop, built.image)["keys"]


def test_what_lint_links_stays_when_what_is_below_it_changes(shop: Shop) -> None:
    text = "FROM {base}\nWORKDIR /app\nCOPY requirements.txt ./\nRUN echo pip install -r requirements.txt\n"
    text += "COPY code ./code\n"
    shop.write({"Dockerfile": text, "code/large.txt": "x" * 400_000})
    file = shop.tree / "Dockerfile"
    past = replace(
        project(file, shop.tree, 30), history=(frozenset({"requirements.txt"}),) * 9, containerd=True, moved=()
    )
    fixed = lint(parse(file.read_text()), past).fixed
    assert "COPY --link code ./code" in fixed
    shop.write({"Dockerfile": fixed})
    first = shop.build()
    shop.write({"requirements.txt": "six==2\n"})
    second = shop.build(first.image)

    before, after = earlier(shop.store, first.image), earlier(shop.store, second.image)
    assert before is not None
    assert after is not None
    assert before.manifest.layers[-1].digest == after.manifest.layers[-1].digest
    assert before.manifest.layers[2].digest != after.manifest.layers[2].digest


@pytest.mark.parametrize("one", [one for one in samples() if one.needs], ids=lambda one: one.name)
def test_the_dockerfiles_that_need_a_newer_buildkit_are_foreseen_too(
    one: Sample, newer: RealEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    if one.needs == "--parents and --exclude":
        pytest.skip("its frontend is none that an engine has built in")
    with newer.api() as api:
        load_images(api)
    it_goes_as_foreseen(one, Bench(one, newer, tmp_path), len(CHANGES))


def test_a_directory_by_a_name_of_its_own_is_followed_as_the_context_is(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nCOPY --from=extra a.txt /a\nCOPY code ./code\n", "notes/a.txt": "1"})
    first = shop.build(contexts={"extra": "notes"})
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image, contexts={"extra": "notes"})
    assert (second.new_layers, second.warning) == (1, "")
    shop.write({"notes/a.txt": "2"})
    third = shop.build(second.image, contexts={"extra": "notes"})
    # The code is copied again, and makes the layer that it made.
    assert third.new_layers == 1
    assert "extra:a.txt enters at line 2: COPY --from=extra a.txt /a" in third.told


def test_a_cache_that_cannot_be_kept_costs_no_build(shop: Shop) -> None:
    shop.write({"Dockerfile": SOUND})
    cache = f"127.0.0.1:{free_port()}/nobody:cache"
    built = shop.build(cache=cache)
    assert built.new_layers
    assert built.warning.startswith(f"the cache could not be kept in {cache}: ")


def test_what_travelled_is_counted_and_a_base_that_only_the_engine_has_is_taken(shop: Shop) -> None:
    with shop.docker.api() as api:
        api.import_image_from_data(busybox(), repository=f"{shop.registry.address}/made", tag="here")
    shop.write({"Dockerfile": f"FROM {shop.registry.address}/made:here\nCOPY code ./code\n"})
    first = shop.build()
    made = earlier(shop.store, first.image)
    assert made
    assert first.pushed >= sum(layer.size for layer in made.manifest.layers)
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)
    assert second.new_size <= second.pushed < second.new_size + made.manifest.layers[0].size
