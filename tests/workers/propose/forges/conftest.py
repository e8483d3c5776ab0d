"""A project on every kind of forge, and on one without a wire."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.forge import FakeForge
from tests.rig.forges.gitea import GiteaDialect
from tests.rig.forges.github import GitHubDialect
from tests.rig.forges.gitlab import GitLabDialect
from tests.rig.forges.hub import Hub
from tests.rig.forges.server import PROJECT, Dialect, ForgeServer, forge_server
from tests.rig.git_server import Origin
from watcher.settings import AppSettings, ForgeSettings
from workers.propose.forges import open_forge
from workers.propose.forges.forge import Forge

DIALECTS: dict[str, Callable[[], Dialect]] = {
    "github": GitHubDialect,
    "gitlab": GitLabDialect,
    "gitea": GiteaDialect,
}
BRANCH = "toplayer/shop/side"
WITH_QUEUES = ("fake", "github", "gitlab")
OpenForge = Callable[..., AbstractContextManager[Forge]]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A project with one branch of ours."""
    origin = Origin(tmp_path / "shop.git")
    origin.write({"lock": "side==1.0\n", "app.py": "print()\n"}, "First")
    origin.git("update-ref", f"refs/heads/{BRANCH}", origin.tip())
    origin.write({"lock": "side==1.1\n"}, "Bump", BRANCH)
    hub = Hub(origin)
    monkeypatch.setenv("FORGE_TOKEN", hub.token)
    return hub


@pytest.fixture(params=DIALECTS)
def server(request: pytest.FixtureRequest, hub: Hub) -> Iterator[ForgeServer]:
    """The hub behind the API of each kind of forge."""
    with forge_server(hub, DIALECTS[request.param]()) as running:
        yield running


def app_on(server: ForgeServer, **more: Any) -> AppSettings:
    """An app whose branches become proposals on this server."""
    kind = next(kind for kind, dialect in DIALECTS.items() if isinstance(server.dialect, dialect))  # type: ignore[arg-type]
    forge = {"kind": kind, "url": server.url, "project": PROJECT, "token": {"env": "FORGE_TOKEN"}, **more}
    settings = {
        "repository": str(server.hub.origin.directory),
        "lock": "lock",
        "image": {"repository": "oci:/srv/images", "python": "3.12"},
        "fleet": "field",
        "forge": {key: value for key, value in forge.items() if value is not None},
    }
    return AppSettings.model_validate(settings)


@contextmanager
def opened(app: AppSettings) -> Iterator[Forge]:
    with open_forge(app, "ops@shop.example") as forge:
        assert forge is not None
        yield forge


@pytest.fixture(params=["fake", *DIALECTS])
def on_forge(request: pytest.FixtureRequest, hub: Hub) -> Iterator[OpenForge]:
    """Opens the project on one kind of forge, with these settings."""
    if request.param == "fake":

        @contextmanager
        def fake(**more: Any) -> Iterator[Forge]:
            plain = {"kind": "github", "token": {"env": "FORGE_TOKEN"}, **more}
            yield FakeForge(hub, ForgeSettings.model_validate(plain))

        yield fake
        return
    with forge_server(hub, DIALECTS[request.param]()) as running:
        yield lambda **more: opened(app_on(running, **more))
