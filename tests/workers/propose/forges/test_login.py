"""Git at a forge: the same token, shown to the forge's own host and to nobody else. And what doctor says of it all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig.forges.hub import Hub
from tests.rig.forges.server import ForgeServer
from tests.rig.git_server import Origin, git_host
from tests.rig.simple_index import SimpleIndex
from tests.workers.propose.forges.life import LOCK, Life
from watcher.settings import AppSettings
from workers.doctor import examine
from workers.git import Repository
from workers.propose.forges import login_of


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    origin = Origin(tmp_path / "srv" / "team" / "shop.git")
    origin.write({"requirements.txt": LOCK}, "First")
    monkeypatch.setenv("FORGE_TOKEN", "t0ken-of-the-forge")
    return Hub(origin)


@pytest.fixture
def life(server: ForgeServer, tmp_path: Path) -> Iterator[Life]:
    with SimpleIndex() as index:
        index.publish("core", "1.0")
        index.publish("side", "1.0")
        made = Life(server, index, tmp_path / "state")
        made.state.mkdir()
        yield made


def app(repository: str, kind: str, **more: Any) -> AppSettings:
    return AppSettings.model_validate(
        {
            "repository": repository,
            "lock": "requirements.txt",
            "image": {"repository": "oci:/srv/images", "python": "3.12"},
            "fleet": "field",
            "forge": {"kind": kind, "token": {"env": "FORGE_TOKEN"}, "project": "team/shop", **more},
        }
    )


@pytest.mark.parametrize(("kind", "user"), [("github", "x-access-token"), ("gitlab", "oauth2"), ("gitea", "oauth2")])
def test_git_shows_the_forge_its_own_token(hub: Hub, tmp_path: Path, kind: str, user: str) -> None:
    with git_host(tmp_path / "srv", {user: hub.token}) as host:
        hub.origin.git("config", "http.receivepack", "true")
        settings = app(f"{host.url}/team/shop.git", kind, url=host.url)
        repository = Repository.of("shop", settings, tmp_path / "state", login_of(settings))
        assert repository.fetch().tip == hub.origin.tip()
        assert set(host.credentials) == {f"{user}:{hub.token}"}
        assert not any(hub.token in line for line in host.commands)


def test_git_shows_the_token_to_nobody_else(hub: Hub, tmp_path: Path) -> None:
    with git_host(tmp_path / "srv") as host:
        elsewhere = app(f"{host.url}/team/shop.git", "github", url="https://github.example")
        assert login_of(elsewhere) is None
        lookalike = app(f"{host.url}.evil.example/team/shop.git", "github", url=host.url)
        assert login_of(lookalike) is None
        Repository.of("shop", elsewhere, tmp_path / "state", login_of(elsewhere)).fetch()
        assert host.credentials == []


def test_doctor_says_that_the_token_may_do_what_it_has_to(life: Life) -> None:
    found = {one.subject: one for one in examine(life.settings, False)}
    assert found["shop: forge"].well
    assert "the token may write there" in found["shop: forge"].said

    life.hub.may_write = False
    found = {one.subject: one for one in examine(life.settings, False)}
    assert not found["shop: forge"].well
    assert "docs/proposals.md" in found["shop: forge"].hint

    life.hub.token = "another one"
    found = {one.subject: one for one in examine(life.settings, False)}
    assert "401" in found["shop: forge"].said
