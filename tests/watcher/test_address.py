"""Two spellings of one index are the same index."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.address import normal


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://index.example/simple/", "https://index.example/simple"),
        ("https://user:secret@Index.Example:443/simple", "https://index.example/simple"),
        ("HTTP://index.example:80", "http://index.example"),
        ("http://index.example:8080/x?y#z", "http://index.example:8080/x"),
        ("https://[::1]:443/simple", "https://[::1]/simple"),
        ("https://index.example:port/", "https://index.example:port/"),
        ("wheels", "wheels"),
    ],
)
def test_an_address_has_one_spelling(url: str, same: str) -> None:
    assert normal(url) == same


@given(st.text() | st.from_regex(r"https?://[a-z@:\[\]/.0-9-]{0,30}"))
def test_whatever_it_is_the_one_spelling_is_its_own(url: str) -> None:
    assert normal(normal(url)) == normal(url)
