"""Building as the service does it: a commit of a real repository, packages of real indexes, an image in a directory."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.desk import Nobody
from tests.rig.git_server import Origin
from tests.rig.simple_index import SimpleIndex
from tests.rig.world import PYTHON
from watcher import config
from watcher.desk import Desk
from watcher.ledger import Ledger
from watcher.rollout import Rollout, RolloutStage
from watcher.settings import Settings
from workers.git import GitRefused
from workers.image.parts import COMPONENT
from workers.oci.layout import LayoutStore
from workers.oci.manifest import Manifest
from workers.steps.build import BUILD
from workers.steps.tools import checkout_of

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@dataclass
class Place:
    """A repository, an index of one's own, and a public one."""

    root: Path
    origin: Origin
    own: SimpleIndex
    public: SimpleIndex
    more: str = ""
    last: str = ""

    def settings(self, **own: Any) -> Settings:
        rows = "".join(f"{name} = {value!r}\n".replace("True", "true") for name, value in own.items())
        return config.parse(
            f"""
            [toplayer]
            state = "{self.root}/state"
            [indexes.internal]
            kind = "pypi"
            url = "{self.own.url}"
            private = true
            {rows}
            [indexes.public]
            kind = "pypi"
            url = "{self.public.url}"
            private = true
            [apps.shop]
            repository = "{self.origin.directory}"
            lock = "requirements.txt"
            fleet = "field"
            image = {{ repository = "oci:{self.root}/images", python = "{PYTHON}"{self.more} }}
            [[fleets.field.hosts]]
            name = "here"
            address = "dir:{self.root}/here"
            {self.last}
            """,
            "test",
        )

    def build(self, lock: str, *before: Rollout, **own: Any) -> Rollout:
        """What becomes of a rollout of a commit with this lock, after others."""
        settings = self.settings(**own)
        commit = self.origin.write({"requirements.txt": lock, "shop.py": ""})
        ledger = Ledger(settings.ledger_url)
        try:
            ledger.write([(None, one) for one in before if not ledger.find(Rollout, id=one.id)], NOW)
            desk, number = Desk(settings, ledger, lambda: NOW, Nobody()), len(before) + 1
            return BUILD.do(desk, Rollout(id=f"{number}", app="shop", generation=number, commit=commit, wanted_at=NOW))
        finally:
            ledger.close()

    def components(self, rollout: Rollout) -> list[str]:
        assert rollout.image
        raw = LayoutStore(self.root / "images").manifest(rollout.image)
        assert raw
        return [layer.annotations[COMPONENT] for layer in Manifest.parse(raw, "").layers]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with SimpleIndex() as own, SimpleIndex() as public:
        own.publish("internal-core", "1.0")
        public.publish("alpha", "1.0")
        (tmp_path / "state").mkdir()
        yield Place(tmp_path, Origin(tmp_path / "shop.git"), own, public)


def asked(index: SimpleIndex) -> set[str]:
    """The packages that an index was asked for."""
    return {one.path.split("/")[2] for one in index.asked if one.path.startswith("/simple/")}


def test_every_package_comes_from_the_index_that_is_for_it(place: Place) -> None:
    # The same name and version, from somebody who would like to be in our images.
    place.public.publish("internal-core", "1.0", files={"internal_core/__init__.py": "raise SystemExit('evil')\n"})

    built = place.build("alpha==1.0\ninternal-core==1.0\n", only=["internal-*"])

    assert built.stage is RolloutStage.BUILT
    assert {"pypi:alpha@1.0", "pypi:internal-core@1.0"} <= set(" ".join(place.components(built)).split())
    assert (asked(place.own), asked(place.public)) == ({"internal-core"}, {"alpha"})


def test_an_index_in_front_is_asked_first_and_what_it_has_counts(place: Place) -> None:
    place.public.publish("internal-core", "1.0", files={"internal_core/__init__.py": "raise SystemExit('evil')\n"})

    place.build("alpha==1.0\ninternal-core==1.0\n")

    assert (asked(place.own), asked(place.public)) == ({"alpha", "internal-core"}, {"alpha"})


def test_what_is_new_is_reckoned_from_what_hosts_run_and_not_from_what_was_built_last(place: Place) -> None:
    place.public.publish("alpha", "1.1", files={"alpha/__init__.py": "VERSION = 2\n"})
    first = place.build("alpha==1.0\ninternal-core==1.0\n")
    done = replace(first, stage=RolloutStage.DONE)
    second = place.build("alpha==1.1\ninternal-core==1.0\n", done)
    halted = replace(second, stage=RolloutStage.HALTED)

    third = place.build("alpha==1.1\ninternal-core==1.0\n# a word\n", done, halted)

    assert third.built is not None
    assert second.built is not None
    assert (third.built.new_layers, third.built.new_size) == (second.built.new_layers, second.built.new_size)
    assert third.built.pushed < second.built.pushed


def test_an_image_for_several_platforms_is_an_index_in_the_ledger(place: Place) -> None:
    place.more = ', platforms = ["linux/amd64", "linux/arm64"]'

    first = place.build("alpha==1.0\ninternal-core==1.0\n")
    second = place.build("alpha==1.0\n", replace(first, stage=RolloutStage.DONE))

    store = LayoutStore(place.root / "images")
    assert first.image
    assert second.image
    for image in (first.image, second.image):
        raw = store.manifest(image)
        assert raw
        assert [row["platform"]["architecture"] for row in json.loads(raw)["manifests"]] == ["amd64", "arm64"]
    assert store.named(f"shop-{second.commit[:12]}") == second.image
    assert second.built is not None
    assert second.built.new_layers == 1


def test_submodules_are_part_of_the_code_and_are_not_looked_for_on_our_own_disk(place: Place) -> None:
    lib = Origin(place.root / "lib.git")
    at = lib.write({"menu.txt": "tea"})
    index = {"GIT_INDEX_FILE": str(place.root / "index")}
    told = place.origin.git("hash-object", "-w", "--stdin", input=b'[submodule "x"]\npath = lib\nurl = ../lib.git\n')
    for mode, blob, path in (("100644", told, ".gitmodules"), ("160000", at, "lib")):
        place.origin.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=index)
    tree = place.origin.git("write-tree", env=index)
    place.origin.git("update-ref", "refs/heads/main", place.origin.git("commit-tree", tree, "-m", "Begin"))

    built = place.build("alpha==1.0\ninternal-core==1.0\n")

    store = LayoutStore(place.root / "images")
    raw = store.manifest(str(built.image))
    assert raw
    code = next(one for one in Manifest.parse(raw, "").layers if "code" in one.annotations[COMPONENT].split())
    with store.blob(code.digest) as content, tarfile.open(fileobj=content, mode="r|gz") as tar:
        assert "app/lib/menu.txt" in tar.getnames()
    far = config.parse(ELSEWHERE, "test")
    with pytest.raises(GitRefused, match="on this machine's own disk"):
        checkout_of(far, far.apps["shop"])(str(lib.directory), at, place.root / "out")


ELSEWHERE = """
[toplayer]
state = "/var/lib/toplayer"
[apps.shop]
repository = "https://git.example/team/shop.git"
lock = "requirements.txt"
fleet = "field"
image = { repository = "oci:/images", python = "3.12" }
[[fleets.field.hosts]]
name = "here"
address = "dir:/srv/here"
"""
