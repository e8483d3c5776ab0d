"""What an engine's answer says about a container's health."""

import http.server
import socketserver
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest

from workers.fleet.health import died, presentable, probe, proof_of, proof_of_command
from workers.fleet.host import Health, Proof, Service

SECOND = timedelta(seconds=1)
SERVICE = Service(name="shop", repository="registry.example/shop", health_command=("probe", "-v"), secrets=("hunter2",))


def inspected(restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"RestartCount": restarts, "State": {"Running": True, "ExitCode": 0, **state}}


DEATHS: dict[str, tuple[dict[str, Any], str]] = {
    "ended": (inspected(Running=False, ExitCode=3), "it ended with 3"),
    "restarting": (inspected(2, Restarting=True, ExitCode=3), "it ended with 3 and was restarted, 2 so far"),
    "restarted, and up again": (inspected(1), "it was restarted, 1 so far"),
    "out of memory": (inspected(OOMKilled=True), "it ran out of memory"),
    "not started": (inspected(Running=False, Error="no such file"), "it did not start: no such file"),
    "paused": (inspected(Paused=True), "it is paused"),
    "an answer without a state": ({}, "it ended with None"),
}


@pytest.mark.parametrize(("answer", "why"), DEATHS.values(), ids=DEATHS.keys())
def test_a_new_container_has_to_stay_alive(answer: dict[str, Any], why: str) -> None:
    assert died(answer, fresh=True) == why


def test_what_happened_to_an_old_container_long_ago_does_not_count() -> None:
    assert died(inspected(7, OOMKilled=True), fresh=False) == ""
    assert died(inspected(7, Restarting=True), fresh=False) != ""


def test_the_engines_own_check_decides_and_its_last_words_are_kept() -> None:
    for status, health in (
        ("starting", Health.STARTING),
        ("healthy", Health.HEALTHY),
        ("unhealthy", Health.UNHEALTHY),
        ("something new", Health.STARTING),
    ):
        answer = inspected(Health={"Status": status, "Log": [{"Output": "old"}, {"Output": "new"}]})
        assert proof_of(answer, SECOND, timedelta(0)) == Proof(health, "new")


@pytest.mark.parametrize("state", [{}, {"Health": None}, {"Health": {"Status": "none"}}])
def test_without_a_check_time_decides(state: dict[str, Any]) -> None:
    assert proof_of(inspected(**state), 5 * SECOND, 4 * SECOND).health is Health.STARTING
    assert proof_of(inspected(**state), 5 * SECOND, 5 * SECOND).health is Health.HEALTHY


def test_a_command_that_fails_may_succeed_later_and_one_that_cannot_run_will_not() -> None:
    assert proof_of_command(SERVICE, 0, "fine") == Proof(Health.HEALTHY, "fine")
    assert proof_of_command(SERVICE, 1, "not yet") == Proof(Health.STARTING, "`probe` ended with 1\nnot yet")
    assert proof_of_command(SERVICE, 127, "") == Proof(Health.UNHEALTHY, "`probe` ended with 127")
    assert proof_of_command(SERVICE, None, "") == Proof(Health.STARTING, "`probe` did not end within 30 s")


def test_last_words_are_short_and_harmless_and_keep_secrets() -> None:
    said = presentable(Proof(Health.UNHEALTHY, "x" * 5000 + "\033[31m token=hunter2 \u202e end\n"), SERVICE).said
    assert len(said) <= 1000
    assert said.endswith("\ufffd[31m token=*** \ufffd end")


def test_an_address_is_asked_by_the_python_that_is_there() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        well, ill = (f"http://127.0.0.1:{server.server_address[1]}/{path}" for path in ("", "not/there"))
        ran = [
            subprocess.run(probe(url, sys.executable, 2 * SECOND), capture_output=True, text=True)
            for url in (well, ill)
        ]
        server.shutdown()
    nobody = subprocess.run(probe(well, sys.executable, 2 * SECOND), capture_output=True, text=True)
    assert [done.returncode for done in (*ran, nobody)] == [0, 1, 1]
    assert "answered 404" in ran[1].stderr
    assert "did not answer" in nobody.stderr
