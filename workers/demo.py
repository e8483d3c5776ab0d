"""`toplayer demo`: the main job on real packages. A sample app is made, its fleet is brought up to date, and one of its
packages, which is pinned one release behind, goes the whole way to three hosts.
"""

import os
import platform
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from packaging.tags import platform_tags
from packaging.version import Version
from uv import find_uv_bin

from watcher import config
from watcher.cli.out import say, short, table
from watcher.errors import Refused
from watcher.event import Event
from watcher.http import Http, Limits
from watcher.indexes import INDEXES
from watcher.ledger import Ledger, utcnow
from watcher.lookup import Lookup, Outcome
from watcher.rollout import HostState, Rollout
from watcher.settings import IndexSettings, Settings
from watcher.unfinished import unfinished
from watcher.units import size, span
from workers import embedded
from workers.oci.manifest import Manifest
from workers.oci.stores import open_store
from workers.process import environment, run
from workers.steps import carry

BEHIND = "certifi"
"""The package that is pinned one release behind: small, pure Python, and published often."""
WANTED = (BEHIND, "jinja2", "packaging", "pyyaml", "requests", "sqlalchemy")
PATIENCE = timedelta(minutes=3)
_GIT = ("git", "-c", "user.name=demo", "-c", "user.email=demo@localhost.invalid", "-c", "init.defaultBranch=main")
_HEALTH = """\"\"\"Exits with 0 if every library can be imported.\"\"\"

import certifi, jinja2, packaging, requests, sqlalchemy, yaml

print(certifi.where())
"""
Tell = Callable[[str], None]


class DemoRefused(Refused):
    """The demo cannot be shown here."""

    def __init__(self, why: str, hint: str = "") -> None:
        self.why, self.hint = why, hint
        super().__init__(why, hint)

    def __str__(self) -> str:
        return self.why


def demo(directory: Path | None, tell: Tell) -> None:
    """Makes the app if `directory` has none, works, and prints tables. Without a directory nothing is kept."""
    with nullcontext(str(directory)) if directory else tempfile.TemporaryDirectory(prefix="toplayer-demo-") as name:
        root = Path(name).resolve()
        root.mkdir(parents=True, exist_ok=True)
        tell("asking the index")
        newest, before = _two_newest(BEHIND)
        if not (root / "toplayer.toml").exists():
            _make(root, newest, before, tell)
            # What is out already is held until there is an image: a demo of one bump begins the day before it.
            _work(_settings(root, "3650d"), tell)
            said = f"a fleet of three hosts runs the sample app, with {BEHIND} at {before}; {newest} is out"
            say(f"{said}\n")
        settings = _settings(root)
        events = _work(settings, tell)
        _report(settings, events)


def _two_newest(package: str) -> tuple[str, str]:
    """The two newest releases of a package on the default index."""
    index = INDEXES["pypi"](IndexSettings(kind="pypi"))
    with Http(limits=Limits(attempts=2, deadline=20.0)) as http:
        (found,) = index.look_up([Lookup(index="pypi", package=package)], http, utcnow())
    if found.outcome is not Outcome.ANSWER:
        raise DemoRefused(f"the demo needs the public index of Python packages: {found.reason}", "is the network up?")
    versions = sorted({Version(r.version) for r in found.releases if r.yanked is None and r.files})
    stable = [version for version in versions if not version.is_prerelease]
    return str(stable[-1]), str(stable[-2])


# --- the sample app -------------------------------------------------------------------------------------------------


def _make(root: Path, newest: str, before: str, tell: Tell) -> None:
    """A bare repository with the app at its first commit, and the configuration."""
    tell("making the sample app")
    files = {
        "requirements.in": "\n".join(WANTED) + "\n",
        "shop/__init__.py": '"""A shop."""\n',
        "shop/health.py": _HEALTH,
    }
    with tempfile.TemporaryDirectory(prefix="toplayer-demo-") as name:
        work = Path(name)
        env = environment(work, UV_CACHE_DIR=str(root / "state" / "uv"), UV_NO_CONFIG="1", **_git_is_alone())
        for path, text in files.items():
            (work / path).parent.mkdir(exist_ok=True)
            (work / path).write_text(text, encoding="utf-8")
        (work / "behind.txt").write_text(f"{BEHIND}<{newest}\n", encoding="utf-8")
        compiled = [find_uv_bin(), "pip", "compile", "--quiet", "requirements.in", "--generate-hashes"]
        _run([*compiled, "--constraint", "behind.txt", "--output-file", "requirements.txt"], work, env)
        # The second time without the constraint: what is pinned stays, and the header is the app's own command.
        _run([*compiled, "--output-file", "requirements.txt"], work, env)
        (work / "behind.txt").unlink()
        for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "The shop")):
            _run([*_GIT, *words], work, env)
        _run([*_GIT, "clone", "--quiet", "--bare", str(work), str(root / "shop.git")], work, env)
    assert before != newest
    (root / "toplayer.toml").write_text(_configuration(root), encoding="utf-8")


