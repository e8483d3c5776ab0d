"""Builds side by side: toplayer, and `docker build` with the Dockerfiles that people have: `make bench-build`.

One real application of 60 packages; every side downloads the same wheels from the same index on loopback and pushes to
the same registry; hosts pull, one with Docker's classic store and, if there is one, one with the containerd store.
Measured are the first build, a bump of one package, and a change of the code; then the bump again by a builder that has
nothing but the lock (and `--cache-from`). toplayer also bumps other packages, wherever they lie, each by both kinds of
builders. Seconds are from the lock to the pushed manifest; of toplayer in a service that runs, and "cold" in a process
that has just started. CPU is that of the engine and what it starts, or of toplayer's process. In the end stands which
goals (`bench.goals`) were reached.

Needs root, dockerd with BuildKit, docker-registry, and for the wheels the public index, once. `--link` and the
containerd store need a Docker from 24 on with its buildx plugin: in a directory, named by `--programs` (`make newer`
unpacks one into var/newer/bin).
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.goals import BUMP, CODE, FIRST, LINKED, OURS, USUAL, Row, goals, table
from tests.rig.base_image import base_image
from tests.rig.engine import RealEngine, engine
from tests.rig.process import free_port, server
from tests.rig.registry import Registry, registry
from watcher import lockfiles
from watcher.http import Http
from watcher.image import Digest, Platform
from watcher.indexes import INDEXES
from watcher.layers.rates import package_rate
from watcher.lookup import Lookup
from watcher.pin import Pin
from watcher.policy import DEFAULT
from watcher.settings import ImageSettings, IndexSettings
from watcher.wheels import Wheels
from workers.image.base import open_base
from workers.image.build import build
from workers.image.recipe import Recipe
from workers.image.wheelhouse import Wheelhouse
from workers.oci.manifest import Manifest
from workers.oci.stores import open_store

HERE = Path(__file__).parent
DOCKER = "/usr/bin/docker"
BUMPED = "certifi"
OTHERS = ("sqlparse", "soupsieve", "idna", "redis", "babel", "scipy")
"""Packages that toplayer bumps besides: small ones and large ones, from the top of the image to its bottom. The release
before has to be one that the others allow: a lock that is not whole is refused."""
LARGE = ("babel", "scipy")
RATES = Path(tempfile.gettempdir()) / f"toplayer-bench-rates-{os.getuid()}.json"
SMALL = ("certifi", "charset-normalizer", "idna", "requests", "urllib3", "sqlparse", "asgiref", "django")

NAIVE = """FROM {base}
COPY . /app
RUN python3 -m pip install -q --no-cache-dir --index-url {index}/simple/ -r /app/requirements.txt
"""
SPLIT = """FROM {base}
COPY requirements.txt /app/
RUN python3 -m pip install -q --no-cache-dir --index-url {index}/simple/ -r /app/requirements.txt
COPY . /app
"""
BY_HAND = """FROM {base}
COPY cold.txt /app/
RUN python3 -m pip install -q --no-cache-dir --no-deps --index-url {index}/simple/ -r /app/cold.txt
COPY hot.txt /app/
RUN python3 -m pip install -q --no-cache-dir --no-deps --index-url {index}/simple/ -r /app/hot.txt
COPY . /app
"""
LINKED_FILE = """FROM {base} AS cold
COPY cold.txt /app/
RUN python3 -m pip install -q --no-cache-dir --no-deps --index-url {index}/simple/ --prefix /cold -r /app/cold.txt
FROM {base} AS hot
COPY hot.txt /app/
RUN python3 -m pip install -q --no-cache-dir --no-deps --index-url {index}/simple/ --prefix /hot -r /app/hot.txt
FROM {base}
COPY --link --from=hot /hot /usr/local
COPY --link --from=cold /cold /usr/local
COPY --link . /app
"""
BY_US = f"{BUMPED} split off by hand"
DOCKERFILES = {BY_US: BY_HAND, USUAL: SPLIT, "naive": NAIVE}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--size", choices=["full", "small"], default="full")
    arguments.add_argument("--programs", default="", metavar="DIRECTORY", help="another Docker, from 24 on")
    asked = arguments.parse_args()
    # Who ends it ends the engines, too, and sees what there is so far.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toplayer-bench-")))
        # Nobody's logins.
        os.environ["DOCKER_CONFIG"] = str(place / "docker")
        bench = stack.enter_context(prepared(place, asked.size, asked.programs))
        rows: list[Row] = []
        try:
            rows.extend(_told(_every(bench)))
        finally:
            _print(rows, bench)


@dataclass
class Bench:
    place: Path
    index: str
    registry: Registry
    base: str
    lock: list[str]
    older: str
    newer: str
    programs: str
    before: dict[str, str]

    def client(self, who: str) -> str:
        """The program that builds: the other Docker's own, with its buildx, for what needs that."""
        return str(Path(self.programs) / "docker") if who == LINKED else DOCKER

    @contextlib.contextmanager
    def hosts(self) -> Iterator[list[RealEngine]]:
        """New hosts: a classic one, and one with the containerd store if there is such an engine."""
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(engine())]
            if self.programs:
                found.append(stack.enter_context(engine(programs=self.programs, containerd=True)))
            yield found

    def tree(self, version: str, code: str, older: Mapping[str, str] | None = None) -> Path:
        """The application at a commit: its lock, in one file and in two, and its code. `older` stand in for others."""
        lock = [
            f"{name}=={(older or {}).get(name, now)}" for name, _, now in (row.partition("==") for row in self.lock)
        ]
        root = self.place / "tree"
        shutil.rmtree(root, ignore_errors=True)
        (root / "shop").mkdir(parents=True)
        hot = f"{BUMPED}=={version}\n"
        cold = "".join(f"{line}\n" for line in lock if not line.startswith(f"{BUMPED}=="))
        (root / "requirements.txt").write_text(cold + hot)
        (root / "cold.txt").write_text(cold)
        (root / "hot.txt").write_text(hot)
        for number in range(200):
            (root / "shop" / f"module_{number}.py").write_text(f"# {code}\n" + f"VALUE_{number} = {number}\n" * 50)
        return root


