"""What is built is built once for each base, and what is kept of it is good."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.rig.wheel import wheel
from watcher.http import Http
from watcher.image import Digest
from watcher.settings import ImageSettings, SandboxSettings
from watcher.wheels import Wheels
from workers.image.base import Base
from workers.image.errors import BuildRefused
from workers.image.sandbox import Job, Sandbox
from workers.image.wheel import Wheel
from workers.image.wheel_cache import WheelCache
from workers.image.wheelhouse import Wheelhouse
from workers.image.workshop import Tree, Workshop

OLD, NEW = Digest(f"sha256:{'1' * 64}"), Digest(f"sha256:{'2' * 64}")
IMAGE = ImageSettings(repository="registry.example/team/shop", python="3.12")


class Bench(Sandbox):
    """A place to build where whatever is built comes to the same wheel."""

    def __init__(self, base: Digest, made: bytes, tag: str, directory: Path) -> None:
        super().__init__(SandboxSettings(), Base("base", base), directory)
        self.made, self.tag, self.runs = made, tag, 0

    def run(self, job: Job, into: Path) -> int:
        self.runs += 1
        into.mkdir(parents=True, exist_ok=True)
        (into / f"ext-1.0-{self.tag}.whl").write_bytes(self.made)
        return 0


class Yard:
    """Builds the package `ext`, by a workshop with a cache."""

    def __init__(self, tmp: Path, http: Http, now: datetime) -> None:
        self.tmp, self.now, self.made, self.tag = tmp, now, wheel("ext", "1.0"), "cp312-cp312-linux_x86_64"
        self._house = Wheelhouse({}, Wheels.of(IMAGE), http)
        self.cache, self.runs = tmp / "wheels", 0
        (tmp / "tree").mkdir()
        (tmp / "tree" / "pyproject.toml").write_text("[build-system]\nrequires = []\n")

    def wheel(self, base: Digest = OLD, key: str = "key") -> tuple[Wheel, str]:
        """What comes of it, and what that was built on."""
        bench = Bench(base, self.made, self.tag, self.tmp)
        shop = Workshop(IMAGE, self._house, bench, cache=WheelCache(self.cache))
        tree = Tree(name="ext-1.0.tar.gz", package="ext", key=key, place=self.tmp / "tree", version="1.0")
        try:
            found = shop.wheel(tree, self.tmp / f"place-{self.runs}", self.now)
        finally:
            self.runs += bench.runs
        return found, shop.built_on(found)


@pytest.fixture
def yard(tmp_path: Path, now: datetime) -> Iterator[Yard]:
    with Http() as http:
        yield Yard(tmp_path, http, now)


def test_what_is_built_is_built_once_for_each_base(yard: Yard) -> None:
    for base in (OLD, OLD, NEW, NEW, OLD):
        assert yard.wheel(base)[1] == base

    assert yard.runs == 2


def test_what_says_that_it_fits_every_base_does(yard: Yard) -> None:
    yard.tag = "py3-none-any"

    assert yard.wheel()[1] == ""


def test_a_bad_wheel_is_not_kept(yard: Yard) -> None:
    good, yard.made = yard.made, wheel("other", "1.0")
    with pytest.raises(BuildRefused, match="expected ext"):
        yard.wheel()

    yard.made = good
    yard.wheel()

    assert yard.runs == 2


@pytest.mark.parametrize(
    "spoil", [lambda raw: bytes(len(raw)), lambda raw: raw[:-30], lambda raw: raw[:60] + b"x" + raw[61:]]
)
def test_a_wheel_that_a_disk_has_spoiled_is_made_again(yard: Yard, spoil: Callable[[bytes], bytes]) -> None:
    yard.wheel()
    [kept] = yard.cache.rglob("*.whl")
    kept.write_bytes(spoil(kept.read_bytes()))

    found, _ = yard.wheel()

    assert (yard.runs, found.path.read_bytes()) == (2, yard.made)
    assert [one.read_bytes() for one in yard.cache.rglob("*.whl")] == [yard.made]


def test_what_nobody_asks_for_goes_and_what_is_used_stays(yard: Yard) -> None:
    yard.wheel(key="used")
    yard.wheel(key="old")
    dead = yard.cache / ".new-dead"
    dead.mkdir()
    os.utime(dead, (yard.now.timestamp(), yard.now.timestamp()))
    yard.now += timedelta(days=60)
    yard.wheel(key="used")
    yard.now += timedelta(days=60)

    yard.wheel(key="new")

    assert not dead.exists()
    assert len(list(yard.cache.iterdir())) == 2
    yard.wheel(key="used")
    assert yard.runs == 3


def test_without_a_sandbox_nothing_is_built_and_nothing_is_taken_on_trust(yard: Yard) -> None:
    yard.wheel()
    shop = Workshop(IMAGE, yard._house, None, cache=WheelCache(yard.cache))

    with pytest.raises(BuildRefused, match="it has to be built"):
        shop.wheel(Tree(name="x", package="ext", key="key", place=yard.tmp), yard.tmp / "p", yard.now)
