"""From a commit and its lock to an image: what is in it, what is made, and what travels."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.store import FakeStore
from tests.rig.image import layer, publish
from tests.rig.process import lack, need
from tests.rig.simple_index import SimpleIndex
from watcher.http import Http, Limits
from watcher.image import Digest, Platform
from watcher.layers.part import Terms
from watcher.pin import Pin
from watcher.rollout import Built
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.base import Base, read_base
from workers.image.build import build
from workers.image.errors import BuildRefused
from workers.image.parts import COMPONENT
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.layout import LayoutStore
from workers.oci.manifest import ImageConfig, Manifest
from workers.oci.store import Store, StoreRefused, StoreUnreachable

PYTHON = f"3.{sys.version_info.minor}"
FIRST, SECOND = "1" * 40, "2" * 40
COMMITTED = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)


def pin(package: str, version: str = "1.0", **more: Any) -> Pin:
    return Pin(**({"ecosystem": "pypi", "package": package, "version": version, "lock": "requirements.txt"} | more))


class Shop:
    """An application in a directory, an index with its packages, and a builder."""

    def __init__(self, directory: Path, index: SimpleIndex, http: Http, now: datetime) -> None:
        self.directory, self.index, self._http, self._now = directory, index, http, now
        self.url = index.url
        self.tree = directory / "tree"
        self.store: Store = FakeStore()
        self.base = Base()
        self.rates: dict[str, float] = {}
        # Packages of tests are so small that it would not be worth a layer to have one.
        self.terms = Terms(per_layer=0)
        self.packings: tuple[str, ...] = ("gzip",)
        self.app = ""
        self.image = ImageSettings(
            repository="registry.example/team/shop",
            python=PYTHON,
            interpreter=str(Path(sys.executable).resolve()),
            command=("python", "-m", "shop"),
        )
        self.write({"shop.py": "print('open')\n", "requirements.txt": "never in the image\n"})

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)

    def build(self, *pins: Pin, commit: str = FIRST, previous: Digest | None = None, scratch: str = "scratch") -> Built:
        recipe = Recipe(
            app=self.app,
            image=self.image,
            pins=pins,
            tree=self.tree,
            commit=commit,
            committed_at=COMMITTED,
            source="https://git.example/shop",
            previous=previous,
            rates=self.rates,
            terms=self.terms,
            packings=self.packings,
        )
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=self.url)}, Wheels.of(self.image), self._http)
        return build(recipe, self.base, self.store, house, scratch=self.directory / scratch, now=self._now)

    def later(self) -> None:
        self._now += timedelta(days=1)

    def manifest(self, built: Built) -> Manifest:
        raw = self.store.manifest(built.image)
        assert raw
        return Manifest.parse(raw, "")

    def config(self, built: Built) -> ImageConfig:
        with self.store.blob(self.manifest(built).config.digest) as stream:
            return ImageConfig.parse(stream.read(), "")

    def components(self, built: Built) -> list[str]:
        return [one.annotations.get(COMPONENT, "base") for one in self.manifest(built).layers]

    def asked(self) -> set[str]:
        """The packages that the index was asked for since the last time, and the files that it served."""
        found = {asked.path.strip("/").split("/")[-1] for asked in self.index.asked}
        self.index.asked.clear()
        return found

    def left_over(self) -> list[Path]:
        """What builds have left in their scratch directory."""
        return [path for path in (self.directory / "scratch").glob("*") if path.is_dir()]

    def unpacked(self, built: Built) -> Path:
        root = self.directory / "root"
        root.mkdir()
        for one in self.manifest(built).layers:
            with self.store.blob(one.digest) as stream:
                subprocess.run(["tar", "-xz", "-C", str(root)], input=stream.read(), check=True)
        return root


@pytest.fixture
def shop(tmp_path: Path, now: datetime) -> Iterator[Shop]:
    with SimpleIndex() as index, Http(limits=Limits(attempts=1)) as http:
        index.publish("api", "1.0", requires=["core>=1"], scripts={"api": "api:main"})
        index.publish("core", "1.0")
        index.publish("core", "1.1", files={"core/__init__.py": "__version__ = '1.1'\n"})
        yield Shop(tmp_path, index, http, now)


def fake(shop: Shop) -> FakeStore:
    assert isinstance(shop.store, FakeStore)
    return shop.store


def test_an_image_is_the_environment_one_layer_per_package_and_the_code(shop: Shop) -> None:
    built = shop.build(pin("core"), pin("api"))

    assert shop.components(built) == ["venv", "pypi:api@1.0", "pypi:core@1.0", "code"]
    assert (built.layers, built.new_layers) == (4, 4)
    assert fake(shop).tags["commit-111111111111"] == built.image
    assert built.size == shop.manifest(built).size


def test_the_configuration_says_how_to_run_it_and_what_it_was_made_of(shop: Shop) -> None:
    fake_base = FakeStore("registry.example/base")
    run: dict[str, Any] = {
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8", "MODE=base"],
        "Cmd": ["sh"],
        "User": "app",
        "OnBuild": ["RUN x"],
    }
    run["Labels"] = {"org.opencontainers.image.title": "base", "org.example.team": "base"}
    publish(fake_base, [layer({"etc/os": "x"})], tag="1", **run)
    shop.base = read_base("registry.example/base:1", fake_base, "1", Platform("linux", "amd64"))
    shop.image = shop.image.model_copy(update={"env": {"MODE": "shop", "A": "1"}})

    config = shop.config(shop.build(pin("core")))

    assert config.run == {
        "Env": ["PATH=/opt/venv/bin:/usr/bin", "LANG=C.UTF-8", "MODE=shop", "A=1", "VIRTUAL_ENV=/opt/venv"],
        "Cmd": ["python", "-m", "shop"],
        "User": "app",
        "WorkingDir": "/app",
        "Labels": {
            "org.example.team": "base",
            "org.opencontainers.image.created": "2026-11-02T08:30:00Z",
            "org.opencontainers.image.revision": FIRST,
            "org.opencontainers.image.source": "https://git.example/shop",
            "io.toplayer.lock": f"sha256:{hashlib.sha256(b'never in the image' + bytes([10])).hexdigest()}",
            "org.opencontainers.image.base.name": "registry.example/base:1",
            "org.opencontainers.image.base.digest": shop.base.digest,
        },
    }
    assert config.table["created"] == "2026-11-02T08:30:00Z"
    assert [row["created_by"] for row in config.table["history"]] == ["tests", "venv", "pypi:core@1.0", "code"]
    assert len(config.diff_ids) == 4


def test_the_manifest_says_whose_image_it_is_and_of_what(shop: Shop) -> None:
    shop.app = "web"
    shop.write({"pyproject.toml": '[project]\nname = "shop"\nversion = "3.1"\n'})

    built = shop.build(pin("core"))

    labels = shop.config(built).run["Labels"]
    told = shop.manifest(built).annotations
    assert (told["org.opencontainers.image.title"], told["org.opencontainers.image.version"]) == ("web", "3.1")
    assert told == {name: text for name, text in labels.items() if name.startswith("org.opencontainers.image.")}


@pytest.mark.parametrize("text", ['[project]\ndynamic = ["version"]\n', "[project", "[project]\nversion = 3\n", "\xff"])
def test_a_version_that_only_code_can_tell_is_not_told(shop: Shop, text: str) -> None:
    (shop.tree / "pyproject.toml").write_bytes(text.encode("latin-1"))

    assert "org.opencontainers.image.version" not in shop.manifest(shop.build(pin("core"))).annotations


def test_a_bump_makes_and_sends_one_layer_from_a_builder_that_has_nothing(shop: Shop) -> None:
    first = shop.build(pin("core"), pin("api"))
    shop.asked()
    fake(shop).uploads.clear()
    shop.later()

    second = shop.build(pin("core", "1.1"), pin("api"), commit=SECOND, previous=first.image, scratch="another machine")

    assert shop.asked() == {"core", "core-1.1-py3-none-any.whl"}
    changed = [one for one in shop.manifest(second).layers if "core" in one.annotations[COMPONENT]]
    assert second.new_layers == 1
    assert second.new_size == changed[0].size
    assert changed[0].digest in fake(shop).uploads
    # The layer, the configuration, what is known of the parts, and what is told of the image beside it.
    assert len(fake(shop).uploads) == 5
    assert shop.components(second) == ["venv", "pypi:api@1.0", "pypi:core@1.1", "code"]


def test_what_an_unchanged_package_needs_is_checked_without_installing_it(shop: Shop) -> None:
    first = shop.build(pin("core"), pin("api"))
    shop.index.publish("core", "0.9")

    with pytest.raises(BuildRefused, match=r"`api` needs `core>=1`, and the lock pins 0\.9"):
        shop.build(pin("core", "0.9"), pin("api"), commit=SECOND, previous=first.image)


def test_a_change_of_the_code_makes_and_sends_the_code(shop: Shop) -> None:
    first = shop.build(pin("core"))
    shop.asked()
    shop.write({"shop.py": "print('closed')\n"})

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert shop.asked() == set()
    assert second.new_layers == 1


def test_a_commit_that_changes_only_the_lock_leaves_the_code_as_it_is(shop: Shop) -> None:
    first = shop.build(pin("core"))
    shop.write({"requirements.txt": "core==1.1\n"})

    assert shop.build(pin("core", "1.1"), commit=SECOND, previous=first.image).new_layers == 1


def test_code_that_changes_seldom_has_a_layer_of_its_own(shop: Shop) -> None:
    shop.image = shop.image.model_copy(update={"split": ("static", "static/deep er")})
    shop.write({"static/logo.svg": "<svg/>", "static/deep er/x": "x", "statics.py": ""})
    first = shop.build(pin("core"))
    shop.write({"shop.py": "print('closed')\n"})

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert {"code", "code:static", "code:static/deep%20er"} <= set(shop.components(second))
    assert second.new_layers == 1
    root = shop.unpacked(second)
    assert (root / "app/static/deep er/x").read_text() == "x"
    assert (root / "app/statics.py").exists()


def test_layers_can_be_packed_with_zstd_and_what_was_packed_before_stays(shop: Shop) -> None:
    first = shop.build(pin("core"))
    shop.packings = ("zstd", "gzip")
    shop.write({"shop.py": "print('closed')\n"})

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert second.new_layers == 1
    assert packed(shop, second) == {"venv": "gzip", "pypi:core": "gzip", "code": "zstd"}


def test_while_a_host_has_not_answered_what_is_packed_with_zstd_stays(shop: Shop) -> None:
    shop.packings = ("zstd", "gzip")
    first = shop.build(pin("core"))
    shop.packings = ("gzip", "zstd")
    shop.write({"shop.py": "print('closed')\n"})

    second = shop.build(pin("core"), commit=SECOND, previous=first.image)

    assert packed(shop, second) == {"venv": "zstd", "pypi:core": "zstd", "code": "gzip"}


def test_a_host_that_takes_no_zstd_gets_none(shop: Shop) -> None:
    shop.packings = ("zstd", "gzip")
    first = shop.build(pin("core"))
    shop.packings = ("gzip",)

    again = shop.build(pin("core"), previous=first.image)

    assert set(packed(shop, again).values()) == {"gzip"}
    assert again.image != first.image


def packed(shop: Shop, built: Built) -> dict[str, str]:
    """How the layers are packed, by what is in them."""
    layers = shop.manifest(built).layers
    return {one.annotations[COMPONENT].partition("@")[0]: one.media_type.partition("+")[2] for one in layers}


def test_building_twice_sends_nothing_and_asks_nobody(shop: Shop) -> None:
    first = shop.build(pin("core"), pin("api"))
    shop.asked()
    fake(shop).uploads.clear()

    second = shop.build(pin("core"), pin("api"))

    assert (second.image, second.pushed, fake(shop).uploads, shop.asked()) == (first.image, 0, [], set())


def test_the_same_commit_is_the_same_image_on_another_machine_on_another_day(shop: Shop, tmp_path: Path) -> None:
    first = shop.build(pin("core"), pin("api"))
    shop.store, shop.tree = FakeStore(), tmp_path / "somewhere" / "else"
    shop.later()
    before = os.umask(0o077)
    try:
        shop.write({"requirements.txt": "never in the image\n", "shop.py": "print('open')\n"})
        os.utime(shop.tree / "shop.py", (1, 1))
        second = shop.build(pin("api"), pin("core"), scratch="a longer name for the directory of the build")
    finally:
        os.umask(before)

    assert second.image == first.image
    assert second.pushed > 0


def test_what_the_repository_has_lost_is_made_again_and_hosts_download_nothing_for_it(shop: Shop) -> None:
    first = shop.build(pin("core"), pin("api"))
    before = shop.manifest(first).layers
    lost = next(one for one in before if "api" in one.annotations[COMPONENT])
    del fake(shop).blobs[lost.digest]

    second = shop.build(pin("core", "1.1"), pin("api"), commit=SECOND, previous=first.image)

    assert lost.digest in fake(shop).blobs
    assert lost in shop.manifest(second).layers
    assert second.new_layers == 1
    assert shop.components(second) == ["venv", "pypi:api@1.0", "pypi:core@1.1", "code"]


def test_a_base_that_the_repository_has_lost_is_copied_again(shop: Shop) -> None:
    afar = FakeStore("elsewhere.example/base")
    publish(afar, [layer({"etc/os": "x"})], tag="1")
    shop.base = read_base("elsewhere.example/base:1", afar, "1", Platform("linux", "amd64"))
    first = shop.build(pin("core"))
    del fake(shop).blobs[shop.base.layers[0].digest]

    second = shop.build(pin("core", "1.1"), commit=SECOND, previous=first.image)

    assert fake(shop).has(shop.base.layers[0].digest)
    assert second.new_layers == 1


def test_two_apps_of_one_commit_have_their_images_side_by_side_in_one_repository(shop: Shop) -> None:
    shop.app = "web"
    web = shop.build(pin("core"), pin("api"))
    shop.app = "worker"
    worker = shop.build(pin("core"))
    shop.app = "web"
    again = shop.build(pin("core"), pin("api"))

    assert {fake(shop).tags[f"{app}-111111111111"] for app in ("web", "worker")} == {web.image, worker.image}
    assert (again.image, again.pushed) == (web.image, 0)


def test_a_previous_image_of_somebody_else_is_no_help_and_no_harm(shop: Shop) -> None:
    foreign = publish(shop.store, [layer({"a": "1"})])

    built = shop.build(pin("core"), previous=foreign)

    assert built.new_layers == 3


def test_without_what_is_known_of_its_parts_an_image_is_made_again_to_the_same_bytes(shop: Shop) -> None:
    first = shop.build(pin("core"), pin("api"))
    parts = fake(shop).tags.pop(f"sha256-{first.image.hex}.parts")
    fake(shop).manifests.pop(parts)
    fake(shop).uploads.clear()

    second = shop.build(pin("core"), pin("api"), previous=first.image)

    assert (second.image, second.new_layers, fake(shop).uploads) == (first.image, 0, [])
    assert f"sha256-{first.image.hex}.parts" in fake(shop).tags


def test_a_changed_setting_of_the_same_commit_is_another_image(shop: Shop) -> None:
    first = shop.build(pin("core"))
    shop.image = shop.image.model_copy(update={"command": ("python", "-V")})

    second = shop.build(pin("core"), previous=first.image)

    assert second.image != first.image
    assert second.new_layers == 0
    assert fake(shop).tags["commit-111111111111"] == second.image


def test_what_the_base_has_is_taken_over_from_next_door(shop: Shop) -> None:
    neighbour = FakeStore("registry.example/base")
    publish(neighbour, [layer({"etc/os": "x"})], tag="1")
    shop.base = read_base("registry.example/base:1", neighbour, "1", Platform("linux", "amd64"))

    built = shop.build(pin("core"))

    assert shop.components(built)[0] == "base"
    assert shop.base.layers[0].digest not in fake(shop).uploads
    assert fake(shop).has(shop.base.layers[0].digest)


def test_what_the_base_has_is_copied_from_afar_once(shop: Shop) -> None:
    afar = FakeStore("elsewhere.example/base")
    publish(afar, [layer({"etc/os": "x"})], tag="1")
    shop.base = read_base("elsewhere.example/base:1", afar, "1", Platform("linux", "amd64"))

    first = shop.build(pin("core"))
    afar.offline = True
    shop.build(pin("core", "1.1"), commit=SECOND, previous=first.image)

    assert fake(shop).uploads.count(shop.base.layers[0].digest) == 1


def test_on_another_base_the_layers_are_laid_anew_and_all_of_them_count_as_new(shop: Shop) -> None:
    neighbour = FakeStore("registry.example/base")
    for tag in ("1", "2"):
        publish(neighbour, [layer({"etc/os": "x"}), layer({"etc/version": tag})], tag=tag)
    shop.base = read_base("registry.example/base:1", neighbour, "1", Platform("linux", "amd64"))
    shop.rates, shop.terms = {"pypi:core": 0.2, "pypi:api": 0.1}, replace(shop.terms, payback=timedelta(days=1))
    first = shop.build(pin("core"), pin("api"))
    shop.rates = {"pypi:core": 0.1, "pypi:api": 0.2}
    stays = shop.build(pin("core"), pin("api"), commit="3" * 40, previous=first.image)
    shop.base = read_base("registry.example/base:2", neighbour, "2", Platform("linux", "amd64"))

    second = shop.build(pin("core"), pin("api"), commit=SECOND, previous=first.image)

    assert shop.components(stays)[2:] == ["venv", "pypi:api@1.0", "pypi:core@1.0", "code"]
    assert shop.components(second)[2:] == ["venv", "pypi:core@1.0", "pypi:api@1.0", "code"]
    assert second.new_layers == 5
    assert second.new_size == sum(one.size for one in shop.manifest(second).layers[1:])
    shop.terms = replace(shop.terms, classic=0.0)
    assert shop.build(pin("core"), pin("api"), commit=SECOND, previous=first.image).new_layers == 1


def test_packages_for_other_machines_are_left_out(shop: Shop) -> None:
    others = [pin("pywin32", marker="sys_platform == 'win32'"), pin("core", "0.1", marker="python_version < '3.9'")]

    assert shop.components(shop.build(pin("core"), *others)) == ["venv", "pypi:core@1.0", "code"]


@pytest.mark.parametrize(
    ("pins", "said"),
    [
        ((pin("core", "1.0"), pin("core", "1.1")), "it pins `core` at 1.0 and at 1.1"),
        ((pin("core", source="git"), pin("api", source="path")), "got `core` (git), `api` (path)"),
        ((pin("monolog/monolog", ecosystem="composer"),), "which no builder knows yet"),
        ((pin("api"),), "`api` needs `core>=1`, which the lock does not pin"),
        ((pin("core", "7"),), "`core` 7 is not on"),
    ],
)
def test_a_lock_that_cannot_be_built_is_refused_and_nothing_is_published(
    shop: Shop, pins: tuple[Pin, ...], said: str
) -> None:
    with pytest.raises(BuildRefused) as caught:
        shop.build(*pins)

    assert str(caught.value).startswith("requirements.txt: ")
    assert said in str(caught.value)
    assert fake(shop).manifests == {}
    assert shop.left_over() == []


def test_a_wheel_with_evil_in_it_is_refused_and_nothing_is_published(shop: Shop) -> None:
    shop.index.publish("evil", "1.0", files={"../../../../etc/cron.d/evil": "x"})

    with pytest.raises(BuildRefused, match=r"evil-1\.0-py3-none-any\.whl: \.\./\.\./"):
        shop.build(pin("evil"), pin("core"))

    assert fake(shop).manifests == {}


def test_a_pipe_in_the_tree_is_refused(shop: Shop) -> None:
    os.mkfifo(shop.tree / "pipe")

    with pytest.raises(BuildRefused, match="pipe: expected a file"):
        shop.build(pin("core"))


def test_a_repository_that_is_full_or_away_says_so(shop: Shop) -> None:
    fake(shop).full = True
    with pytest.raises(StoreRefused, match="No space left"):
        shop.build(pin("core"))
    fake(shop).full, fake(shop).offline = False, True
    with pytest.raises(StoreUnreachable):
        shop.build(pin("core"))

    assert fake(shop).tags == {}


@pytest.mark.parametrize("place", ["/bin/venv", "/lib", "/var/run/x", "/"])
def test_places_that_belong_to_the_base_are_refused(shop: Shop, place: str) -> None:
    shop.image = shop.image.model_copy(update={"venv": place})

    with pytest.raises(BuildRefused, match=r"image\.venv: "):
        shop.build(pin("core"))


def with_base_of(shop: Shop, layers: int) -> None:
    neighbour = FakeStore("registry.example/base")
    publish(neighbour, [layer({f"etc/{n}": "x"}) for n in range(layers)], tag="1")
    shop.base = read_base("registry.example/base:1", neighbour, "1", Platform("linux", "amd64"))


def test_more_packages_than_layers_share_some(shop: Shop) -> None:
    with_base_of(shop, 119)
    names = [f"part-{n}" for n in range(8)]
    for name in names:
        shop.index.publish(name, "1.0")
        shop.index.publish(name, "2.0")

    first = shop.build(*map(pin, names))
    shop.asked()
    second = shop.build(pin("part-0", "2.0"), *map(pin, names[1:]), commit=SECOND, previous=first.image)

    # One layer is kept free for what settles files that several packages have.
    assert (first.layers, second.layers, second.new_layers) == (124, 124, 1)
    changed = next(names for names in shop.components(second) if "pypi:part-0@2.0" in names.split())
    assert shop.asked() >= {"part-0"}
    assert len({one.partition("-1.0")[0] for one in changed.split()}) <= 3
    parts = " ".join(shop.components(second)[119:]).split()
    assert sorted(parts) == sorted(["venv", "code", "pypi:part-0@2.0", *(f"pypi:{name}@1.0" for name in names[1:])])


def test_in_an_image_that_is_full_files_of_several_packages_are_settled_all_the_same(shop: Shop) -> None:
    with_base_of(shop, 119)
    names = [f"part-{n}" for n in range(8)]
    for name in names:
        shop.index.publish(name, "1.0", files={f"{name}/x": "", "both.py": f"NAME = {name!r}\n"})

    built = shop.build(*map(pin, names))

    assert built.layers == 125
    assert shop.components(built)[-1] == "shared"


@pytest.mark.parametrize("layers", [124, 125])
def test_a_base_without_room_is_refused(shop: Shop, layers: int) -> None:
    with_base_of(shop, layers)

    with pytest.raises(BuildRefused, match=f"it has {layers} of the 125 layers of an image"):
        shop.build(pin("core"))


def test_what_was_built_runs(shop: Shop) -> None:
    shop.index.publish(
        "shout", "1.0", files={"shout.py": "def main():\n    print('HELLO')\n"}, scripts={"shout": "shout:main"}
    )
    built = shop.build(pin("core"), pin("shout"))

    root = shop.unpacked(built)

    python = root / "opt" / "venv" / "bin" / "python"
    said = subprocess.run([python, "-c", "import core; print(core.__version__)"], capture_output=True, check=True)
    assert said.stdout == b"1.0\n"
    said = subprocess.run([python, root / "opt/venv/bin/shout"], capture_output=True, check=True)
    assert said.stdout == b"HELLO\n"
    said = subprocess.run([python, "shop.py"], cwd=root / "app", capture_output=True, check=True)
    assert said.stdout == b"open\n"
    assert not (root / "app" / "requirements.txt").exists()


def test_skopeo_takes_the_image_for_one(shop: Shop, tmp_path: Path) -> None:
    need("skopeo")
    shop.store = LayoutStore(tmp_path / "layout")

    built = shop.build(pin("core"), pin("api"))

    def skopeo(*words: str) -> Any:
        image = f"oci:{tmp_path}/layout:commit-111111111111"
        return json.loads(subprocess.run(["skopeo", *words, image], capture_output=True, check=True).stdout)

    assert skopeo("inspect")["Digest"] == built.image
    assert len(skopeo("inspect", "--config")["rootfs"]["diff_ids"]) == 4
    copy = ["skopeo", "copy", "-q", f"oci:{tmp_path}/layout:commit-111111111111", f"oci:{tmp_path}/copy:latest"]
    subprocess.run(copy, check=True, capture_output=True)
    assert LayoutStore(tmp_path / "copy").manifest("latest") == shop.manifest(built).raw


def test_progress_is_told_in_words(shop: Shop, now: datetime) -> None:
    said: list[str] = []
    recipe = Recipe(image=shop.image, pins=(pin("core"),), tree=shop.tree, commit=FIRST, committed_at=COMMITTED)
    house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=shop.index.url)}, Wheels.of(shop.image), shop._http)

    build(recipe, shop.base, shop.store, house, scratch=shop.directory / "s", now=now, report=said.append)

    assert said[0].startswith("first: ")
    assert said[1].endswith("layers to make, 1 packages to install")
    assert any("pypi:core@1.0" in line for line in said)
    assert said[-1].endswith("sent to registry.example/team/shop")


def test_hashes_of_the_lock_are_part_of_what_a_layer_depends_on(shop: Shop) -> None:
    first = shop.build(pin("core"))
    shop.asked()
    wrong = replace(pin("core"), hashes=(f"sha256:{'0' * 64}",))

    with pytest.raises(BuildRefused, match="with a hash that the lock has"):
        shop.build(wrong, commit=SECOND, previous=first.image)


ON_A_SMALL_DISK = """
import os, sys
from tests.workers.image.test_build import *
with SimpleIndex() as index, Http() as http:
    index.publish("large", "1.0", files={"large/data": os.urandom(8_000_000)})
    shop = Shop(Path(sys.argv[1]), index, http, COMMITTED)
    try:
        shop.build(pin("large"))
    except BuildRefused as error:
        print(error, error.hint)
    print(fake(shop).manifests, shop.left_over())
