"""What a look at 1,000 pins costs, beside what people use instead, on the same answers: `make bench-watch`.

Upstream is on loopback and speaks both protocols (`bench.upstream`): 40 releases per package, gzip, ETag and
Last-Modified where the real ones have them. Each tool is asked twice. *cold*: it never asked before; *unchanged*: it
asks again, and nothing is new. Seconds are from start to end, CPU is the tool's own (user and system, its children
included), bytes are counted by the upstream in both directions, heads included.

Of toplayer there are three rows: the whole command `toplayer check` (start of Python, git, the table); a look of a
service that is running already, when it is asked for, at all pins; and the rounds that it makes by itself every 15
minutes, as the mean of a day's 96, when every pin is at its newest: in them PyPI is not asked about what has to wait
for its cooldown anyway. It is the third day, when what was asked about at once at first is so no more.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from bench.upstream import RELEASES, Upstream, version
from watcher import config as configuration
from watcher.desk import Desk
from watcher.image import Digest
from watcher.ledger import Ledger, utcnow
from watcher.look import look
from watcher.order import Lane, Order
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.units import size
from workers.hands import settle
from workers.steps import carry

PINS = 1_000
_OLD, _NEW = version(RELEASES - 3), version(RELEASES - 1)
_NAMES = [f"pkg-{number}" for number in range(PINS)]
_PACKAGES = [f"acme/{name}" for name in _NAMES]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a tool has cost; `found` is of how many of the pins it knew the newest release."""

    tool: str
    when: str
    seconds: float
    cpu: float
    requests: int
    bytes: int
    found: int


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as place, Upstream() as upstream:
        root = Path(place)
        print(f"{PINS:,} pins, {RELEASES} releases each; Python {sys.version.split()[0]}, {os.cpu_count()} cores\n")
        others = [*_pip(root, upstream), *_nvchecker(root, upstream, "pypi")]
        _report("PyPI", [*_toplayer(root, upstream, "pypi"), *others])
        composer = _composer(root, upstream) if shutil.which("composer") else _said("composer is not installed")
        others = [*composer, *_nvchecker(root, upstream, "packagist")]
        _report("Packagist", [*_toplayer(root, upstream, "packagist"), *others])


def _report(title: str, costs: Sequence[Cost]) -> None:
    print(f"{title:34}{'':11}{'seconds':>9}{'CPU s':>8}{'requests':>10}{'bytes':>10}{'found':>7}")
    for cost in costs:
        figures = f"{cost.seconds:>9.3f}{cost.cpu:>8.3f}{cost.requests:>10,}{size(cost.bytes):>10}{cost.found:>7,}"
        print(f"{cost.tool:34}{cost.when:11}{figures}")
    unchanged = [cost for cost in costs if cost.when == "unchanged"]
    ours = [cost for cost in unchanged if cost.tool.startswith("toplayer")]
    others = [cost for cost in unchanged if not cost.tool.startswith("toplayer")]
    for mine in ours if others else ():
        best = {
            what: min(getattr(cost, what) for cost in others) / max(getattr(mine, what), 1e-9)
            for what in ("seconds", "cpu", "requests", "bytes")
        }
        ratios = ", ".join(f"{what} {ratio:.3g}" for what, ratio in best.items())
        print(f"  the best of the others in each, over {mine.tool}, unchanged: {ratios}")
    print(flush=True)


def _said(text: str) -> list[Cost]:
    print(text)
    return []


def _twice(
    upstream: Upstream, tool: str, argv: Sequence[str], found: Callable[[str], int], cwd: Path, **env: str
) -> Iterator[Cost]:
    for when in ("cold", "unchanged"):
        upstream.taken()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        whole = {**_ENV, "HOME": str(cwd), **env}
        ran = subprocess.run(argv, cwd=cwd, env=whole, capture_output=True, text=True, timeout=_PATIENCE)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        count = upstream.taken()
        try:
            answers = found(ran.stdout)
        except (OSError, ValueError, KeyError) as error:
            raise SystemExit(f"{tool}: {error}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}") from error
        yield Cost(tool, when, seconds, cpu, count.requests, count.up + count.down, answers)


_PATIENCE = 900.0
_ROUNDS = 96
_ENV = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}


# --- toplayer -------------------------------------------------------------------------------------------------------


