"""The settings of a fleet."""

from watcher.fleet import FleetSettings, HostSettings


def test_a_directory_takes_only_what_it_lacks_and_an_engine_all_that_lies_above() -> None:
    engine, directory = (
        HostSettings(name="one", address="unix:///run/docker.sock"),
        HostSettings(name="two", address="dir:/srv"),
    )
    assert FleetSettings(hosts=(engine, directory)).classic == 0.5
    assert FleetSettings().classic == 1.0
