"""Nothing of a build is left behind: neither by the living nor by the dead."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workers.image.bench import bench

ROOT = Path(__file__).parents[3]
HOLD = (
    "import sys, time; from pathlib import Path; from workers.image.bench import bench\n"
    "with bench(Path(sys.argv[1])) as mine:\n"
    "    (mine / 'file').touch(); print(mine, flush=True); sys.stdin.read()"
)


def test_a_bench_is_gone_when_the_work_is_done(tmp_path: Path) -> None:
    with bench(tmp_path / "scratch") as mine:
        (mine / "file").touch()

    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_bench_is_gone_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), bench(tmp_path) as mine:
        mine.read_bytes()

    assert list(tmp_path.iterdir()) == []


def test_the_bench_of_the_living_stays_and_that_of_the_dead_goes(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        theirs = Path(holder.stdout.readline().strip())
        with bench(tmp_path) as mine:
            assert mine != theirs
        assert (theirs / "file").exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        assert (theirs / "file").exists()

        with bench(tmp_path) as mine:
            assert list(tmp_path.iterdir()) == [mine]
