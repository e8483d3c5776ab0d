"""What has no wheel is built in a container of the base, on a real engine: once, without a network, without secrets."""

import gzip
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from tests.rig.base_image import PYTHON, base_image
from tests.rig.engine import RealEngine, ran
from tests.rig.image import layer, publish
from tests.rig.registry import Registry
from tests.rig.sdist import sdist, source_tree
from tests.rig.simple_index import SimpleIndex
from tests.workers.image.test_build import COMMITTED, pin
from watcher import lockfiles
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.layers.part import Terms
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.settings import GitSettings, ImageSettings, IndexSettings, SandboxSettings
from watcher.wheels import Wheels
from workers.container import LABEL, EngineGone
from workers.git import Repository
from workers.image.base import Base, open_base
from workers.image.build import build
from workers.image.errors import BuildRefused
from workers.image.recipe import Recipe
from workers.image.sandbox import Sandbox
from workers.image.sandbox_base import loaded
from workers.image.tools import Tools
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.oci.store import small_blob
from workers.oci.stores import open_store
from workers.process import ToolTimedOut, environment
from workers.propose.uv import Uv

pytestmark = pytest.mark.journey
DAY = 86_400

CHECK = """
import ext, gitted, here, importlib.metadata as m, json, sys
import gitted.own
facts = ext.FACTS
assert facts["built"] and facts["by"] == "helper" and not facts["network"], facts
assert not [name for name in facts["environment"] if "TOKEN" in name or "PASSWORD" in name], facts
assert m.version("ext") == "2.0" and m.version("gitted") == "3.1" and m.version("here") == "0.1"
assert json.loads(m.distribution("gitted").read_text("direct_url.json"))["vcs_info"]["vcs"] == "git"
print(here.__file__)
"""


@dataclass
class Yard:
    """An app whose packages all have to be built."""

    tmp: Path
    image: ImageSettings
    index: SimpleIndex
    http: Http
    store: Any

    def build(self, pins: Sequence[Pin], commit: str, previous: Digest | None = None, **image: Any) -> Built:
        settings = self.image.model_copy(update=image)
        uv = Uv(self.tmp / "state", IndexSettings(kind="pypi", url=self.index.url), Wheels.of(settings))

        def resolve(requirements: Sequence[str]) -> Sequence[Pin]:
            with uv.bench({}) as bench:
                words = ("pip", "compile", *uv.for_target, "--no-header", "--no-annotate", "-")
                said = bench.uv(words, input="\n".join(requirements))
            return lockfiles.format_of("requirements.txt").pins(said, "build-system.requires", {})

        def checkout(address: str, commit: str, into: Path) -> None:
            Repository(address, "main", self.tmp / "kit-mirror.git", GitSettings()).export(commit, into)

        recipe = Recipe(
            image=settings,
            pins=tuple(pins),
            sources=lockfiles.elsewhere(["requirements.txt"], lambda path: (self.tmp / "tree" / path).read_bytes()),
            locks=("requirements.txt",),
            tree=self.tmp / "tree",
            commit=commit * 40,
            committed_at=COMMITTED,
            previous=previous,
            terms=Terms(per_layer=0),
        )
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=self.index.url)}, Wheels.of(settings), self.http)
        base = open_base(settings.base, Platform.parse(settings.platform), {})
        tools = Tools(resolve=resolve, checkout=checkout, cache=self.tmp / "wheels")
        return build(recipe, base, self.store, house, tools=tools, scratch=self.tmp / "scratch", now=COMMITTED)


@pytest.fixture
def yard(tmp_path: Path, docker: RealEngine, real: Registry) -> Iterator[Yard]:
    image = ImageSettings(
        repository=f"{real.address}/team/yard",
        base=base_image().address,
        python=PYTHON,
        command=("python", "check.py"),
        sandbox=SandboxSettings(engine=docker.address),
    )
    write(tmp_path / "tree", {"check.py": CHECK})
    with SimpleIndex() as index, Http() as http:
        for name in ("helper", "late"):
            index.publish(name, "1.0", files={f"{name}/__init__.py": f"NAME = {name!r}\n"})
        yield Yard(tmp_path, image, index, http, open_store(image.repository, {real.address: real.settings}))


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def committed(directory: Path) -> str:
    """A commit of all that lies in a directory."""
    env = environment(directory, GIT_CONFIG_GLOBAL=os.devnull)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=directory, env=env, check=True)
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=directory, env=env, check=True, capture_output=True)
    return said.stdout.decode().strip()


def test_sdists_packages_of_git_and_of_the_repository_are_built_and_run(yard: Yard, docker: RealEngine) -> None:
    yard.index.add("ext", "ext-2.0.tar.gz", sdist("ext-2.0", source_tree("ext", "2.0")))
    write(yard.tmp / "kit" / "py", source_tree("gitted", "3.1"))
    commit = committed(yard.tmp / "kit")
    write(yard.tmp / "tree" / "libs" / "here", {**source_tree("here", "0.1"), "here.py": ""})
    lines = (
        "ext==2.0",
        f"gitted @ git+file://{yard.tmp}/kit@{commit}#subdirectory=py",
        "-e ./libs/here",
    )
    write(yard.tmp / "tree", {"requirements.txt": "\n".join(lines)})

    with pytest.raises(BuildRefused, match="only its code can tell"):
        yard.build([pin("ext", "2.0")], "1")
    with_name = {"pyproject.toml": source_tree("here", "0.1")["pyproject.toml"] + DYNAMIC}
    write(yard.tmp / "tree" / "libs" / "here", with_name)
    built = yard.build([pin("ext", "2.0")], "1")

    with docker.api() as api:
        api.pull(yard.image.repository, tag=str(built.image))
        assert ran(api, f"{yard.image.repository}@{built.image}") == "/app/libs/here/here.py\n"
        assert not [one for one in api.containers(all=True) if LABEL in one["Labels"]]
    before = len(yard.index.asked)
    write(yard.tmp / "tree", {"other.py": ""})
    second = yard.build([pin("ext", "2.0")], "2", built.image)
    assert (second.new_layers, len(yard.index.asked)) == (1, before)
    # What was built is kept: a builder that has lost its images does not build it again.
    third = yard.build([pin("ext", "2.0")], "3")
    assert third.new_layers == third.layers
    assert not [one for one in yard.index.asked[before:] if "helper" in one.path]


