"""Our own specification becomes what an engine takes, and nothing else does."""

from dataclasses import replace
from datetime import timedelta

from watcher.image import Digest
from workers.fleet.host import Service
from workers.fleet.spec import create_payload, endpoint, goal_of

IMAGE, PREVIOUS = Digest("sha256:" + "1" * 64), Digest("sha256:" + "0" * 64)
BARE = Service(name="shop", repository="registry.example/team/shop")


def test_a_bare_service_leaves_everything_to_the_image() -> None:
    payload = create_payload(BARE, goal_of(BARE, IMAGE, 7), None)
    labels = payload.pop("Labels")
    assert payload == {
        "Image": f"registry.example/team/shop@{IMAGE}",
        "Env": [],
        "StopTimeout": 10,
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
    }
    assert labels == {
        "io.toplayer.service": "shop",
        "io.toplayer.generation": "7",
        "io.toplayer.image": IMAGE,
        "io.toplayer.previous": "",
        "io.toplayer.restart": "unless-stopped",
        "io.toplayer.spec": goal_of(BARE, IMAGE, 7).spec,
    }


def test_names_and_addresses_are_said_to_the_networks() -> None:
    service = replace(
        BARE,
        network="backend",
        networks=("metrics",),
        aliases=("orders",),
        addresses={"backend": "10.0.7.5", "metrics": "fd00::5"},
    )
    told = create_payload(service, goal_of(service, IMAGE, 7), None)["NetworkingConfig"]["EndpointsConfig"]["backend"]
    assert told == {"Aliases": ["shop", "orders"], "IPAMConfig": {"IPv4Address": "10.0.7.5"}}
    assert endpoint(service, "metrics")["IPAMConfig"] == {"IPv6Address": "fd00::5"}
    moved = replace(service, addresses={"backend": "10.0.7.5", "metrics": "fd00::6"})
    assert goal_of(moved, IMAGE, 7) != goal_of(service, IMAGE, 7)


def test_everything_that_a_service_says_is_in_the_request() -> None:
    service = replace(
        BARE,
        command=("serve", "--port", "80"),
        env={"B": "2", "A": "1=1"},
        volumes=("/srv/data:/data:ro", "cache:/cache"),
        ports=("8080:80", "127.0.0.1:8081:80", "5353:53/udp"),
        network="backend",
        restart="on-failure",
        stop_signal="SIGINT",
        stop_grace=timedelta(minutes=10),
    )
    payload = create_payload(service, goal_of(service, IMAGE, 7), PREVIOUS)
    assert payload["Cmd"] == ["serve", "--port", "80"]
    assert payload["Env"] == ["A=1=1", "B=2"]
    assert (payload["StopSignal"], payload["StopTimeout"]) == ("SIGINT", 600)
    assert payload["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert payload["NetworkingConfig"] == {"EndpointsConfig": {"backend": {"Aliases": ["shop"]}}}
    assert payload["HostConfig"] == {
        "RestartPolicy": {"Name": "on-failure"},
        "Binds": ["/srv/data:/data:ro", "cache:/cache"],
        "NetworkMode": "backend",
        "PortBindings": {
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
            "53/udp": [{"HostIp": "", "HostPort": "5353"}],
        },
    }
    assert payload["Labels"]["io.toplayer.previous"] == PREVIOUS


def test_networks_of_the_engine_itself_know_no_aliases() -> None:
    for network in ("host", "none", "bridge", "container:db"):
        service = replace(BARE, network=network)
        assert "NetworkingConfig" not in create_payload(service, goal_of(service, IMAGE, 1), None)


def test_what_does_not_change_the_container_does_not_change_its_specification() -> None:
    same = replace(
        BARE,
        repository="relay.example/shop",
        password="x",
        username="y",
        health_command=("true",),
        steady=timedelta(hours=1),
        order="start-first",
    )
    assert goal_of(BARE, IMAGE, 1).spec == goal_of(same, IMAGE, 2).spec
    for other in (replace(BARE, env={"A": "1"}), replace(BARE, command=("x",)), replace(BARE, restart="no")):
        assert goal_of(BARE, IMAGE, 1).spec != goal_of(other, IMAGE, 1).spec


def test_a_service_does_not_show_its_secrets() -> None:
    service = replace(BARE, env={"TOKEN": "hunter2"}, secrets=("hunter2",), password="hunter2")
    assert "hunter2" not in repr(service)
    assert "hunter2" not in repr(goal_of(service, IMAGE, 1))


def test_limits_are_in_the_request_and_without_them_the_specification_is_what_it_was() -> None:
    limited = replace(BARE, memory=256 << 20, cpus=0.5, pids=50, tmpfs=("/tmp",), read_only=True, init=True)
    asked = create_payload(limited, goal_of(limited, IMAGE, 7), None)["HostConfig"]
    assert asked == {
        "RestartPolicy": {"Name": "unless-stopped"},
        "Memory": 256 << 20,
        "MemorySwap": 256 << 20,
        "NanoCpus": 500_000_000,
        "PidsLimit": 50,
        "Tmpfs": {"/tmp": ""},
        "ReadonlyRootfs": True,
        "Init": True,
    }
    assert goal_of(limited, IMAGE, 7).spec != goal_of(BARE, IMAGE, 7).spec