def _toplayer(root: Path, upstream: Upstream, ecosystem: str) -> Iterator[Cost]:
    place = root / f"toplayer-{ecosystem}"
    config = _configured(place, upstream, ecosystem)
    program = [sys.executable, "-m", "workers.main", "--config", str(config)]
    env = {"PYTHONPATH": str(Path.cwd())}
    yield from _twice(upstream, "toplayer check", [*program, "check", "--json"], _checked, place, **env)
    shutil.rmtree(place)
    looks = _served(_configured(place, upstream, ecosystem), upstream, ["look"] * 4)
    for when, some in (("cold", looks[:1]), ("unchanged", looks[1:])):
        seconds, cpu = (statistics.median(getattr(one, what) for one in some) for what in ("seconds", "cpu"))
        yield replace(some[-1], tool="toplayer serve: a look", when=when, seconds=seconds, cpu=cpu)
    shutil.rmtree(place)
    words = ["look"] + ["round"] * 3 * _ROUNDS
    day = _served(_configured(place, upstream, ecosystem, _NEW), upstream, words)[-_ROUNDS:]
    seconds, cpu, requests, moved = (
        statistics.mean(getattr(one, what) for one in day) for what in ("seconds", "cpu", "requests", "bytes")
    )
    tool = "toplayer serve: a round, mean"
    yield Cost(tool, "unchanged", seconds, cpu, round(requests), round(moved), day[-1].found)


def _served(config: Path, upstream: Upstream, words: Sequence[str]) -> list[Cost]:
    """What each of these orders has cost a service that is running."""
    upstream.taken()
    argv = [sys.executable, "-m", "bench.watch", str(config)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        costs = []
        for word in words:
            service.stdin.write(f"{word}\n")
            service.stdin.flush()
            said = json.loads(service.stdout.readline())
            count = upstream.taken()
            costs.append(Cost("", "", said["seconds"], said["cpu"], count.requests, count.up + count.down, 0))
        service.stdin.close()
        found = int(service.stdout.readline())
    return [replace(cost, found=found) for cost in costs]


def _configured(place: Path, upstream: Upstream, ecosystem: str, pinned: str = _OLD) -> Path:
    lock = {"pypi": "requirements.txt", "packagist": "composer.lock"}[ecosystem]
    url = f"{upstream.url}/simple" if ecosystem == "pypi" else upstream.url
    (place / "work").mkdir(parents=True)
    for name, text in _locked(upstream, ecosystem, pinned).items():
        (place / "work" / name).write_text(text)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@index.example"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Lock"]):
        subprocess.run([*git, *words], cwd=place / "work", check=True, env={**_ENV, "HOME": str(place)})
    image = 'python = "3.12"\nphp = "8.2"'
    (place / "toplayer.toml").write_text(
        f"""
[toplayer]
state = "{place}/state"
[advisories]
[indexes.upstream]
kind = "{ecosystem}"
url = "{url}"
private = true
[apps.shop]
repository = "{place}/work"
lock = "{lock}"
fleet = "field"
policy = {{ watch = "all" }}
[apps.shop.image]
repository = "oci:{place}/images"
{image}
[[fleets.field.hosts]]
name = "one"
address = "dir:{place}/one"
"""
    )
    return place / "toplayer.toml"


def _locked(upstream: Upstream, ecosystem: str, pinned: str = _OLD) -> dict[str, str]:
    if ecosystem == "pypi":
        return {"requirements.txt": "".join(f"{name}=={pinned}\n" for name in _NAMES)}
    rows = [{"name": name, "version": pinned, "dist": _dist(name), "type": "library"} for name in _PACKAGES]
    lock = {
        "content-hash": "0" * 32,
        "packages": rows,
        "packages-dev": [],
        "aliases": [],
        "minimum-stability": "stable",
        "stability-flags": {},
        "prefer-stable": False,
        "prefer-lowest": False,
        "platform": {},
        "platform-dev": {},
        "plugin-api-version": "2.3.0",
    }
    manifest = {
        "name": "acme/shop",
        "require": dict.fromkeys(_PACKAGES, "^1.0"),
        "repositories": [{"type": "composer", "url": upstream.url}, {"packagist.org": False}],
        "config": {"secure-http": False},
    }
    return {"composer.lock": json.dumps(lock), "composer.json": json.dumps(manifest)}


def _dist(name: str) -> dict[str, str]:
    return {"type": "zip", "url": f"https://dist.example/{name}", "reference": "0" * 40}


def _checked(said: str) -> int:
    return sum(row["candidate"] == _NEW for row in json.loads(said))


def serve(config: str) -> None:
    """In the place of a service: for each line on standard input one look at everything (`look`), or what it does by
    itself a quarter of an hour later (`round`), and its figures."""
    settings = configuration.load(configuration.find(config))
    Path(settings.toplayer.state).mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.ledger_url)
    later = timedelta()
    polls = _Polls()
    desk = Desk(settings, ledger, lambda: utcnow() + later, polls, fresh_since=datetime.now(UTC))
    look(desk)
    carry(Order.SURVEY, "shop", desk)
    look(desk)
    _at_rest(ledger)
    settle()
    for word in sys.stdin:
        later += timedelta(minutes=15)
        desk = replace(desk, fresh_since=desk.clock() if word.strip() == "look" else None)
        began, cpu = time.perf_counter(), time.process_time()
        polls.ordered = False
        look(desk)
        if polls.ordered and carry(Order.POLL, "upstream", desk):
            look(desk)
        figures = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        print(json.dumps(figures), flush=True)
    print(sum(one.decision.newest == _NEW for one in ledger.standing("shop")), flush=True)


