"""What `docker login` has left: in Docker's own file, or with a program that keeps it."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.rig.registry import PASSWORD, USERNAME, registry
from watcher.settings import RegistrySettings
from workers.oci.logins import login
from workers.oci.store import StoreRefused
from workers.oci.stores import open_store
from workers.process import ToolFailed

HOST = "registry.example:5000"


def written(home: Path, table: Any) -> Path:
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text(table if isinstance(table, str) else json.dumps(table))
    return home


def basic(username: str, password: str) -> str:
    return b64encode(f"{username}:{password}".encode()).decode()


def challenged(home: Path, host: str = HOST, **more: Any) -> str:
    """What the keys say to a server that asks for a name and a password."""
    import asyncio

    keys = login(host, home, **more)

    async def ask(url: str, headers: Any) -> bytes:
        raise AssertionError("nobody has a token service here")

    asyncio.run(keys.satisfy(["Basic realm=x"], {}, ask))
    return keys.header()["authorization"]


@pytest.mark.parametrize("name", [HOST, f"https://{HOST}", f"https://{HOST}/v2/"])
def test_a_login_in_dockers_file_is_used(tmp_path: Path, name: str) -> None:
    home = written(tmp_path, {"auths": {name: {"auth": basic("shop", "se:cret")}}})

    assert challenged(home) == f"Basic {basic('shop', 'se:cret')}"


def test_a_program_that_keeps_logins_is_asked_for_the_server(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def helper(program: str, server: str) -> bytes:
        asked.append((program, server))
        return json.dumps({"ServerURL": server, "Username": "shop", "Secret": "secret"}).encode()

    home = written(tmp_path, {"credsStore": "pass", "credHelpers": {HOST: "cloud"}})

    assert challenged(home, helper=helper) == f"Basic {basic('shop', 'secret')}"
    assert challenged(home, "other.example", helper=helper) == f"Basic {basic('shop', 'secret')}"
    assert asked == [("cloud", HOST), ("pass", "other.example")]


def test_a_program_that_knows_nothing_of_the_server_is_no_fault(tmp_path: Path) -> None:
    def helper(program: str, server: str) -> bytes:
        raise ToolFailed(program, 1, "credentials not found in native keychain")

    assert login(HOST, written(tmp_path, {"credsStore": "pass"}), helper).header() == {}


@pytest.mark.parametrize("said", [b"", b"[]", b'{"Username": "x"}', b'{"Username": "<token>", "Secret": "x"}'])
def test_a_program_that_answers_with_something_else_is_refused(tmp_path: Path, said: bytes) -> None:
    with pytest.raises(StoreRefused, match="docker-credential-pass") as caught:
        login(HOST, written(tmp_path, {"credsStore": "pass"}), lambda program, server: said)
    assert "docker login" in caught.value.hint


def test_the_name_of_a_program_is_a_name(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="names the credential helper"):
        login(HOST, written(tmp_path, {"credsStore": "../../evil"}))


@pytest.mark.parametrize("table", ["{", {"auths": {HOST: {"auth": "???"}}}])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, table: Any) -> None:
    with pytest.raises(StoreRefused):
        login(HOST, written(tmp_path, table))


@pytest.mark.parametrize("table", [{}, [], {"auths": {"other.example": {"auth": "eA=="}}}, {"auths": {HOST: {}}}])
def test_without_a_login_there_are_no_keys(tmp_path: Path, table: Any) -> None:
    assert login(HOST, written(tmp_path, table)).header() == {}
    assert login(HOST, tmp_path / "nowhere").header() == {}


def test_a_real_program_opens_a_real_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "docker-credential-rig"
    program.parent.mkdir()
    answer = json.dumps({"Username": USERNAME, "Secret": PASSWORD})
    program.write_text(f"#!/bin/sh\n[ \"$1\" = get ] && cat > /dev/null && echo '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(written(tmp_path / "home", {"credsStore": "rig"})))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with registry(tmp_path / "registry", auth=True) as running:
        store = open_store(f"{running.address}/team/shop", {running.address: RegistrySettings(plain_http=True)})

        assert store.manifest("latest") is None
