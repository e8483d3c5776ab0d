"""What is known of hosts, and what follows from it for layers."""

from datetime import datetime, timedelta

import pytest

from watcher.fleet import FleetSettings, HostSettings
from watcher.machine import AGAIN, KNOWN, Machine, Takes, machines, packings, share, story

OLD = Takes("Docker 20.10.24, overlay2", zstd=False, classic=True)
NEW = Takes("Docker 28.5.2, overlay2", zstd=True, classic=True)
CONTAINERD = Takes("Docker 28.5.2, containerd store", zstd=True, classic=False)


def machine(host: str, takes: Takes | None, now: datetime) -> Machine:
    asked = Machine(fleet="ff", host=host)
    return asked.said(takes, now) if takes else asked


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([NEW, CONTAINERD], ("zstd", "gzip")),
        ([NEW, OLD], ("gzip",)),
        ([NEW, None], ("gzip", "zstd")),
        ([OLD, None], ("gzip",)),
        ([], ("gzip", "zstd")),
    ],
)
def test_layers_are_packed_with_zstd_once_every_host_has_said_that_it_takes_it(
    said: list[Takes | None], expected: tuple[str, ...], now: datetime
) -> None:
    assert packings("auto", [machine("h", takes, now) for takes in said]) == expected


def test_a_setting_overrides_what_hosts_say(now: datetime) -> None:
    assert packings("zstd", [machine("h", OLD, now)]) == ("zstd", "gzip")
    assert packings("gzip", [machine("h", NEW, now)]) == ("gzip",)


def test_who_has_never_answered_is_taken_to_download_again_what_lies_above_a_change(now: datetime) -> None:
    assert share([machine("h", takes, now) for takes in (OLD, CONTAINERD, None, CONTAINERD)]) == 0.5
    assert share([]) == 1.0


def test_an_answer_is_good_for_a_day_and_silence_for_minutes(now: datetime) -> None:
    never = Machine(fleet="ff", host="h")
    answered = never.said(NEW, now)
    silent = answered.silent("no route to host", now + KNOWN)

    assert never.is_stale(now)
    assert not answered.is_stale(now + KNOWN - timedelta(seconds=1))
    assert answered.is_stale(now + KNOWN)
    assert not silent.is_stale(now + KNOWN + timedelta(seconds=1))
    assert silent.is_stale(now + KNOWN + AGAIN)
    assert (silent.zstd, silent.is_known, silent.reason) == (True, True, "no route to host")


def test_hosts_that_are_gone_count_no_more_and_new_ones_do(now: datetime) -> None:
    fleet = FleetSettings(hosts=tuple(HostSettings(name=name, address=f"dir:/{name}") for name in ("one", "two")))

    found = machines("ff", fleet, [machine("two", NEW, now), machine("gone", OLD, now)])

    assert [(one.host, one.is_known) for one in found] == [("one", False), ("two", True)]


def test_people_are_told_why_layers_are_packed_as_they_are(now: datetime) -> None:
    old, new, none = machine("h1", OLD, now), machine("h2", CONTAINERD, now), machine("h3", None, now)

    assert story("auto", [old, new]) == (
        "1 of 2 hosts download again what lies above a change; layers are packed with gzip, "
        "because h1 takes no zstd (Docker 20.10.24, overlay2)"
    )
    assert story("auto", [new]).endswith("0 of 1 hosts download again what lies above a change; layers are packed "
    "with zstd, which all of them take")  # fmt: skip
    assert "(1 not asked yet, and taken for such)" in story("auto", [new, none])
    assert story("auto", [new, none]).endswith("with gzip, until h3 has answered")
    assert story("gzip", [new]).endswith("with gzip, as configured")
    assert story("auto", []).endswith("because there are no hosts to ask")
