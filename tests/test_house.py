"""The house itself: who may know whom, and that what is written about it is true."""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.order import Order

ROOT = Path(__file__).parent.parent
ROOMS = {"propose", "image", "dockerfile", "fleet", "notify"}
FOREIGN_TO_WATCHER = {"docker", "subprocess", "celery", "kombu", "uv", "workers"}
# The rooms are wired together here, and nowhere else.
WIRING = {"steps", "doctor.py", "demo.py", "hands.py", "main.py", "drift.py", "adopt.py"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(wing: str) -> list[Path]:
    return sorted((ROOT / wing).rglob("*.py"))


def test_the_watcher_knows_nothing_of_the_workers_and_runs_nothing() -> None:
    for path in sources("watcher"):
        reached = {name.partition(".")[0] for name in imports(path)} & FOREIGN_TO_WATCHER
        assert not reached, f"{path.relative_to(ROOT)} reaches for {reached}"


def test_the_rooms_do_not_know_each_other() -> None:
    for path in sources("workers"):
        parts = path.relative_to(ROOT / "workers").parts
        if parts[0] in WIRING:
            continue
        own = parts[0] if parts[0] in ROOMS else ""
        for name in imports(path):
            wing, _, rest = name.partition(".")
            room = rest.partition(".")[0]
            assert wing != "workers" or room not in ROOMS - {own}, f"{path.relative_to(ROOT)} imports {name}"
            assert wing != "tests", f"{path.relative_to(ROOT)} imports the tests"


def test_every_order_has_exactly_one_step_and_one_task() -> None:
    from datetime import timedelta

    from workers.app import LOOK, make_app
    from workers.carry import Step
    from workers.steps import step
    from workers.tasks import register

    app = make_app("memory://", timedelta(seconds=5))
    register(app, lambda: pytest.fail("no task runs here"), lambda order, id, desk: None)
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == {str(order) for order in Order} | {LOOK}
    assert all(isinstance(step(order), Step) for order in Order)


def test_no_file_names_a_registry_host_or_a_path_of_somebodys_machine() -> None:
    hosts = "|".join(rf"{name}[.]org" for name in ("pypi", "pythonhosted", "npmjs", "debian"))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        assert not re.search(hosts, text), f"{name} names a registry host"
        assert not re.search(r"/(root|work|home)/\w", text), f"{name} holds a path of a machine"


def test_the_help_in_the_readme_is_the_real_one() -> None:
    from click.testing import CliRunner

    from watcher.cli.main import cli

    said = CliRunner().invoke(cli, ["--help"], prog_name="toplayer", terminal_width=80).output
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(Usage: toplayer .*?)```", readme, re.DOTALL)
    assert block, "the README has no help block"
    assert block[1].strip() == said.strip()


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours that a page, a hint or the example names, and where."""
    pages = [ROOT / "README.md", ROOT / "config/toplayer.example.toml", *(ROOT / "docs").rglob("*.md")]
    for path in [*pages, *sources("watcher"), *sources("workers")]:
        text = path.read_text(encoding="utf-8")
        shown = [*re.findall(r"`toplayer ([^`]+)`", text), *re.findall(r"^\$ toplayer (.+?)(?: +#.*)?$", text, re.M)]
        yield from ((f"{path.relative_to(ROOT)}: {words}", shlex.split(words)) for words in shown)


def test_every_command_that_is_named_anywhere_is_there() -> None:
    from click import BadOptionUsage, Context, Group, MissingParameter, UsageError

    from watcher.cli.main import cli

    assert isinstance(cli, Group)
    for where, words in commands():
        words = [word.strip("[]") for word in words]
        words = words[2:] if words[0] == "--config" else words
        command = cli.get_command(Context(cli), words[0])
        assert command, f"{where}: there is no such command"
        numbers = [re.sub(r"^(N|\{\w+\})$", "1", word) for word in words[1:]]
        try:
            command.make_context(words[0], numbers) if numbers else None
        except (MissingParameter, BadOptionUsage):
            continue  # named in passing, without all that it takes
        except UsageError as error:
            pytest.fail(f"{where}: {error.message}")
