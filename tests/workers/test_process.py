"""Tools end, whatever they do, and say no more than they may."""

import os
import signal
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.rig.process import wait_for
from workers.process import OUTPUT, ToolFailed, ToolTimedOut, environment, run, tethered

MINUTE = timedelta(minutes=1)


def python(script: str, **options: object) -> bytes:
    arguments: dict[str, object] = {"cwd": None, "env": {}, "deadline": MINUTE} | options
    return run([sys.executable, "-c", script], **arguments).stdout  # type: ignore[arg-type]


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in ("Z", "X")


def test_a_tool_gets_the_environment_the_directory_and_the_input_that_it_is_given(tmp_path: Path) -> None:
    script = "import os, sys; print(sorted(os.environ), os.getcwd(), sys.stdin.read())"

    said = python(script, cwd=tmp_path, env={"LC_ALL": "C.UTF-8"}, input=b"hello")

    assert said.decode() == f"['LC_ALL'] {tmp_path} hello\n"


def test_megabytes_go_in_and_out_without_a_deadlock() -> None:
    data = os.urandom(3_000_000)

    assert python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", input=data) == data


def test_a_tool_that_does_not_read_its_input_is_no_failure() -> None:
    assert python("print(1)", input=b"x" * 1_000_000) == b"1\n"


def test_a_failure_tells_the_code_and_the_last_words_but_no_secret() -> None:
    with pytest.raises(ToolFailed) as caught:
        python("import sys; sys.exit('cannot log in with s3cr3t\x1b[31m')", secrets=["s3cr3t"])

    assert caught.value.code == 1
    assert "cannot log in with ***\ufffd[31m" in str(caught.value)


def test_an_accepted_code_is_no_failure() -> None:
    ran = run([sys.executable, "-c", "raise SystemExit(3)"], cwd=None, env={}, deadline=MINUTE, accept=(0, 3))

    assert ran.code == 3


def test_a_tool_that_is_not_there_is_refused_with_a_hint() -> None:
    with pytest.raises(ToolFailed) as caught:
        run(["no-such-tool"], cwd=None, env=environment(Path("/nonexistent")), deadline=MINUTE)

    assert caught.value.code == 127
    assert "install no-such-tool" in caught.value.hint


def test_a_tool_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)"
    )
    began = time.monotonic()

    with pytest.raises(ToolTimedOut):
        python(script, deadline=timedelta(seconds=1.5))

    assert time.monotonic() - began < 60
    for pid in (tmp_path / "pids").read_text().split():
        # A killed process that is nobody's child of ours is gone when the kernel comes round to it.
        wait_for(partial(is_gone, int(pid)), f"the end of {pid}", 10)


def test_a_child_that_holds_the_pipe_does_not_hold_us() -> None:
    script = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    )

    pid = int(python(script))

    wait_for(partial(is_gone, pid), f"the end of {pid}", 10)


def test_a_tool_gets_the_time_to_clean_up(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = (
        "import pathlib, signal, sys, time\n"
        f"lock = pathlib.Path({str(lock)!r}); lock.touch()\n"
        "signal.signal(signal.SIGTERM, lambda *_: (lock.unlink(), sys.exit(0)))\n"
        "time.sleep(600)"
    )

    with pytest.raises(ToolTimedOut):
        python(script, deadline=timedelta(seconds=1))

    assert not lock.exists()


def test_endless_output_ends() -> None:
    with pytest.raises(ToolFailed, match=f"more than {OUTPUT}"):
        python("import sys\nwhile True: sys.stdout.write('x' * 65536)")


def test_memory_is_limited() -> None:
    with pytest.raises(ToolFailed, match="MemoryError"):
        python("import time; time.sleep(0.2); b'x' * (1 << 30)", memory=1 << 29)


def test_the_environment_holds_the_way_to_the_world_and_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("UV_INDEX_URL", "http://index.example")

    env = environment(Path("/nonexistent/x"), UV_NO_CONFIG="1")

    assert env["https_proxy"] == "http://proxy.example"
    assert "UV_INDEX_URL" not in env
    assert (env["HOME"], env["UV_NO_CONFIG"]) == ("/nonexistent/x", "1")


def test_all_that_a_tool_writes_is_heard_while_only_the_last_of_it_is_kept() -> None:
    heard = bytearray()
    script = "import sys; sys.stderr.write('first' + 'x' * 200_000); sys.exit(1)"

    with pytest.raises(ToolFailed):
        python(script, hear=heard.extend)

    assert (bytes(heard[:5]), len(heard)) == (b"first", 200_005)


def test_what_is_tethered_ends_with_whoever_asked_for_it_and_so_does_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    grandchild = "import time; time.sleep(600)"
    tool = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        f"open({str(tmp_path / 'new')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(tmp_path / 'new')!r}, {str(pids)!r})\n"
        "time.sleep(600)"
    )
    ours = os.fork()
    if ours == 0:
        with tethered([sys.executable, "-c", tool]) as (words, pipe):
            run(words, cwd=None, env={}, deadline=timedelta(minutes=5), inherit=[pipe])
        os._exit(0)
    wait_for(pids.exists, "the tool to run")
    os.kill(ours, signal.SIGKILL)
    os.waitpid(ours, 0)

    for pid in pids.read_text().split():
        wait_for(partial(is_gone, int(pid)), f"the end of {pid}", 10)


def test_what_is_tethered_fails_as_it_would_alone() -> None:
    def ended(*argv: str) -> int:
        with tethered(argv) as (words, pipe):
            ran = run(words, cwd=None, env={}, deadline=MINUTE, inherit=[pipe], accept=range(-64, 256))
        return ran.code

    assert ended(sys.executable, "-c", "raise SystemExit(3)") == 3
    assert ended(sys.executable, "-c", "import os; os.kill(os.getpid(), 15)") == -15
    assert ended("/no/such/tool") == 127
    with tethered([sys.executable, "-c", "import time; time.sleep(600)"]) as (words, pipe), pytest.raises(ToolTimedOut):
        run(words, cwd=None, env={}, deadline=timedelta(seconds=1), inherit=[pipe])


def test_where_in_a_python_program_it_went_wrong_is_left_out(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('cause:\\n    a needs b\\n'); 1 / 0"

    with pytest.raises(ToolFailed) as caught:
        run([sys.executable, "-c", script], cwd=tmp_path, env={}, deadline=timedelta(seconds=30))

    assert caught.value.said.split() == ["cause:", "a", "needs", "b", "ZeroDivisionError:", "division", "by", "zero"]


def test_no_file_that_a_tool_writes_is_larger_than_it_may_be(tmp_path: Path) -> None:
    # The limit is set from outside, a moment after the tool has begun.
    limited = "while resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY: pass"
    script = f"import resource\n{limited}\nopen('a', 'wb').write(bytes(2_000_000))"

    with pytest.raises(ToolFailed):
        run([sys.executable, "-c", script], cwd=tmp_path, env={}, deadline=timedelta(seconds=30), largest=1_000_000)

    assert (tmp_path / "a").stat().st_size == 1_000_000
