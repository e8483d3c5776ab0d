"""What every test may use: a Monday, and nothing of the machine's own configuration."""

from datetime import UTC, datetime

import pytest

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """A Monday morning. Time is passed in, so it only moves when a test moves it."""
    return MONDAY