DYNAMIC = '[project]\nname = "here"\ndynamic = ["version"]\n'


def test_what_does_not_build_is_refused_with_its_last_words(yard: Yard) -> None:
    files = source_tree("ext", "2.0")
    files["build/backend.py"] += "\ndef build_wheel(*_):\n    raise SystemExit('no compiler here')\n"
    yard.index.add("ext", "ext-2.0.tar.gz", sdist("ext-2.0", files))
    write(yard.tmp / "tree", {"requirements.txt": "ext==2.0"})

    with pytest.raises(BuildRefused, match=r"ext-2\.0\.tar\.gz: it ended with 1: no compiler here") as caught:
        yard.build([pin("ext", "2.0")], "1")

    assert "base" in caught.value.hint
    with pytest.raises(BuildRefused, match=r"`ext` 2\.0 has no wheel") as caught:
        yard.build([pin("ext", "2.0")], "1", sandbox=None)
    assert "sandbox" in caught.value.hint


def test_an_engine_that_is_away_is_asked_again_later(yard: Yard, docker: RealEngine) -> None:
    assert yard.image.sandbox
    assert Sandbox(yard.image.sandbox, Base(), yard.tmp).engine().startswith("Docker ")
    away = SandboxSettings(engine=f"unix://{yard.tmp}/nobody.sock")
    yard.index.add("ext", "ext-2.0.tar.gz", sdist("ext-2.0", source_tree("ext", "2.0")))
    write(yard.tmp / "tree", {"requirements.txt": "ext==2.0"})

    with pytest.raises(EngineGone, match=r"nobody\.sock does not answer"):
        yard.build([pin("ext", "2.0")], "1", sandbox=away)


def test_a_build_ends_at_its_deadline(yard: Yard) -> None:
    files = source_tree("ext", "2.0")
    files["build/backend.py"] += "\ndef build_wheel(*_):\n    import time; time.sleep(600)\n"
    yard.index.add("ext", "ext-2.0.tar.gz", sdist("ext-2.0", files))
    write(yard.tmp / "tree", {"requirements.txt": "ext==2.0"})
    sandbox = yard.image.sandbox
    assert sandbox

    with pytest.raises(ToolTimedOut, match=r"ext-2\.0\.tar\.gz"):
        yard.build([pin("ext", "2.0")], "1", sandbox=sandbox.model_copy(update={"deadline": timedelta(seconds=4)}))


def test_what_was_compiled_for_one_base_is_built_again_for_the_next(yard: Yard) -> None:
    version = PYTHON.replace(".", "")
    compiled, plain = source_tree("ext", "2.0", f"cp{version}-cp{version}-linux_x86_64"), source_tree("pure", "2.0")
    yard.index.add("ext", "ext-2.0.tar.gz", sdist("ext-2.0", compiled))
    yard.index.add("pure", "pure-2.0.tar.gz", sdist("pure-2.0", plain))
    write(yard.tmp / "tree", {"requirements.txt": ""})
    pins = [pin("ext", "2.0"), pin("pure", "2.0")]
    first = yard.build(pins, "1")
    yard.index.asked.clear()

    second = yard.build(pins, "2", first.image, base=another_base(yard.tmp / "base"))

    fetched = [one.path.rpartition("/")[2] for one in yard.index.asked]
    assert "ext-2.0.tar.gz" in fetched
    assert "helper-1.0-py3-none-any.whl" in fetched
    assert "pure-2.0.tar.gz" not in fetched
    again = yard.build(pins, "3", second.image, base=f"oci:{yard.tmp}/base:latest")
    assert again.new_layers == 0


def test_a_base_that_nobody_has_used_for_a_month_goes_when_another_one_comes(
    tmp_path: Path, docker: RealEngine
) -> None:
    platform, now = Platform.parse("linux/amd64"), time.time()
    one, two = (open_base(name, platform, {}) for name in (base_image().address, another_base(tmp_path / "two")))
    with docker.api() as api:
        first = loaded(api, one, now)
        other = loaded(api, two, now + 20 * DAY)
        assert {first, other} <= set(_bases(api))
        api.remove_image(other)
        in_use = api.create_container(first, "true")

        loaded(api, two, now + 40 * DAY)
        assert {first, other} <= set(_bases(api)), "a container needs it"
        api.remove_container(in_use)
        api.remove_image(other)
        loaded(api, two, now + 40 * DAY)
        assert _bases(api) == [other]


def _bases(api: APIClient) -> list[str]:
    return [name for row in api.images(name="toplayer.invalid/base") for name in row["RepoTags"]]


def another_base(place: Path) -> str:
    """The base with one file more."""
    store = LayoutStore(place)
    manifest = base_image().copied_to(store)
    below = [gzip.decompress(small_blob(one, store, 2**30)) for one in manifest.layers]
    env = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"]
    publish(store, [*below, layer({"etc/debian_version": "next\n"})], tag="latest", Env=env)
    return f"oci:{place}:latest"
