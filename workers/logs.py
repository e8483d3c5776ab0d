"""What the service logs: lines on standard error, in UTC, without secrets."""

import copy
import logging
import sys
import time
from collections.abc import Sequence

from typing_extensions import override

from watcher.inert import without
from watcher.settings import Settings

NOISY = ("httpx", "httpcore", "urllib3", "docker", "alembic", "hpack", "celery.beat", "celery.worker.strategy")
"""Libraries that log addresses, which may be secrets, or every request and every message."""
_AWAY = ("redis.", "kombu.", "celery.beat")
"""Where what is raised for a broker that is away comes from; of the clock, it is all that it raises."""


class Hide(logging.Formatter):
    """Replaces secrets after everything else is said, tracebacks included. Below errors a traceback is one line, and so
    it is where Celery tells that its broker is away."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s")
        self._secrets = list(secrets)

    @override
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        if error and (record.levelno < logging.ERROR or _is_of_the_broker(record, error)):
            # A hundred lines of traceback, and then Celery reconnects; what was not acknowledged comes once more. The
            # clock has its stack in the message, too.
            record = copy.copy(record)
            message = record.getMessage().strip().partition("\n")[0]
            record.msg, record.args = f"{message} ({type(error).__name__}: {error})", ()
            record.exc_info = record.exc_text = None
        said: str = without(super().format(record), self._secrets)
        return said


def _is_of_the_broker(record: logging.LogRecord, error: BaseException) -> bool:
    """By names: who only asks for `status` has neither Redis nor Celery loaded."""
    if not record.name.startswith(("celery.", "kombu.")):
        return False
    # What a task of ours meets may be any other connection, and then it is a fault of ours.
    bare = isinstance(error, ConnectionError | TimeoutError) and record.name != "celery.app.trace"
    return bare or type(error).__module__.startswith(_AWAY)


def start(settings: Settings, level: str = "info") -> None:
    """Logs to standard error from `level` on. The handlers that there were are replaced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Hide(settings.hidden()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def quiet() -> None:
    """Logs nothing: at the command line people are told by the commands themselves."""
    logging.basicConfig(level=logging.CRITICAL + 1, handlers=[logging.NullHandler()], force=True)
