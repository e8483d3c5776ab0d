"""`builder = "dockerfile"` on real parts: Debian's engine, a real registry, and everything that can go wrong."""

import contextlib
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from tests.rig.engine import RealEngine, engine
from tests.rig.image import Entry, File, Link, busybox, publish, publish_index
from tests.rig.process import need, server, wait_for
from tests.rig.registry import PASSWORD, USERNAME, Registry
from watcher.dockerfile.advice.lint import lint
from watcher.dockerfile.parse import parse
from watcher.errors import Refused, Temporary
from watcher.image import Digest
from watcher.rollout import Built
from watcher.secret import Secret
from watcher.settings import ImageSettings
from workers.dockerfile.build import build
from workers.dockerfile.client import find
from workers.dockerfile.earlier import earlier
from workers.dockerfile.errors import BuildFailed, BuildRefused, BuildTimedOut, EngineGone
from workers.dockerfile.project import project
from workers.dockerfile.recipe import Recipe
from workers.oci.store import Store, small_blob
from workers.oci.stores import open_store

pytestmark = pytest.mark.journey

SOUND = """FROM {base}
WORKDIR /app
COPY requirements.txt ./
RUN date > /installed && cat /proc/uptime >> /installed
COPY code ./code
"""
TREE_FIRST = """FROM {base}
COPY . /app
RUN pip install -r /app/requirements.txt; cat /proc/uptime > /installed
"""


@dataclass
class Shop:
    """A repository's files, a place for its images, and a history that is remembered here."""

    root: Path
    docker: RealEngine
    registry: Registry
    name: str

    def __post_init__(self) -> None:
        self.registries = {self.registry.address: self.registry.settings}
        self.tree = self.root / "tree"
        self.said: list[str] = []
        self.commits = 0
        self.scratch = self.root / "scratch"
        self.changed: list[str] = []
        base = open_store(f"{self.registry.address}/base", self.registries)
        programs = {f"bin/{name}": Link("busybox") for name in ("date", "mkdir", "touch", "tail", "cp")}
        publish(base, [busybox(programs)], tag="1", Env=["PATH=/bin"])
        self.base = f"{self.registry.address}/base:1"
        self.write({"requirements.txt": "six==1\n", "code/main.py": "1\n"})

    @property
    def store(self) -> Store:
        return open_store(f"{self.registry.address}/{self.name}", self.registries)

    def write(self, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(content.replace("{base}", self.base))
            self.changed.append(name)

    def build(self, previous: Digest | None = None, *, docker: RealEngine | None = None, **settings: Any) -> Built:
        self.commits += 1
        self.said.clear()
        changed, self.changed = self.changed, []
        platforms = settings.pop("platforms", None)
        where = {"platforms": platforms} if platforms else {"platform": settings.pop("platform", "linux/amd64")}
        settings = {"engine": (docker or self.docker).address, "network": "none", **settings}
        image = ImageSettings.model_validate(
            {
                "builder": "dockerfile",
                "repository": f"{self.registry.address}/{self.name}",
                "python": "3.11",
                **where,
                "dockerfile": settings,
            }
        )
        recipe = Recipe(
            image=image,
            tree=self.tree,
            commit=f"{self.commits:040x}"[::-1],
            committed_at=datetime(2026, 1, 1, tzinfo=UTC),
            source="https://git.example/shop.git",
            previous=previous,
            parents=(f"{self.commits - 1:040x}"[::-1],),
            changed=lambda before, after: changed,
        )
        return build(recipe, self.store, self.registries, scratch=self.scratch, report=self.said.append)

    @property
    def login(self) -> dict[str, str]:
        return {"username": USERNAME, "password": PASSWORD}

    def labels(self, image: Digest) -> Mapping[str, str]:
        found = earlier(self.store, image)
        assert found
        return found.labels


def another_second() -> None:
    """A directory that COPY makes has the time of the build, to the second: made twice within one, it is one layer."""
    time.sleep(1 - time.time() % 1)


@pytest.fixture
def shop(tmp_path: Path, docker: RealEngine, real: Registry, request: pytest.FixtureRequest) -> Shop:
    return Shop(tmp_path, docker, real, f"shop-{abs(hash(request.node.name)) % 10**8}")


def test_a_change_is_one_new_layer_foreseen_and_known_by_digest(shop: Shop) -> None:
    shop.write({"Dockerfile": SOUND})
    first = shop.build()
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)

    assert (second.layers, second.new_layers, second.warning) == (first.layers, 1, "")
    assert second.foreseen == pytest.approx(second.new_size, abs=20)
    assert "code/main.py enters at line 5: COPY code ./code" in shop.said
    labels = shop.labels(second.image)
    assert labels["org.opencontainers.image.base.name"] == shop.base
    assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert labels["org.opencontainers.image.source"] == "https://git.example/shop.git"
    # The same commit again: it is there.
    shop.commits -= 1
    again = shop.build(first.image)
    assert (again.image, again.pushed) == (second.image, 0)


