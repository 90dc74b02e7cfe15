"""All routes: the table of contents of the doors."""

from __future__ import annotations

from adapters.http import docs, operations, webhooks
from adapters.http.browser import routes as browser
from adapters.http.insights import balances, categories, reports, storage
from adapters.http.native import accounts, api_keys, connections, metrics, quality, statements
from adapters.http.qard import banking, data_connections, providers, syncs, users
from adapters.http.routing import Route

ROUTES: tuple[Route, ...] = (
    *providers.ROUTES,
    *users.ROUTES,
    *data_connections.ROUTES,
    *syncs.ROUTES,
    *banking.ROUTES,
    *balances.ROUTES,
    *reports.ROUTES,
    *categories.ROUTES,
    *storage.ROUTES,
    *connections.ROUTES,
    *quality.ROUTES,
    *statements.ROUTES,
    *metrics.ROUTES,
    *accounts.ROUTES,
    *api_keys.ROUTES,
    *webhooks.ROUTES,
    *browser.ROUTES,
    *operations.ROUTES,
    *docs.ROUTES,
)