def _git_is_alone() -> Mapping[str, str]:
    return {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def _run(argv: list[str], work: Path, env: Mapping[str, str]) -> None:
    run(argv, cwd=work, env=env, deadline=timedelta(minutes=2))


def _configuration(root: Path, cooldown: str = "0s") -> str:
    """The demo's toplayer.toml. The hosts are directories, so the image is made for the Python of this machine."""
    libc = next(tag for tag in platform_tags() if tag.startswith(("manylinux_", "musllinux_")))
    hosts = "".join(f'\n[[fleets.demo.hosts]]\nname = "host-{n}"\naddress = "dir:{root}/host-{n}"\n' for n in (1, 2, 3))
    return f"""\
[toplayer]
state = "{root}/state"
contact = "toplayer demo"

[advisories]

[apps.shop]
repository = "{root}/shop.git"
lock = "requirements.txt"
propose = "commit"
fleet = "demo"
policy = {{ cooldown = "{cooldown}" }}

[apps.shop.image]
repository = "oci:{root}/images"
base = "scratch"
python = "{sys.version_info.major}.{sys.version_info.minor}"
platform = "linux/{_GO_NAMES.get(platform.machine(), platform.machine())}"
libc = "{"_".join(libc.split("_")[:3])}"
interpreter = "{_interpreter()}"

[apps.shop.run.health]
command = ["python", "-m", "shop.health"]

[fleets.demo]
waves = [1, "100%"]
{hosts}"""


_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def _interpreter() -> Path:
    """The Python behind this virtual environment."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(sysconfig.get_config_var("BINDIR") or sys.base_prefix + "/bin", name)


def _settings(root: Path, cooldown: str = "") -> Settings:
    text = _configuration(root, cooldown) if cooldown else (root / "toplayer.toml").read_text(encoding="utf-8")
    return config.parse(text, str(root / "toplayer.toml"))


# --- the work, and what it came to ----------------------------------------------------------------------------------


def _work(settings: Settings, tell: Tell) -> tuple[Event, ...]:
    """What `toplayer run --once` does; the events of it. `DemoRefused` if something did not come to its end."""
    Path(settings.toplayer.state).mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.ledger_url)
    before = ledger.last_event()
    desk, threads = embedded.open_desk(settings, ledger, carry, utcnow, fresh=True)
    try:
        embedded.run_until_idle(desk, threads, PATIENCE, tell)
        left = unfinished(settings, ledger, utcnow())
        if left:
            raise DemoRefused(f"the demo did not come to its end: {left[0]}")
        return ledger.events(after=before)
    finally:
        threads.close()
        ledger.close()


@dataclass(frozen=True, slots=True)
class _Times:
    """When the steps of the way were done."""

    events: tuple[Event, ...]

    def at(self, kind: str) -> datetime | None:
        """When it happened last."""
        return next((event.at for event in reversed(self.events) if event.kind == kind), None)

    def between(self, before: str, after: str) -> str:
        """The time from one event to the other, for people."""
        start, end = self.at(before), self.at(after)
        return span((end - start).total_seconds()) if start and end else ""


def _report(settings: Settings, events: tuple[Event, ...]) -> None:
    ledger = Ledger(settings.ledger_url)
    try:
        merged = [event for event in events if event.kind == "bump.merged"]
        newest = ledger.all(Rollout, app="shop", order="-generation", limit=1)[0]
        if not merged:
            say("nothing to do: every pin is at its newest release, and every host runs the newest image")
            say(f"  image {short(newest.image)} on 3 hosts, commit {short(newest.commit)}")
            return
        hosts = ledger.all(HostState, rollout=newest.id, order="position")
        _print(merged, newest, hosts, _dependencies(settings, newest), _Times(events))
    finally:
        ledger.close()


def _dependencies(settings: Settings, rollout: Rollout) -> int:
    """What all packages weigh (bytes, compressed): the one layer that most images have for them."""
    assert rollout.image is not None
    store = open_store(settings.apps["shop"].image.repository, settings.registries)
    raw = store.manifest(rollout.image)
    assert raw is not None
    manifest = Manifest.parse(raw, store.where)
    packages = [d for d in manifest.layers if "pypi:" in d.annotations.get("io.toplayer.component", "")]
    return sum(layer.size for layer in packages)


def _print(merged: list[Event], rollout: Rollout, hosts: tuple[HostState, ...], one_layer: int, times: _Times) -> None:
    built = rollout.built
    assert built is not None
    cells = [
        [e.facts["package"], f"{e.facts['from']} → {e.facts['to']}", short(str(e.facts["commit"]))] for e in merged
    ]
    table(["PACKAGE", "FROM → TO", "COMMIT"], cells)
    say(f"\nlayers: {built.layers - built.new_layers} reused, {built.new_layers} new ({size(built.new_size)})\n")
    rows = [
        [
            h.host,
            str(h.stage),
            size(h.bytes or 0),
            size(one_layer),
            f"{one_layer / max(h.bytes or 0, 1):.0f} ×",
            _span(h),
        ]
        for h in hosts
    ]
    figures = ["BYTES", "ONE LAYER", "RATIO", "SECONDS"]
    table(["HOST", "STAGE", *figures], rows, right=figures)
    say("\nONE LAYER: what each host would pull if all packages were in one layer, as `RUN pip install` makes it\n")
    steps = [
        ["bump (lock, commit, push)", times.between("bump.found", "bump.proposed")],
        ["image (install, layer, publish)", times.between("rollout.wanted", "rollout.built")],
        ["first host", times.between("rollout.rolling", "rollout.wave")],
        ["all three hosts", times.between("rollout.rolling", "rollout.done")],
        ["from found to the last host", times.between("bump.found", "rollout.done")],
    ]
    table(["STEP", "SECONDS"], steps, right=["SECONDS"])


def _span(host: HostState) -> str:
    return span(host.seconds or 0.0)