@contextlib.contextmanager
def prepared(place: Path, size: str, programs: str) -> Iterator[Bench]:
    """The wheels, an index that has them, a registry, and a base image that has pip in it."""
    every = [line for line in (HERE / "packages.txt").read_text().splitlines() if "==" in line]
    lock = every
    if size == "small":
        lock = [line for line in lock if line.partition("==")[0] in SMALL]
    wheels = Path(tempfile.gettempdir()) / f"toplayer-bench-wheels-{os.getuid()}-{size}"
    newer = next(line.partition("==")[2] for line in lock if line.startswith(f"{BUMPED}=="))
    wheels.mkdir(exist_ok=True)
    python = ["--python-version", base_image().python, "--only-binary", ":all:", "--no-deps"]
    fetch = [sys.executable, "-m", "pip", "download", "-q", "-d", str(wheels), *python]
    fetch += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    fetch += ["--platform", "manylinux_2_27_x86_64", "--platform", "manylinux_2_24_x86_64"]
    fetch += ["--platform", "manylinux_2_5_x86_64", "--platform", "manylinux1_x86_64"]
    subprocess.run([*fetch, *lock, "pip"], check=True)
    wanted = {name: version for name, _, version in (line.partition("==") for line in lock)}
    before: dict[str, str] = {}
    for name in (BUMPED, *OTHERS):
        if name in wanted:
            subprocess.run([*fetch, f"{name}<{wanted[name]}"], check=True)
            found = {path.name.split("-")[1] for path in wheels.glob(f"{name.replace('-', '_')}-*.whl")}
            before[name] = next(version for version in sorted(found) if version != wanted[name])
    older = before.pop(BUMPED)
    if not RATES.exists():
        RATES.write_text(json.dumps(_rates(every)))
    port = free_port()
    index = [sys.executable, "-m", "bench.index", str(wheels), str(port)]
    with (
        server(index, place / "index.log", lambda: _listens(port), env=dict(os.environ, PYTHONPATH=str(HERE.parent))),
        registry(place / "registry") as running,
        engine() as builder,
    ):
        base_image().copied_to(open_store(f"{running.address}/base", {running.address: running.settings}))
        root = place / "pip"
        root.mkdir()
        shutil.copy(next(wheels.glob("pip-*.whl")), root / "pip.whl")
        (root / "Dockerfile").write_text(
            f"FROM {running.address}/base:latest\nCOPY pip.whl /pip.whl\nENV PYTHONPATH=/pip.whl\n"
        )
        base = f"{running.address}/base:pip"
        _run(builder, "build", "-q", "-t", base, str(root))
        _run(builder, "push", "-q", base)
        yield Bench(place, f"http://127.0.0.1:{port}", running, base, lock, older, newer, programs, before)


def _rates(lock: list[str]) -> dict[str, float]:
    """How often the packages move, from the public index: what the service knows of them."""
    now = datetime.now(UTC)
    names = [line.partition("==")[0] for line in lock]
    with Http() as http:
        index = INDEXES["pypi"](IndexSettings(kind="pypi"))
        found = list(index.look_up([Lookup(index="pypi", package=name) for name in names], http, now))
    pins = {name: Pin(ecosystem="pypi", package=name, version="0", lock="requirements.txt") for name in names}
    return {f"pypi:{one.package}": package_rate(pins[one.package], one, DEFAULT, now) for one in found}