def test_what_is_said_beforehand_and_afterwards_is_kept_beside_the_image(shop: Shop) -> None:
    shop.write({"Dockerfile": TREE_FIRST})
    first = shop.build()
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)
    assert "code/main.py enters at line 2: COPY . /app" in second.told
    assert second.timings
    # As after a crash between the push and the note in the ledger.
    shop.commits -= 1
    again = shop.build(first.image)
    assert replace(again, pushed=second.pushed, seconds=second.seconds) == second
    made = earlier(shop.store, second.image)
    assert made
    assert made.manifest.annotations["org.opencontainers.image.source"] == "https://git.example/shop.git"
    assert made.manifest.annotations["org.opencontainers.image.base.name"] == shop.base
    assert nothing_is_named_like(shop)
    with shop.docker.api() as api:
        api.pull(f"{shop.registry.address}/{shop.name}@{second.image}", auth_config=shop.login)


def test_two_builders_that_take_turns_are_told(shop: Shop) -> None:
    shop.write({"Dockerfile": SOUND})
    first = shop.build()
    shop.commits += 5
    with engine() as other:
        # It makes the same step once by itself, and later: of two that it could have it takes the newer one.
        shop.build(docker=other)
        shop.write({"code/main.py": "2\n"})
        second = shop.build(first.image, docker=other)
    assert second.warning.startswith("line 4: RUN date > /installed")
    assert "and 2 more came out otherwise (in the builder's cache is another layer of it" in second.warning


def test_another_machine_starts_from_the_image_before(shop: Shop) -> None:
    shop.write({"Dockerfile": SOUND})
    first = shop.build()
    shop.write({"code/main.py": "2\n"})
    with engine() as cold:
        # Not by the ledger: by the tag of the commit before.
        second = shop.build(None, docker=cold)
    assert (second.new_layers, second.warning) == (1, "")
    assert second.layers == first.layers


def test_a_rebuild_that_is_wider_than_it_had_to_be_names_the_instruction(shop: Shop) -> None:
    shop.write({"Dockerfile": TREE_FIRST})
    first = shop.build()
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)
    assert second.warning.startswith("line 2: COPY . /app was made anew (it takes `code/main.py`), and with it line 3:")
    shop.write({"requirements.txt": "six==2\n"})
    assert shop.build(second.image).warning == ""


def test_a_base_that_moves_is_followed_and_named(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nRUN pip install x; cat /proc/uptime > /installed\n"})
    first = shop.build()
    store = open_store(f"{shop.registry.address}/base", shop.registries)
    publish(store, [busybox({"etc/moved": "yes"})], tag="1", Env=["PATH=/bin"])
    second = shop.build(first.image)
    assert "the base image" in second.warning
    assert "has moved" in second.warning
    digests = {shop.labels(one.image)["org.opencontainers.image.base.digest"] for one in (first, second)}
    assert len(digests) == 2


def test_a_base_that_is_published_again_with_the_same_files_rebuilds_nothing(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}-again\nRUN cat /proc/uptime > /installed\nCOPY code ./code\n"})
    store = open_store(f"{shop.registry.address}/base", shop.registries)
    publish(store, [busybox({"etc/again": "yes"})], tag="1-again", Env=["PATH=/bin"])
    first = shop.build()
    publish(store, [busybox({"etc/again": "yes"})], tag="1-again", Env=["PATH=/bin"], Labels={"another": "one"})
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)
    assert (second.new_layers, second.warning) == (1, "")


CROSS = """FROM --platform=$BUILDPLATFORM {base}-both AS build
RUN echo $BUILDPLATFORM for $TARGETPLATFORM > /built
ARG TARGETPLATFORM
RUN echo for $TARGETPLATFORM >> /built
FROM {base}-both
COPY --from=build /built /etc/motd /
"""


