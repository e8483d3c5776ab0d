"""Who is told, and of what."""

from pydantic import Field

from watcher.fields import (
    Model,
    Name,
    Url,
)
from watcher.secret import Secret


class SlackSettings(Model):
    """A Slack incoming webhook. Its address is a secret."""

    url: Secret


class WebhookSettings(Model):
    """A receiver of every event as JSON, signed by the rules of Standard Webhooks if a secret is named."""

    url: Url | Secret
    secret: Secret | None = None


class NotifySettings(Model):
    """Who is told."""

    slack: SlackSettings | None = None
    webhooks: dict[Name, WebhookSettings] = Field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """The receivers' names, as the outbox knows them."""
        return (*(("slack",) if self.slack else ()), *(f"webhook:{name}" for name in self.webhooks))


class SentrySettings(Model):
    """Where errors of toplayer itself go."""

    dsn: Secret
    environment: str = "production"