# --- docker ---------------------------------------------------------------------------------------------------------


def _docker(bench: Bench, who: str) -> Iterator[Row]:
    name = f"{bench.registry.address}/docker-{list(DOCKERFILES).index(who) if who in DOCKERFILES else 9}"
    programs = bench.programs if who == LINKED else ""
    with bench.hosts() as hosts:
        with engine(programs=programs) as builder:
            _run(builder, "pull", "-q", bench.base, client=bench.client(who))
            for what, version, code in _story(bench):
                row = _built(bench, builder, who, what, bench.tree(version, code), name, what.replace(" ", "-"))
                yield _pulled(bench, hosts, f"{name}:{what.replace(' ', '-')}", row)
        with engine(programs=programs) as cold:
            tree = bench.tree(bench.newer, "one")
            (tree / "shop" / "cold.py").write_text("cold")
            row = _built(bench, cold, who, "bump, cold", tree, name, "cold", cache=f"{name}:first")
            yield replace(row, cold=True)


def _built(bench: Bench, on: RealEngine, who: str, what: str, tree: Path, name: str, tag: str, cache: str = "") -> Row:
    (tree / "Dockerfile").write_text(
        (DOCKERFILES | {LINKED: LINKED_FILE})[who].format(base=bench.base, index=bench.index)
    )
    before, began, busy = len(bench.registry.uploads()), time.monotonic(), _cpu(on.pid)
    words = ["--network", "host", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-q", "-t", f"{name}:{tag}"]
    words += ["--provenance=false"] if who == LINKED else []
    verb = ("buildx", "build", "--load") if who == LINKED else ("build",)
    client = bench.client(who)
    _run(on, *verb, *words, *(["--cache-from", cache] if cache else []), str(tree), client=client)
    _run(on, "push", "-q", f"{name}:{tag}", client=client)
    seconds, used = time.monotonic() - began, _cpu(on.pid) - busy
    return Row(who, what, seconds, used, _uploaded(bench, before), package=BUMPED if what.startswith(BUMP) else "")


def _story(bench: Bench) -> list[tuple[str, str, str]]:
    return [(FIRST, bench.older, "one"), (BUMP, bench.newer, "one"), (CODE, bench.newer, "two")]


# --- toplayer -------------------------------------------------------------------------------------------------------


def _toplayer(bench: Bench) -> Iterator[Row]:
    repository, previous = f"{bench.registry.address}/toplayer", ""
    with bench.hosts() as hosts:
        for number, (what, package, tree) in enumerate(_our_story(bench)):
            before, began = len(bench.registry.uploads()), time.monotonic()
            said = _child(bench, tree, f"{number:040x}"[::-1], previous, f"state-{number}")
            seconds = time.monotonic() - began
            row = Row(
                OURS,
                what,
                said["seconds"],
                said["cpu"] - said["start"],
                _uploaded(bench, before),
                memory=said["memory"],
                changed=said["changed"],
                again=_again(bench, before),
                package=package,
            )
            if package:
                yield replace(row, what=f"{what}, cold", seconds=seconds, cpu=said["cpu"], cold=True)
            previous = said["image"]
            yield _pulled(bench, hosts, f"{repository}@{previous}", row)


def _our_story(bench: Bench) -> Iterator[tuple[str, str, Path]]:
    """The story that all go through, after a beginning with older versions of all that is bumped in the end.

    What is done, the package that moves, and the commit.
    """
    old, new = dict(bench.before), {}
    for what, version, code in _story(bench):
        yield what, BUMPED if what == BUMP else "", bench.tree(version, code, old)
    for name in bench.before:
        new[name] = old.pop(name)
        yield f"{BUMP} {name}", name, bench.tree(bench.newer, "two", old)


def _child(bench: Bench, tree: Path, commit: str, previous: str, state: str) -> dict[str, Any]:
    """One build in a process of its own."""
    words = [bench.registry.address, bench.index, str(tree), commit, str(bench.place / state), previous]
    argv = [sys.executable, "-c", "from bench.build import child; child()", *words]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=HERE.parent)
    if done.returncode:
        raise SystemExit(f"a build by toplayer failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child() -> None:
    """What `_child` starts: builds, and prints what it took."""
    address, index, tree, commit, state, previous = sys.argv[1:]
    began, start = time.monotonic(), time.process_time()
    image = ImageSettings(repository=f"{address}/toplayer", base=f"{address}/base:latest", python=base_image().python)
    recipe = Recipe(
        image=image,
        pins=lockfiles.read("requirements.txt", lambda path: (Path(tree) / path).read_bytes()),
        tree=Path(tree),
        commit=commit,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        previous=Digest(previous) if previous else None,
        rates=json.loads(RATES.read_text()),
    )
    base = open_base(image.base, Platform.parse(image.platform), {})
    store = open_store(image.repository, {})
    with Http() as http:
        house = Wheelhouse({"pypi": IndexSettings(kind="pypi", url=f"{index}/simple")}, Wheels.of(image), http)
        built = build(recipe, base, store, house, scratch=Path(state), now=datetime.now(UTC))
    usage, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    raw = store.manifest(built.image)
    assert raw
    found = {
        "image": built.image,
        # The containerd store asks for the manifest twice.
        "changed": built.new_size + Manifest.parse(raw, "").config.size + 2 * len(raw),
        "start": start,
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024,
    }
    print(json.dumps(found))


# --- shared ---------------------------------------------------------------------------------------------------------


def _run(on: RealEngine, *words: str, client: str = DOCKER) -> None:
    env = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": on.address}
    done = subprocess.run([client, *words], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"docker {' '.join(words)}: {done.stderr[-2000:]}")


def _every(bench: Bench) -> Iterator[Row]:
    yield from _toplayer(bench)
    for who in (*([LINKED] if bench.programs else []), *DOCKERFILES):
        yield from _docker(bench, who)


def _told(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        print(f"{row.who}, {row.what}: {row.seconds:.1f} s", file=sys.stderr, flush=True)
        yield row


def _pulled(bench: Bench, hosts: list[RealEngine], image: str, row: Row) -> Row:
    """The row with what the hosts pull of an image, as the registry counts it."""
    found = []
    for host in hosts:
        before = bench.registry.pulled()
        _run(host, "pull", "-q", image)
        found.append(bench.registry.pulled() - before)
    return replace(row, pulled=found[0], lacked=found[1] if found[1:] else 0)


def _uploaded(bench: Bench, before: int) -> int:
    blobs = bench.registry.directory.rglob("data")
    sizes = {path.parent.name: path.stat().st_size for path in blobs if path.parent.parent.parent.name == "sha256"}
    return sum(sizes.get(digest.removeprefix("sha256:"), 0) for digest in bench.registry.uploads()[before:])


def _again(bench: Bench, before: int) -> int:
    """Bytes that were uploaded since, and had been before, or twice."""
    every = bench.registry.uploads()
    known, again = set(every[:before]), 0
    for number, digest in enumerate(every[before:], before):
        again += _size_of(bench, digest) if digest in known else 0
        known.add(every[number])
    return again


def _size_of(bench: Bench, digest: str) -> int:
    found = next(bench.registry.directory.rglob(f"{digest.removeprefix('sha256:')}/data"), None)
    return found.stat().st_size if found else 0


def _cpu(pid: int) -> float:
    """Seconds that the processors have worked for a process, its children, and those that have ended."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # The kernel lists them by the thread that started them.
    children = [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu, map(int, children)))


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _print(rows: list[Row], bench: Bench) -> None:
    print(f"{len(bench.lock)} packages; the bump is {BUMPED} {bench.older} -> {bench.newer}\n")
    print("| build | what | seconds | CPU s | uploaded | classic host pulls | containerd host pulls | memory, MB |")
    print("| --- " * 8 + "|")
    for row in rows:
        memory = f"{row.memory / 1e6:.0f}" if row.memory else ""
        pulled, lacked = (f"{count:,}" if count else "" for count in (row.pulled, row.lacked))
        cells = (row.who, row.what, f"{row.seconds:.2f}", f"{row.cpu:.1f}", f"{row.uploaded:,}", pulled, lacked, memory)
        print(f"| {' | '.join(cells)} |")
    print()
    ours = {row.what: row for row in rows if row.who == OURS}
    for row in rows:
        if row.who != OURS and row.what in ours:
            mine = ours[row.what]
            print(
                f"{row.what}: {row.who} / toplayer = {row.seconds / mine.seconds:.1f} x the seconds"
                + (f", {row.pulled / mine.pulled:.1f} x the bytes to a host" if row.pulled and mine.pulled else "")
            )
    print()
    small = [name for name in (BUMPED, *OTHERS) if name not in LARGE]
    print("\n".join(table(list(goals(rows, small, BY_US)))))
    if not bench.programs:
        print("\nCOPY --link and the containerd store were not tried: they need `--programs`")


if __name__ == "__main__":
    main()
