"""Which addresses are nobody's business outside of their network."""

import asyncio
from ipaddress import ip_address

import pytest

from watcher.http.address import is_private, is_public


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "151.101.0.223", "2a04:4e42::223", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_the_whole_world_can_reach_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "::", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_what_only_a_network_can_reach_is_not(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "::1"])
def test_every_spelling_of_a_private_address_is_seen_through(host: str) -> None:
    assert asyncio.run(is_private(host))


@pytest.mark.parametrize("host", ["nowhere.invalid", "", "\udc80", "a" * 300, "1.1.1.1"])
def test_what_does_not_resolve_here_is_for_a_proxy_to_judge(host: str) -> None:
    assert not asyncio.run(is_private(host))
