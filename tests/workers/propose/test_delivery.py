"""What a change will cost the hosts: by the layers that they have, by their kind, and by their link."""

from datetime import UTC, datetime

import pytest

from watcher.fleet import FleetSettings
from watcher.lockfiles.diff import Change, LockDiff
from watcher.machine import Machine
from watcher.pin import Pin
from workers.propose.delivery import delivery
from workers.propose.facts import Facts, Layer
from workers.propose.links import Link, links

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LAYERS = tuple(
    Layer(components=names, size=size)
    for names, size in [
        ((), 40_000_000),
        (("pypi:core",), 3_000_000),
        (("pypi:deep",), 500_000),
        (("pypi:side", "pypi:gone"), 60_000),
        (("code",), 20_000),
    ]
)


def pin(package: str, version: str, ecosystem: str = "pypi") -> Pin:
    return Pin(ecosystem=ecosystem, package=package, version=version, lock="requirements.txt")


DEEP = LockDiff(changed=(Change(pin("deep", "1.0"), pin("deep", "2.0")),))


def lines(diff: LockDiff, facts: Facts) -> list[str]:
    return "\n".join(delivery(diff, facts)).splitlines()[2:]


def test_a_layer_in_the_middle_is_downloaded_alone_or_with_all_above_it() -> None:
    assert lines(DEEP, Facts(layers=LAYERS)) == [
        "- with the containerd image store: about 500 kB, 1 layer",
        "- with a classic graph driver: about 580 kB, 3 layers (what lies above comes again)",
        "- reused: 2 layers below, 43 MB",
    ]


def test_what_a_package_is_known_to_gain_and_lose_counts() -> None:
    diff = LockDiff(
        changed=(*DEEP.changed, Change(pin("side", "1.0"), pin("side", "1.1"))), removed=(pin("gone", "3.0"),)
    )
    sizes = {("deep", "1.0"): 400_000, ("deep", "2.0"): 1_400_000, ("gone", "3.0"): 10_000, ("side", "1.1"): 5}
    weighed = diff.weighed(lambda pin: sizes.get((pin.package, pin.version)))
    assert lines(weighed, Facts(layers=LAYERS))[0] == "- with the containerd image store: about 1.55 MB, 2 layers"


def test_another_base_is_counted_from_the_bottom() -> None:
    base = LockDiff(changed=(Change(pin("python", "3.12", "oci"), pin("python", "3.13", "oci")),))
    assert lines(base, Facts(layers=LAYERS)) == [
        "- with the containerd image store: about 40 MB, 1 layer",
        "- with a classic graph driver: about 43.6 MB, 5 layers (what lies above comes again)",
    ]


def test_what_is_in_no_layer_costs_only_what_is_new() -> None:
    new = LockDiff(added=(pin("fresh", "0.1"),)).weighed(lambda _: 1_200)
    assert lines(new, Facts(layers=LAYERS)) == [
        "- only what is new: all 5 layers of the image that runs now are reused",
        "- and `fresh`, which is new: 1.2 kB",
    ]


@pytest.mark.parametrize("layers", [(), (Layer(components=(), size=5), Layer(components=(), size=7))])
def test_an_image_whose_layers_tell_nothing_is_not_spoken_of(layers: tuple[Layer, ...]) -> None:
    """One that is built from a Dockerfile, for instance."""
    assert list(delivery(DEEP, Facts(layers=layers))) == []


def test_of_a_dockerfile_it_is_said_what_a_build_makes_anew() -> None:
    told = ("requirements.txt enters at line 3: COPY requirements.txt /", "a host will pull 2 MB")
    (said,) = delivery(DEEP, Facts(foretold=told))
    assert said == f"### What a build makes anew\n\n```text\n{told[0]}\n{told[1]}\n```"


def test_only_kinds_of_hosts_that_there_are_and_rates_that_are_known_are_spoken_of() -> None:
    north = Link(site="north", hosts=30, classic=30, rate=100_000)
    south = Link(site="south", hosts=1, rate=250_000, is_set=True)
    nowhere = Link(site="", hosts=2)
    assert lines(DEEP, Facts(layers=LAYERS, links=(north, south, nowhere))) == [
        "- with the containerd image store (3 hosts): about 500 kB, 1 layer",
        "- with a classic graph driver (30 hosts): about 580 kB, 3 layers (what lies above comes again)",
        "- reused: 2 layers below, 43 MB",
        "- `north` (30 hosts): about 5.8 s for each, at the 100 kB/s of the last pulls there",
        "- `south` (1 host): about 2 s for each, at the 250 kB/s that the settings allow",
    ]
    assert len(lines(DEEP, Facts(layers=LAYERS, links=(nowhere,)))) == 2
    unasked = Link(site="", hosts=3, classic=1, unknown=2)
    assert lines(DEEP, Facts(layers=LAYERS, links=(unasked,))) == lines(DEEP, Facts(layers=LAYERS))


FLEET = FleetSettings.model_validate(
    {
        "sites": {"north": {}, "south": {"images": "load", "rate": "100 kB/s"}},
        "hosts": [
            {"name": "n1", "address": "unix:///n1", "site": "north"},
            {"name": "n2", "address": "unix:///n2", "site": "north"},
            {"name": "s1", "address": "unix:///s1", "site": "south"},
            {"name": "alone", "address": "unix:///alone"},
        ],
    }
)


def machine(host: str, *, classic: bool, known: bool = True) -> Machine:
    return Machine(fleet="field", host=host, classic=classic, answered_at=MONDAY if known else None)


def test_a_link_is_as_fast_as_the_settings_allow_or_as_its_last_pulls_were() -> None:
    hosts = [machine("n1", classic=True), machine("n2", classic=False), machine("s1", classic=True, known=False)]
    pulls = [
        ("n1", 1_000_000, 10.0),
        ("n1", 1_000_000, 1.0),
        ("n2", 3_000_000, 10.0),
        ("s1", 9_000_000, 1.0),
        ("alone", 0, 1.0),
        ("alone", 500, 0.001),
        ("alone", None, None),
    ]
    assert links(FLEET, [*hosts, machine("alone", classic=False)], pulls) == (
        Link(site="north", hosts=2, classic=1, rate=200_000.0),
        Link(site="south", hosts=1, unknown=1, rate=100_000, is_set=True),
        Link(site="", hosts=1),
    )