class _Polls:
    """A post by which nothing goes but the order to poll."""

    ordered = False

    def send(self, order: Order, id: str, lane: Lane = Lane.HERE) -> None:
        self.ordered |= order is Order.POLL

    def nudge(self) -> None:
        return


def _at_rest(ledger: Ledger) -> None:
    """The app's first image is on its host, as on every day but the first."""
    now = utcnow()
    (wanted,) = ledger.all(Rollout, app="shop")
    done = replace(wanted, stage=RolloutStage.DONE, image=Digest(f"sha256:{'0' * 64}"), built_at=now, done_at=now)
    host = HostState(rollout=wanted.id, host="one", position=0, stage=HostStage.DONE, inspected_at=now)
    ledger.write([(wanted, done)], now)
    ledger.write([(None, host)], now)


# --- the others -----------------------------------------------------------------------------------------------------


def _pip(root: Path, upstream: Upstream) -> Iterator[Cost]:
    """pip and uv look at what is installed: a virtual environment with nothing but the metadata of the pins."""
    place = root / "pip"
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
    (site,) = (place / "venv" / "lib").glob("python*/site-packages")
    for name in _NAMES:
        info = site / f"{name.replace('-', '_')}-{_OLD}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {_OLD}\n")
        (info / "RECORD").write_text("")
        (info / "INSTALLER").write_text("bench")
    index = f"{upstream.url}/simple"
    python = str(place / "venv" / "bin" / "python")
    words = ["list", "--outdated", "--format", "json"]
    uv = [find_uv_bin(), "pip", *words, "--python", python]
    env = {"UV_DEFAULT_INDEX": index, "UV_CACHE_DIR": str(place / "uv"), "UV_NO_CONFIG": "1"}
    yield from _twice(upstream, "uv pip list --outdated", uv, _listed, place, **env)
    pip = [python, "-m", "pip", *words, "--disable-pip-version-check"]
    env = {"PIP_INDEX_URL": index, "PIP_CACHE_DIR": str(place / "cache"), "PIP_CONFIG_FILE": os.devnull}
    yield from _twice(upstream, "pip list --outdated", pip, _listed, place, **env)


def _listed(said: str) -> int:
    return sum(row["latest_version"] == _NEW for row in json.loads(said))


def _composer(root: Path, upstream: Upstream) -> Iterator[Cost]:
    place = root / "composer"
    place.mkdir()
    for name, text in _locked(upstream, "packagist").items():
        (place / name).write_text(text)
    argv = ["composer", "outdated", "--locked", "--format=json", "--no-plugins", "--no-scripts", "--no-interaction"]
    env = {"COMPOSER_HOME": str(place / "home"), "COMPOSER_ALLOW_SUPERUSER": "1", "COMPOSER_DISABLE_NETWORK": ""}
    yield from _twice(upstream, "composer outdated", argv, _outdated, place, **env)


def _outdated(said: str) -> int:
    return sum(row["latest"] == _NEW for row in json.loads(said)["locked"])


def _nvchecker(root: Path, upstream: Upstream, source: str) -> Iterator[Cost]:
    """nvchecker, in an environment that is thrown away. It knows one address per source, so that is written over."""
    place = root / f"nvchecker-{source}"
    place.mkdir()
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
    install = [
        str(place / "venv" / "bin" / "pip"),
        "install",
        "--quiet",
        "nvchecker[pypi]",
        "--disable-pip-version-check",
    ]
    if subprocess.run(install).returncode:
        yield from _said("nvchecker could not be installed")
        return
    (plugin,) = (place / "venv" / "lib").glob(f"python*/site-packages/nvchecker_source/{source}.py")
    address = r"https://[a-z.]+/(?=(?:pypi|packages)/(?:\{\}|%s))"
    plugin.write_text(re.sub(address, f"{upstream.url}/", plugin.read_text()))
    names = _NAMES if source == "pypi" else _PACKAGES
    key = "pypi" if source == "pypi" else "packagist"
    tables = "".join(f'["{name}"]\nsource = "{source}"\n{key} = "{name}"\n' for name in names)
    (place / "nvchecker.toml").write_text(f'[__config__]\noldver = "old.json"\nnewver = "new.json"\n{tables}')

    def found(_: str) -> int:
        data: Mapping[str, Any] = json.loads((place / "new.json").read_text())["data"]
        return sum(row["version"] == _NEW for row in data.values())

    argv = [str(place / "venv" / "bin" / "nvchecker"), "-c", "nvchecker.toml", "-l", "error"]
    yield from _twice(upstream, "nvchecker", argv, found, place)


if __name__ == "__main__":
    serve(sys.argv[1]) if len(sys.argv) > 1 else main()
