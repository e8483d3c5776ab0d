"""What an image lacks on a host, and whether there is room for it."""

import pytest

from watcher.errors import Temporary
from watcher.image import DiffID, Digest, Platform
from workers.fleet.room import TIMES, free, lacking, needed, short_of
from workers.oci.manifest import Descriptor, ImageConfig, Manifest

SIZES = (1_000, 200, 30)
IDS = tuple(DiffID(f"sha256:{n:064x}") for n in (1, 2, 3))
LAYERS = tuple(
    Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=Digest(f"sha256:{n:064x}"), size=size)
    for n, size in enumerate(SIZES)
)
MANIFEST = Manifest.make(LAYERS[0], LAYERS, {})
CONFIG = ImageConfig(platform=Platform("linux", "amd64"), diff_ids=IDS, table={})


@pytest.mark.parametrize(
    ("held", "left"),
    [
        ([], 3),
        ([IDS[:1]], 2),
        ([("sha256:other",), IDS[:2], IDS[:1]], 1),
        ([(*IDS, "sha256:more")], 0),
        # On top of something else it is another layer to the classic store.
        ([("sha256:other", *IDS[1:])], 3),
    ],
)
def test_an_engine_lacks_what_is_above_the_longest_beginning_that_it_has(
    held: list[tuple[str, ...]], left: int
) -> None:
    assert lacking(MANIFEST, CONFIG, held) == LAYERS[3 - left :]


def test_a_configuration_that_does_not_fit_its_manifest_is_no_reason_to_leave_anything_out() -> None:
    odd = ImageConfig(platform=CONFIG.platform, diff_ids=IDS[:2], table={})
    assert lacking(MANIFEST, odd, [IDS]) == LAYERS


def test_a_layer_that_is_there_twice_needs_room_once() -> None:
    assert needed([LAYERS[1], LAYERS[1], LAYERS[2]]) == TIMES * 230


DF = """Filesystem     1024-blocks    Used Available Capacity Mounted on
overlay           263174212 35651584  71303168      34% /
"""


@pytest.mark.parametrize(("code", "said", "found"), [(0, DF, 71303168 * 1024), (127, "no df", None), (0, "?", None)])
def test_df_in_a_container_tells_what_is_free(code: int, said: str, found: int | None) -> None:
    assert free(lambda _: (code, said)) == found


def test_a_container_that_cannot_be_asked_is_no_obstacle() -> None:
    def away(_: tuple[str, ...]) -> tuple[int | None, str]:
        raise Temporary("it is gone")

    assert free(away) is None


def test_both_figures_are_said() -> None:
    assert "4000 bytes while it arrives, and 3999 are free" in short_of(4000, 3999)
    assert short_of(4000, 4000) == ""
