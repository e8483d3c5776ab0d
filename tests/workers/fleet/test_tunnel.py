"""The way to an engine by SSH: a socket that is forwarded, keys that are checked, and words for what went wrong."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.store import FakeStore
from tests.rig.engine import RealEngine
from tests.rig.sshd import Sshd, sshd
from tests.workers.fleet.worlds import service
from watcher.fleet import HostSettings, SshSettings
from workers.fleet.host import HostRefused, HostUnreachable, Running
from workers.fleet.targets import connect
from workers.fleet.tunnel import argv, tunnel


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def test_the_command_takes_no_unknown_key_asks_nobody_and_notices_a_dead_link() -> None:
    made = argv("ssh://anna@[::1]:2222/run/d.sock", Path("/t/s"), SshSettings(key="/k", known_hosts="/h"))
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ServerAliveInterval=5", "UserKnownHostsFile=/h"):
        assert option in made
    assert made[-8:] == ["-p", "2222", "-l", "anna", "-L", "/t/s:/run/d.sock", "--", "::1"]
    assert argv("ssh://h1", Path("/t/s"), SshSettings())[-4:] == ["-L", "/t/s:/var/run/docker.sock", "--", "h1"]


def test_an_engine_is_spoken_to_through_the_tunnel(far: Sshd, dockerd: RealEngine) -> None:
    path = dockerd.address.removeprefix("unix://")
    settings = HostSettings(name="h1", address=far.address + path, ssh=far.settings)
    with connect(settings, FakeStore()) as host:
        assert host.running(service("nobody-here", "registry.example/x")) == Running(None)


def test_nothing_is_left_of_a_tunnel(far: Sshd) -> None:
    with tunnel("h1", far.address, far.settings) as near:
        place = Path(near.removeprefix("unix://"))
        assert place.is_socket()
    assert not place.parent.exists()


def test_a_host_whose_key_is_unknown_is_a_matter_for_a_person(far: Sshd, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    stranger = SshSettings(key=far.settings.key, known_hosts=str(tmp_path / "known_hosts"))
    with pytest.raises(HostRefused) as refused, tunnel("h1", far.address, stranger):
        pass
    assert "ssh-keyscan" in refused.value.hint


def test_a_key_that_is_not_let_in_is_a_matter_for_a_person(far: Sshd, tmp_path: Path) -> None:
    host_key = Path(str(far.settings.known_hosts)).parent / "hostkey"
    wrong = SshSettings(key=str(host_key), known_hosts=far.settings.known_hosts)
    with pytest.raises(HostRefused) as refused, tunnel("h1", far.address, wrong):
        pass
    assert "authorized_keys" in refused.value.hint


def test_a_host_that_is_away_is_tried_again(far: Sshd) -> None:
    with pytest.raises(HostUnreachable), tunnel("h1", "ssh://root@127.0.0.1:1", far.settings):
        pass


def test_a_socket_that_cannot_be_opened_there_is_told_as_that(far: Sshd, dockerd: RealEngine, tmp_path: Path) -> None:
    with sshd(tmp_path / "strict", "AllowStreamLocalForwarding no") as strict:
        path = dockerd.address.removeprefix("unix://")
        for server, place in ((far, "/run/nobody-here.sock"), (strict, path)):
            settings = HostSettings(name="h1", address=server.address + place, ssh=server.settings)
            with (
                pytest.raises(HostUnreachable, match=f"sshd could not open {place}") as away,
                connect(settings, FakeStore()) as host,
            ):
                host.running(service("nobody-here", "registry.example/x"))
            assert "AllowStreamLocalForwarding" in str(away.value)


def test_a_link_that_goes_dead_is_noticed_in_seconds(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sshd(tmp_path / "sshd"))
        answer, path = socket.socket(socket.AF_UNIX), f"{tmp_path}/echo"
        answer.bind(path)
        answer.listen()
        stack.callback(answer.close)
        near = stack.enter_context(tunnel("h1", server.address + path, server.settings))
        talk = stack.enter_context(socket.socket(socket.AF_UNIX))
        talk.connect(near.removeprefix("unix://"))
        stack.enter_context(contextlib.closing(answer.accept()[0]))
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in map(int, children):
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        talk.settimeout(30)
        ended = threading.Event()

        def listen() -> None:
            talk.recv(1)
            ended.set()

        threading.Thread(target=listen, daemon=True).start()
        assert ended.wait(25), "the link is dead, and nobody noticed"
