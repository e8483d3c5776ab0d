"""The one HTTP client of the watcher: many requests at once, and each of them ends."""

from watcher.http.client import Http
from watcher.http.message import Limits, Request, Response, basic

__all__ = ["Http", "Limits", "Request", "Response", "basic"]
