"""The doors, over HTTP: what a client sends becomes a use case or a query, and what it came to is sent."""

from adapters.http.app import create_app
from adapters.http.services import HttpServices, Readiness

__all__ = ["HttpServices", "Readiness", "create_app"]