def test_a_stage_of_the_builders_platform_runs_on_the_builder_whatever_the_image_is_for(shop: Shop) -> None:
    store = open_store(f"{shop.registry.address}/base", shop.registries)
    images = {
        f"linux/{architecture}": publish(
            store, [busybox({"etc/motd": f"of {architecture}\n"})], architecture=architecture, Env=["PATH=/bin"]
        )
        for architecture in ("amd64", "arm64")
    }
    publish_index(store, images, "1-both")
    shop.write({"Dockerfile": CROSS})
    first = shop.build(platform="linux/arm64")
    made = earlier(shop.store, first.image)
    assert made
    assert made.config.platform.architecture == "arm64"
    assert files_in(shop, first.image) == {"built": "for\nfor linux/arm64\n", "motd": "of amd64\n"}
    assert made.labels["org.opencontainers.image.base.digest"] == images["linux/arm64"]
    shop.write({"code/main.py": "2\n"})
    assert shop.build(first.image, platform="linux/arm64").new_layers == 0


def test_what_a_base_has_for_those_who_stand_on_it_is_foreseen(shop: Shop) -> None:
    store = open_store(f"{shop.registry.address}/base", shop.registries)
    rows = ["COPY requirements.txt /", "RUN cat /proc/uptime > /installed"]
    publish(store, [busybox()], tag="1-onbuild", Env=["PATH=/bin"], OnBuild=rows)
    shop.write({"Dockerfile": "FROM {base}-onbuild\nCOPY code ./code\n"})
    first = shop.build()
    assert first.layers == 4
    shop.write({"code/main.py": "2\n"})
    second = shop.build(first.image)
    assert (second.new_layers, second.warning) == (1, "")
    shop.write({"requirements.txt": "six==2\n"})
    another_second()
    third = shop.build(second.image)
    assert third.new_layers == 3
    assert any("COPY requirements.txt / is made anew" in row for row in shop.said)


def test_secrets_are_neither_in_the_image_nor_in_what_is_said(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDEX_TOKEN", "hunter2-hunter2")
    secrets = {"index": Secret(env="INDEX_TOKEN").model_dump()}
    read = "RUN --mount=type=secret,id=index,required test $(cat /run/secrets/index) = hunter2-hunter2"
    shop.write({"Dockerfile": "FROM {base}\n" + read.replace(" = hunter2-hunter2", " != x") + "\n"})
    made = earlier(shop.store, shop.build(secrets=secrets).image)
    assert made
    assert b"hunter2" not in str(made.config.table).encode()

    shop.write({"Dockerfile": "FROM {base}\nRUN --mount=type=secret,id=index cat /run/secrets/index; false\n"})
    with pytest.raises(BuildFailed) as failed:
        shop.build(secrets=secrets)
    assert "hunter2" not in str(failed.value)
    assert "[hidden]" in str(failed.value)

    shop.write({"Dockerfile": "FROM {base}\nLABEL token=hunter2-hunter2\n"})
    with pytest.raises(BuildRefused, match="tells a secret"):
        shop.build(secrets=secrets)
    shop.write({"Dockerfile": "FROM {base}\nRUN --mount=type=secret,id=index cp /run/secrets/index /token\n"})
    # Once more, and the builder has the step in its cache.
    for _ in range(2):
        with pytest.raises(BuildRefused, match="a file in the image holds a secret"):
            shop.build(secrets=secrets)
    assert not any("hunter2" in line for line in shop.said)
    assert not list((shop.root / "scratch").glob("*/secret*"))
    assert not shop.store.manifest(f"commit-{f'{shop.commits:040x}'[::-1][:12]}")
    assert nothing_is_named_like(shop)


def nothing_is_named_like(shop: Shop) -> bool:
    """Whether no image on the engine has a name of the shop's repository."""
    with shop.docker.api() as api:
        return not api.images(f"{shop.registry.address}/{shop.name}")


def test_a_secret_of_many_lines_is_looked_for_and_not_its_brackets(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    key = '{\n    "type": "account",\n    "key": "say \\"friend\\""\n    },\n'
    monkeypatch.setenv("ACCOUNT", key)
    secrets = {"account": Secret(env="ACCOUNT").model_dump()}
    shop.write({"Dockerfile": "FROM {base}\nRUN --mount=type=secret,id=account cat /run/secrets/account | wc -c\n"})
    assert shop.build(secrets=secrets).new_layers
    shop.write({"Dockerfile": 'FROM {base}\nLABEL key=\'"key": "say \\"friend\\""\'\n'})
    with pytest.raises(BuildRefused, match="tells a secret"):
        shop.build(secrets=secrets)


def test_an_agent_of_ssh_answers_while_a_step_runs_and_is_nowhere_afterwards(shop: Shop, tmp_path: Path) -> None:
    text = "FROM {base}-ssh\nRUN --mount=type=ssh ssh-add -L > /keys\nRUN test ! -S /run/buildkit/ssh_agent.0\n"
    base = open_store(f"{shop.registry.address}/base", shop.registries)
    publish(base, [busybox(with_libraries("ssh-add"))], tag="1-ssh", Env=["PATH=/bin:/usr/bin"])
    shop.write({"Dockerfile": text})
    with agent(tmp_path / "agent") as (socket, public):
        built = shop.build(ssh={"default": str(socket)})
        assert public in files_in(shop, built.image)["keys"]
    shop.write({"Dockerfile": text.replace("/keys", "/others")})
    with pytest.raises(BuildFailed):
        shop.build()


@contextlib.contextmanager
def agent(directory: Path) -> Iterator[tuple[Path, str]]:
    """A real agent with a new key: its socket, and the public half."""
    need("ssh-agent", "ssh-add", "ssh-keygen")
    directory.mkdir()
    socket, key = directory / "socket", directory / "key"
    with server(["ssh-agent", "-D", "-a", str(socket)], directory / "log", socket.exists):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        env = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=env, capture_output=True)
        yield socket, key.with_name("key.pub").read_text().split()[1]


def with_libraries(program: str) -> dict[str, Entry]:
    """A program of this machine, for an image: with everything that it is linked with."""
    need(program)
    path = str(shutil.which(program))
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in said.split() if word.startswith("/")]
    return {name.lstrip("/"): File(Path(name).read_bytes()) for name in (path, *libraries)}


