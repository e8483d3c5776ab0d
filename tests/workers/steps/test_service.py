"""What a host is told to run, from the settings."""

import pytest

from watcher import config
from watcher.image import Digest
from workers.fleet.host import Service
from workers.fleet.spec import create_payload, goal_of
from workers.steps.service import service_of

IMAGE = Digest(f"sha256:{'a' * 64}")
KEPT = "toplayer-shop-python:/var/cache/python"


def service(image: str = "", run: str = "") -> Service:
    settings = config.parse(
        f"""
        [toplayer]
        state = "/srv/toplayer"
        [apps.shop]
        repository = "/srv/shop.git"
        lock = "requirements.txt"
        fleet = "field"
        image = {{ repository = "registry.example/team/shop", python = "3.12"{image} }}
        run = {{ {run} }}
        [[fleets.field.hosts]]
        name = "one"
        address = "unix:///var/run/docker.sock"
        """,
        "test",
    )
    return service_of(settings, "shop", settings.apps["shop"])


@pytest.mark.parametrize(
    ("image", "run", "volumes"),
    [
        ("", "", ()),
        (', bytecode = "layer"', "", ()),
        (', bytecode = "cache"', "", (KEPT,)),
        (', bytecode = "cache"', 'volumes = ["/data:/data"]', ("/data:/data", KEPT)),
        (', bytecode = "cache"', 'volumes = ["/srv/pyc:/var/cache/python"]', ("/srv/pyc:/var/cache/python",)),
        (', bytecode = "cache"', 'tmpfs = ["/var/cache/python"]', ()),
    ],
)
def test_what_python_compiles_is_in_a_volume_unless_something_else_is_there(
    image: str, run: str, volumes: tuple[str, ...]
) -> None:
    assert service(image, run).volumes == volumes


def test_to_keep_it_is_another_specification() -> None:
    plain, kept = (goal_of(service(image), IMAGE, 1) for image in ("", ', bytecode = "cache"'))

    assert plain.spec != kept.spec
    assert create_payload(service(', bytecode = "cache"'), kept, None)["HostConfig"]["Binds"] == [KEPT]
