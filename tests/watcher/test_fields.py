"""Values in a settings file, as people write them."""

import pytest

from watcher.fields import rate


@pytest.mark.parametrize(
    ("text", "speed"), [("200 kB/s", 200_000), ("1.5MB/s", 1_500_000), ("2 Mbit/s", 250_000), ("8 kbit/s", 1_000)]
)
def test_a_rate_is_bytes_in_a_second(text: str, speed: int) -> None:
    assert rate(text) == speed


@pytest.mark.parametrize("value", ["2", "2 MB", "0 kB/s", "2 mbit/s", 5])
def test_what_is_no_rate_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="200 kB/s"):
        rate(value)