def files_in(shop: Shop, image: Digest) -> dict[str, str]:
    """The small files of the image's own layers, by their names."""
    made = earlier(shop.store, image)
    assert made
    found = {}
    for layer in made.manifest.layers[1:]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(small_blob(layer, shop.store, 10_000_000)))) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                found[member.name] = content.read().decode("utf-8", "replace") if content else ""
    return found


def test_an_engine_that_is_killed_leaves_nothing_half_made_and_the_next_one_builds_it(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nRUN echo slowly; sleep 3; echo done > /done\n"})
    with engine() as other:
        threading.Timer(2, lambda: killed(other)).start()
        with pytest.raises(EngineGone):
            shop.build(docker=other)
        assert not shop.store.manifest("commit-1" + "0" * 11)
    shop.commits -= 1
    assert "done" in files_in(shop, shop.build().image)
    assert not list((shop.root / "scratch").glob("tmp*"))


def killed(docker: RealEngine) -> None:
    """As a machine that loses its power: the engine, and the containerd that it started."""
    docker.process.kill()
    os.kill(int((docker.root / "exec/containerd/containerd.pid").read_text()), SIGKILL)


def test_our_own_full_disk_is_told_as_one(shop: Shop, tmp_path: Path) -> None:
    shop.write({"Dockerfile": SOUND})
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(small)], check=True)
    try:
        shop.scratch = small
        with pytest.raises(Refused) as refused:
            shop.build(secrets={"large": {"env": "PATH"}})
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert "No space left" in str(refused.value)
    assert "nothing was published" in refused.value.hint


PIP = """#!/bin/sh
for word; do list=$word; done
sort $list >> /installed-by-$$
"""


