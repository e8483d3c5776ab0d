"""What lock tools keep is kept for a month, and never taken away from somebody who works with it."""

import os
import time
from pathlib import Path

from workers.propose.kept import KEPT_FOR, kept


def test_what_was_begun_a_month_ago_is_begun_anew_when_nobody_works_with_it(tmp_path: Path) -> None:
    def begin(name: str, days_ago: float) -> None:
        with kept(tmp_path, [name]):
            (tmp_path / name / "page").touch()
        when = time.time() - days_ago * 86_400
        os.utime(tmp_path / name / ".toplayer-since", (when, when))

    for name in ("old", "young"):
        begin(name, KEPT_FOR.days + 1 if name == "old" else 1)

    with kept(tmp_path, ["young"]), kept(tmp_path, ["old", "young"]):
        assert (tmp_path / "old" / "page").exists()
    with kept(tmp_path, ["old", "young"]) as places:
        assert [place.name for place in places] == ["old", "young"]
        assert not (tmp_path / "old" / "page").exists()
        assert (tmp_path / "young" / "page").exists()
