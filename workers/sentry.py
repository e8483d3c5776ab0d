"""Errors of toplayer itself, sent to Sentry where a DSN is configured; without one everything behaves the same.

What a step expects to go wrong (`Temporary`, `Refused`) is in the ledger and is no error of ours. No local variables
are sent, no request bodies, no user data, and no text that holds one of the configured secrets.
"""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from watcher.errors import Refused, Temporary
from watcher.inert import without
from watcher.settings import Settings

_DENIED = ["auth_config", "registry_auth", "x-registry-auth", "dsn", "broker", "ledger", "env"]


def start(settings: Settings) -> bool:
    """Starts Sentry in this process if the settings name a DSN; tells whether they do."""
    if settings.sentry is None:
        return False
    # Only here: it takes longer to import than most commands take to answer, and few have it.
    import sentry_sdk
    from sentry_sdk.integrations.celery import CeleryIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.scrubber import DEFAULT_DENYLIST, EventScrubber

    secrets = settings.hidden()
    sentry_sdk.init(
        dsn=settings.sentry.dsn.reveal(),
        environment=settings.sentry.environment,
        release=f"toplayer@{version('toplayer')}",
        integrations=[
            CeleryIntegration(monitor_beat_tasks=False),
            LoggingIntegration(level=logging.INFO, event_level=logging.CRITICAL),
        ],
        default_integrations=True,
        include_local_variables=False,
        include_source_context=True,
        max_request_body_size="never",
        traces_sample_rate=0.0,
        event_scrubber=EventScrubber(denylist=[*DEFAULT_DENYLIST, *_DENIED], recursive=True),
        before_send=lambda event, hint: _before_send(event, hint, secrets),
        before_breadcrumb=lambda crumb, _hint: without(crumb, secrets),
    )
    return True


def report(error: Exception, order: str, entry: str) -> None:
    """Sends one error of toplayer itself: one issue per kind of order, however many hosts it happens on."""
    import sentry_sdk

    with sentry_sdk.new_scope() as scope:
        scope.set_tag("order", order)
        scope.set_context("entry", {"name": entry})
        scope.fingerprint = ["{{ default }}", order]
        sentry_sdk.capture_exception(error)


def _before_send(event: Any, hint: Mapping[str, Any], secrets: list[str]) -> Any:
    error = (hint.get("exc_info") or (None, None))[1]
    return None if isinstance(error, (Temporary, Refused)) else without(event, secrets)