def test_what_lint_takes_apart_makes_only_the_hot_layer_anew(shop: Shop) -> None:
    base = open_store(f"{shop.registry.address}/base", shop.registries)
    tools = {f"bin/{name}": Link("busybox") for name in ("sed", "grep", "sort", "mkdir")}
    publish(base, [busybox({**tools, "bin/pip": File(PIP.encode())})], tag="1-pip", Env=["PATH=/bin"])
    cold = "".join(f"cold{number}==1.0\n" for number in range(9))
    text = "FROM {base}-pip\nCOPY requirements.txt /\nRUN pip install -r /requirements.txt\nCOPY code /code\n"
    shop.write({"Dockerfile": text, "requirements.txt": f"{cold}hot==1 \\\n  --hash=sha256:aa\n"})
    file = shop.tree / "Dockerfile"
    hot = ({"requirements.txt": frozenset({"hot"})},) * 5
    past = replace(project(file, shop.tree, 30), history=(frozenset({"requirements.txt"}),) * 5, moved=hot)
    fixed = lint(parse(file.read_text()), past).fixed
    assert "(hot)" in fixed
    shop.write({"Dockerfile": fixed})
    first = shop.build()
    shop.write({"requirements.txt": f"{cold}hot==2 \\\n  --hash=sha256:bb\n"})
    another_second()
    second = shop.build(first.image)

    # The list, what is installed of it, and the code above; neither the cold list nor what came of that.
    assert (second.layers - second.new_layers, second.warning) == (3, "")
    names = files_in(shop, second.image)
    assert any("cold8" in content and "hot" not in content for content in names.values())


def test_a_build_that_fails_says_the_last_lines_of_its_step_and_nothing_else(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nRUN echo fine\nRUN echo broken here; exit 3\n"})
    with pytest.raises(BuildFailed) as failed:
        shop.build()
    rows = str(failed.value).splitlines()
    assert rows[0] == "Dockerfile: [3/3] RUN echo broken here; exit 3"
    assert rows[1] == "broken here"
    assert len(rows) == 3
    assert shop.store.manifest("commit-1" + "0" * 11) is None


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("FROM {base}\nCOPY nowhere /\n", {}, "nowhere"),
        ("FROM {base}\nBAKE\n", {}, "Dockerfile:2: expected an instruction, got BAKE"),
        ("FROM {base}\n", {"target": "deploy"}, "expected a stage named deploy"),
        ("FROM {base}\n", {"file": "docker/Dockerfile"}, "docker/Dockerfile: there is no such file"),
        ("FROM {base}\n", {"context": "elsewhere"}, "expected a directory"),
        ("FROM {base}-missing\n", {}, "has no image"),
        ("FROM {base}\n", {"secrets": {"a": {"env": "NOT_SET_ANYWHERE"}}}, "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_pushed(
    shop: Shop, text: str, settings: dict[str, Any], said: str
) -> None:
    shop.write({"Dockerfile": text})
    with pytest.raises(Refused) as refused:
        shop.build(**settings)
    assert said in str(refused.value)
    assert not shop.store.manifest(f"commit-{f'{shop.commits:040x}'[::-1][:12]}")


def test_a_build_that_hangs_is_ended_and_nothing_is_left_running(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nRUN sleep 4321\n"})
    with pytest.raises(BuildTimedOut) as timed_out:
        shop.build(deadline="3s")
    assert "RUN sleep 4321" in str(timed_out.value)
    wait_for(lambda: not running("sleep\0" + "4321"), "the step to be ended")


def running(command: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if command.encode() in path.read_bytes():
                return True
    return False


def test_an_engine_that_goes_away_is_nobodys_fault(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nRUN sleep 30\n"})
    with engine() as other:
        gone = threading.Timer(3, other.process.terminate)
        gone.start()
        with pytest.raises(EngineGone):
            shop.build(docker=other)
        other.process.wait()
        with pytest.raises(EngineGone):
            shop.build(docker=other)
        other.restart()
    assert issubclass(EngineGone, Temporary)
    assert not shop.store.manifest("commit-1" + "0" * 11)


def test_a_full_disk_is_told_as_one(shop: Shop) -> None:
    shop.write({"Dockerfile": "FROM {base}\nRUN dd if=/dev/zero of=/full bs=1M count=200\n"})
    with engine(data_size="48m") as small, pytest.raises(Refused) as refused:
        shop.build(docker=small)
    assert "disk is full" in str(refused.value)


def test_a_client_without_buildkit_is_refused_with_the_remedy(tmp_path: Path) -> None:
    fake = tmp_path / "docker"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "Docker version 28.2.2, build e6534b4"; exit 0; }\nexit 1\n'
    )
    fake.chmod(0o755)
    with pytest.raises(BuildRefused) as refused:
        find({"PATH": f"{tmp_path}:/bin" if not (Path("/bin") / "docker").exists() else str(tmp_path)})
    assert "28.02, without buildx" in str(refused.value)
    assert "docker-buildx" in refused.value.hint
    with pytest.raises(BuildRefused, match="no docker at all"):
        find({"PATH": "/nonexistent"})
