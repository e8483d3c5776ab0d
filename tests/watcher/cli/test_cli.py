"""The command line: what it shows, what it says when it cannot, and with which exit code."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from watcher.bump import Bump, BumpStage
from watcher.cli.hands import Adopted, Finding
from watcher.cli.main import PLACES, run
from watcher.decision import Decision, Reason, Verdict
from watcher.dockerfile.foresight import Foresight
from watcher.dockerfile.project import Project
from watcher.fleet import HostSettings
from watcher.head import Head
from watcher.image import Digest
from watcher.layers.outlook import Outlook
from watcher.layers.part import Terms
from watcher.ledger import Ledger
from watcher.lookup import IndexState, Lookup, Outcome
from watcher.order import Lane
from watcher.pin import Pin
from watcher.release import File, Release
from watcher.rollout import Built, HostStage, HostState, Rollout, RolloutStage
from watcher.settings import Settings
from watcher.standing import Standing

OLD, NEW = Digest("sha256:" + "0" * 64), Digest("sha256:" + "1" * 64)
CONFIG = """
[toplayer]
state = "{state}"
[apps.shop]
repository = "{state}/repo"
lock = "requirements.txt"
fleet = "field"
[apps.shop.image]
repository = "oci:{state}/images"
python = "3.11"
[[fleets.field.hosts]]
name = "h1"
address = "dir:{state}/h1"
[[fleets.field.hosts]]
name = "h2"
address = "dir:{state}/h2"
"""


@dataclass
class FakeHands:
    """Does nothing but what a test wants to happen meanwhile."""

    meanwhile: Callable[[Ledger], None] = lambda _: None
    findings: Sequence[Finding] = ()
    busy: Sequence[str] = ()
    adopted: Adopted = field(default_factory=lambda: Adopted(""))
    laid: Outlook = field(default_factory=lambda: Outlook(parts=(), terms=Terms()))
    foreseen: Foresight | None = None
    asked: list[str] = field(default_factory=list)

    def run(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Callable[[str], None]) -> None:
        self.asked.append("run")
        self.meanwhile(ledger)

    def follow(self, settings: Settings, ledger: Ledger, patience: timedelta, tell: Callable[[str], None]) -> None:
        self.asked.append("follow")
        self.meanwhile(ledger)

    def refresh(
        self, settings: Settings, ledger: Ledger, apps: Sequence[str], tell: Callable[[str], None]
    ) -> Sequence[str]:
        self.asked.append("refresh")
        tell("asking")
        return self.busy

    def serve(self, settings: Settings, ledger: Ledger) -> None:
        self.asked.append("serve")

    def worker(self, settings: Settings, concurrency: int, lanes: Sequence[Lane], log_level: str) -> int:
        self.asked.append(f"worker {concurrency} {'+'.join(lanes)} {log_level}")
        return 0

    def beat(self, settings: Settings, log_level: str) -> None:
        self.asked.append(f"beat {log_level}")

    def foresee(self, settings: Settings, ledger: Ledger, app: str) -> Foresight:
        assert self.foreseen is not None
        return self.foreseen

    def project(
        self, dockerfile: Path, context: Path, days: int, settings: Settings | None, ledger: Ledger | None, app: str
    ) -> Project:
        raise AssertionError("the tests of lint ask for it")

    def outlook(self, settings: Settings, ledger: Ledger, app: str) -> Outlook:
        return self.laid

    def drift(self, settings: Settings, ledger: Ledger, apps: Sequence[str]) -> Iterator[Finding]:
        yield from self.findings

    def doctor(self, settings: Settings, sentry: bool) -> Iterator[Finding]:
        yield from self.findings

    def adopt(self, host: HostSettings, container: str, app: str) -> Adopted:
        self.asked.append(f"adopt {host.name} {container} {app}")
        return self.adopted

    def demo(self, directory: Path | None, tell: Callable[[str], None]) -> None:
        raise RuntimeError("a fault of ours")


@dataclass
class Line:
    """A command line over a ledger of its own."""

    path: Path
    ledger: Ledger
    capture: pytest.CaptureFixture[str]
    hands: FakeHands = field(default_factory=FakeHands)
    out: str = ""
    err: str = ""

    def __call__(self, *words: str) -> int:
        code = run(self.hands, ["--config", str(self.path), *words])
        self.out, self.err = self.capture.readouterr()
        assert "Traceback" not in self.out + self.err
        return code


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Line]:
    path = tmp_path / "toplayer.toml"
    path.write_text(CONFIG.format(state=tmp_path))
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield Line(path, ledger, capsys)
    ledger.close()


def rollout(
    now: datetime, stage: RolloutStage = RolloutStage.DONE, generation: int = 1, image: Digest = NEW
) -> Rollout:
    built = Built(image=image, layers=13, new_layers=1, size=6_000_000, new_size=133_000, pushed=140_000, seconds=0.5)
    made = Rollout(
        id=Rollout.id_of("shop", generation),
        app="shop",
        generation=generation,
        commit=f"{generation}" * 40,
        wanted_at=now,
        released_at=now - timedelta(hours=3),
    )
    built_at = made.at(RolloutStage.BUILT, now, built=built)
    if stage is RolloutStage.BUILT:
        return built_at
    return built_at.at(RolloutStage.ROLLING, now).at(stage, now + timedelta(minutes=1))


def seeded(line: Line, now: datetime) -> None:
    pin = Pin(ecosystem="pypi", package="django", version="1.0", lock="requirements.txt")
    line.ledger.add(Head(app="shop", commit="1" * 40, surveyed_at=now, pins=(pin,)), now)
    line.ledger.add(IndexState(index="pypi", polled_at=now, packages=3, unknown=1, reason="no answer"), now)
    line.ledger.add(rollout(now), now)
    called = HostState(rollout="shop:1", host="h1", position=0, previous=OLD, bytes=139_000).at(HostStage.CALLED, now)
    done = called.at(HostStage.DONE, now + timedelta(seconds=5))
    line.ledger.add(done, now)
    line.ledger.add(replace(done, host="h2", position=1, stage=HostStage.PENDING, reason="away", attempts=1), now)


def test_status_as_json_has_the_shape_that_programs_rely_on(line: Line, now: datetime) -> None:
    seeded(line, now)
    line.ledger.add(
        Bump(
            id="shop:django:2.0",
            app="shop",
            ecosystem="pypi",
            package="django",
            from_version="1.0",
            to_version="2.0",
            found_at=now,
        ).at(BumpStage.FAILED, now, reason="blocked"),
        now,
    )
    assert line("status", "--json") == 0
    status = json.loads(line.out)
    (found,) = status["rollouts"]
    assert {"app", "commit", "image", "stage", "released_at", "done_at", "seconds", "hosts"} <= found.keys()
    assert found["image"] == NEW
    assert found["seconds"] == 3 * 3600 + 60
    assert {"name", "stage", "digest", "bytes", "seconds"} <= found["hosts"][0].keys()
    assert (found["hosts"][0]["digest"], found["hosts"][0]["bytes"], found["hosts"][0]["seconds"]) == (NEW, 139_000, 5)
    assert found["hosts"][1]["digest"] == OLD
    (bump,) = status["bumps"]
    assert (bump["app"], bump["package"], bump["from"], bump["to"], bump["stage"], bump["reason"]) == (
        "shop",
        "django",
        "1.0",
        "2.0",
        "failed",
        "blocked",
    )
    assert line.err == ""


def test_status_for_people_says_what_was_not_looked_at(line: Line, now: datetime) -> None:
    seeded(line, now)
    assert line("status") == 0
    assert "1 of 3 packages unknown" in line.out
    assert "no answer" in line.out
    assert "1 of 13 layers new, 133 kB" in line.out


def test_what_a_build_foretold_is_shown_as_far_as_it_can_be_looked_over(line: Line, now: datetime) -> None:
    seeded(line, now)
    told = tuple(f"line {number}: RUN true is made anew: it is new" for number in range(1, 10))
    built = Built(
        image=NEW, layers=13, new_layers=1, size=9, new_size=133_000, pushed=9, seconds=1, foreseen=120_000, told=told
    )
    wanted = Rollout(id="shop:9", app="shop", generation=9, commit="9" * 40, wanted_at=now)
    line.ledger.add(wanted.at(RolloutStage.BUILT, now, built=built), now)
    assert line("status") == 0
    assert "1 of 13 layers new, 133 kB (120 kB foreseen)" in line.out
    assert "line 5: RUN true" in line.out
    assert "and 4 more: see --json" in line.out
    assert line("status", "--json") == 0
    assert json.loads(line.out)["rollouts"][0]["told"] == list(told)


def test_who_cannot_reach_the_source_of_advisories_is_told_what_that_holds_up_and_what_to_do(
    line: Line, now: datetime
) -> None:
    seeded(line, now)
    state = IndexState(index="osv", polled_at=now, packages=3, unknown=3, reason="osv.example did not answer: refused")
    line.ledger.add(state, now)

    assert line("status") == 0
    assert "osv.example did not answer" in line.out
    assert "hint: releases are held until osv has answered once" in line.out

    assert line("check", "--cached") == 1
    assert "error: osv: osv.example did not answer: refused" in line.err
    assert "an empty [advisories]" in line.err


def test_hosts_that_wait_are_exit_code_3(line: Line, now: datetime) -> None:
    seeded(line, now)
    done = line.ledger.find(Rollout, id="shop:1")
    assert done is not None
    line.ledger.replace(done, replace(done, stage=RolloutStage.ROLLING), now)
    assert line("status") == 3


def test_check_shows_one_line_of_why_per_pin_and_fails_where_it_could_not_look(line: Line, now: datetime) -> None:
    seeded(line, now)
    unknown = Decision(
        app="shop",
        package="django",
        at=now,
        current="1.0",
        newest="",
        candidate="",
        verdict=Verdict.UNKNOWN,
        said="not looked: no answer",
    )
    line.ledger.decide(Standing(unknown))
    assert line("check") == 1
    assert line.hands.asked == ["refresh"]
    assert "not looked" in line.out
    line.ledger.decide(Standing(replace(unknown, verdict=Verdict.CURRENT, said="nothing is newer")))
    assert line("check", "--cached", "--json") == 0
    assert json.loads(line.out)[0]["said"] == "nothing is newer"
    assert line.hands.asked == ["refresh"]


def test_every_command_is_found_in_its_file_and_there_are_no_others() -> None:
    for place, names in PLACES.items():
        known = import_module(f"watcher.cli.{place}").COMMANDS
        assert sorted(command.name for command in known) == sorted(names)


def test_check_says_whom_it_could_not_ask_because_another_process_does(line: Line, now: datetime) -> None:
    seeded(line, now)
    line.hands.busy = ["pypi"]

    assert line("check") == 1
    assert "pypi was not asked, because another process is asking it" in line.err


def test_why_shows_each_release_the_rule_and_when_it_becomes_free(line: Line, now: datetime) -> None:
    seeded(line, now)
    free = now + timedelta(days=2)
    reason = Reason(version="2.0", verdict=Verdict.HELD, rule="cooldown", said="too young", free_at=free)
    decision = Decision(
        app="shop",
        package="django",
        at=now,
        current="1.0",
        newest="2.0",
        candidate="",
        verdict=Verdict.HELD,
        said="2.0 is held",
        reasons=(reason,),
        index="pypi",
    )
    line.ledger.decide(Standing(decision))
    line.ledger.add(Lookup(index="pypi", package="django", outcome=Outcome.UNKNOWN, reason="HTTP 503"), now)
    assert line("why", "shop", "Django") == 0
    for word in ("2.0 is held", "cooldown", "2026-11-04 09:00:00Z", "HTTP 503", "unknown"):
        assert word in line.out
    later = replace(decision, at=now + timedelta(days=3), candidate="2.0", verdict=Verdict.TAKEN, said="in")
    line.ledger.decide(Standing(later))
    assert line("why", "shop", "django", "--at", "2026-11-03", "--json") == 0
    assert json.loads(line.out)["said"] == "2.0 is held"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("why", "shop", "nonesuch"), 2, "there is no decision of shop about `nonesuch`"),
        (("status", "kiosk"), 2, "there is no app `kiosk`\n\nhint: known: shop"),
        (("frobnicate",), 2, "No such command"),
        (("history", "-n", "0"), 2, "0 is not in the range"),
        (("run", "--once", "--patience", "soon"), 2, 'expected a duration such as "90s"'),
        (("deploy", "shop"), 1, "nothing to deploy: shop has not been surveyed yet"),
        (("rollback", "shop"), 1, "nothing to roll back: shop has no earlier image"),
        (("abort", "shop"), 1, "nothing to abort: shop has no rollout under way"),
        (("demo",), 1, "an error of toplayer itself: RuntimeError: a fault of ours"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_hint_and_an_exit_code(
    line: Line, words: tuple[str, ...], code: int, said: str
) -> None:
    assert line(*words) == code
    assert said in line.err
    assert line.out == ""


def test_a_broken_configuration_is_exit_code_2_and_names_every_fault(line: Line) -> None:
    line.path.write_text('[toplayer]\nstate = "x"\n[apps.shop]\nlock = 3\n')
    assert line("status") == 2
    assert "toplayer.state: expected an absolute path" in line.err
    assert "apps.shop.lock: expected a text, got 3" in line.err
    assert "hint:" in line.err


def test_without_any_configuration_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOPLAYER_CONFIG", raising=False)
    assert run(FakeHands(), ["status"]) == 2
    assert "toplayer init" in capsys.readouterr().err
    assert run(FakeHands(), ["init"]) == 0
    assert (tmp_path / "toplayer.toml").read_text().startswith("# toplayer")
    assert run(FakeHands(), ["init"]) == 1
    assert "exists already" in capsys.readouterr().err


def test_a_run_with_nothing_to_do_says_so(line: Line) -> None:
    assert line("run", "--once") == 0
    assert "nothing to do" in line.out


def test_a_run_tells_what_happened_and_fails_if_something_did(line: Line, now: datetime) -> None:
    def halts(ledger: Ledger) -> None:
        ledger.write([(None, replace(rollout(now, RolloutStage.HALTED), reason="h1: unhealthy"))], now)

    line.hands.meanwhile = halts
    assert line("run", "--once") == 1
    assert "ACT: shop:1 halted: h1: unhealthy" in line.out


def test_pausing_and_resuming_are_rows_with_who_and_why(line: Line) -> None:
    assert line("pause", "shop", "--why", "holiday") == 0
    assert line("status") == 0
    assert "paused: shop" in line.out
    assert "holiday" in line.out
    assert line("resume", "shop") == 0
    assert line("history", "--events", "--json") == 0
    events = json.loads(line.out)
    assert [event["kind"] for event in events] == ["order.pause", "order.resume"]
    assert events[0]["why"] == "holiday"
    assert events[0]["by"]


def test_a_bump_by_hand_opens_a_bump_that_had_failed(line: Line, now: datetime) -> None:
    seeded(line, now)
    wheel = File(filename="django-2.0-py3-none-any.whl", url="u", uploaded_at=now)
    release = Release(package="django", version="2.0", files=(wheel,))
    line.ledger.add(Lookup(index="pypi", package="django", outcome=Outcome.ANSWER, releases=(release,)), now)
    assert line("bump", "shop", "django", "--no-wait", "--json") == 0
    assert json.loads(line.out)["stage"] == "found"
    found = line.ledger.find(Bump, id="shop:django:2.0")
    assert found is not None
    line.ledger.replace(found, found.at(BumpStage.FAILED, now, reason="x"), now)
    assert line("bump", "shop", "django", "--no-wait") == 0
    again = line.ledger.find(Bump, id="shop:django:2.0")
    assert again is not None
    assert again.stage is BumpStage.FOUND
    assert line("bump", "shop", "django", "9.9", "--no-wait") == 2
    assert "there is no release of django `9.9`" in line.err
    assert line("bump", "shop", "flask", "--no-wait") == 2
    assert "known: django" in line.err


def test_a_rollback_makes_a_rollout_of_the_image_before(line: Line, now: datetime) -> None:
    line.ledger.add(rollout(now, generation=1, image=OLD), now)
    line.ledger.add(rollout(now, generation=2, image=NEW), now)
    assert line("rollback", "shop", "--no-wait", "--json") == 0
    made = json.loads(line.out)
    assert (made["id"], made["image"], made["stage"], made["cause"]) == ("shop:3", OLD, "built", "rollback")
    assert "revert it there" in line.err
    before = line.ledger.find(Rollout, id="shop:2")
    assert before is not None
    assert before.stage is RolloutStage.ROLLED_BACK
    assert line("rollback", "shop", "--to", "1" * 12, "--no-wait", "--json") == 0
    assert json.loads(line.out)["image"] == NEW
    assert line("rollback", "shop", "--to", "feed", "--no-wait") == 2


def test_doctor_says_what_is_bad_and_what_to_do(line: Line) -> None:
    line.hands.findings = [Finding("git", True, "/usr/bin/git"), Finding("broker", False, "no answer", "start Redis")]
    assert line("doctor") == 1
    assert "ok  git: /usr/bin/git" in line.out
    assert "BAD broker: no answer\n    hint: start Redis" in line.out
    line.hands.findings = line.hands.findings[:1]
    assert line("doctor", "--json") == 0


def test_the_services_commands_reach_their_hands(line: Line) -> None:
    for words in (
        ("serve",),
        ("run",),
        ("worker", "-c", "2"),
        ("worker", "--lane", "back"),
        ("beat", "--log-level", "debug"),
    ):
        assert line(*words) == 0
    assert line.hands.asked == [
        "serve",
        "serve",
        "worker 2 here+pulls+hosts+back info",
        "worker 4 back info",
        "beat debug",
    ]


def test_names_of_strangers_are_inert_on_the_terminal(line: Line, now: datetime) -> None:
    line.ledger.add(replace(rollout(now, RolloutStage.HALTED), reason="\x1b[31m[red]\u202e"), now)
    assert line("status") == 0
    assert "\x1b" not in line.out
    assert "[red]" in line.out


def test_adopt_prints_settings_and_says_what_would_be_otherwise(line: Line) -> None:
    line.hands.adopted = Adopted("[apps.shop.run]\n", unsure=("Cmd is as in its image",))
    assert line("adopt", "h1", "shop") == 0
    assert line.out == "[apps.shop.run]\n"
    assert "not told apart: Cmd" in line.err
    assert "proven" in line.err
    line.hands.adopted = Adopted("[apps.shop.run]\n", differs=("HostConfig.AutoRemove: true would be false",))
    assert line("adopt", "h1", "shop", "--app", "other", "--json") == 1
    assert json.loads(line.out)["differs"] == ["HostConfig.AutoRemove: true would be false"]
    assert line.hands.asked[-1] == "adopt h1 shop other"
    assert line("adopt", "nowhere", "shop") == 2