"""


def test_a_full_disk_ends_a_build_in_words_and_leaves_nothing(tmp_path: Path) -> None:
    need("unshare", "mount")
    mounted = f'mount -t tmpfs -o size=6m tmpfs "{tmp_path}" && exec "$0" "$@"'
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "sh", "-c", mounted, "true"], capture_output=True).returncode:
        lack("this kernel lets nobody mount a small disk of his own")

    ran = subprocess.run(
        [*unshare, "sh", "-c", mounted, sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )

    said, left = ran.stdout.splitlines()
    assert "No space left on device" in said
    assert "room" in said or "space" in said
    assert left == "{} []"


KILLED = """
import sys
from tests.workers.image.test_build import *
with Http() as http:
    shop = Shop(Path(sys.argv[1]), SimpleIndex(), http, COMMITTED)
    shop.url, shop.store = sys.argv[2], LayoutStore(Path(sys.argv[1]) / "images")
    print("ready", flush=True)
    shop.build(*map(pin, sys.argv[3:]))
"""


@pytest.mark.parametrize("delay", [0.05, 0.15, 0.3, 0.5, 0.8])
def test_a_build_that_is_killed_is_taken_up_by_the_next_one(shop: Shop, tmp_path: Path, delay: float) -> None:
    names = [f"part-{n}" for n in range(8)]
    for name in names:
        shop.index.publish(name, "1.0", files={f"{name}/data": os.urandom(200_000)})
    argv = [sys.executable, "-c", KILLED, str(tmp_path), shop.url, *names]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        threading.Event().wait(delay)
        process.kill()

    shop.store = LayoutStore(tmp_path / "images")
    built = shop.build(*map(pin, names))

    shop.store = FakeStore()
    assert shop.build(*map(pin, names)).image == built.image
    assert shop.left_over() == []
    assert not list((tmp_path / "images").rglob(".new-*"))
