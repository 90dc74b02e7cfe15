"""A bank to develop against: the Budget Insight (Powens) 2.0 API over HTTP, with people who do not exist.

`serve` starts it, `logins` lists who can log in. It shares nothing with the client it answers to: whatever
the two agree on, they agree on because both read the protocol.
"""

from adapters.budget_insight.simulator.app import create_app, serve
from adapters.budget_insight.simulator.logins import PASSWORD, Login, UnknownDataSet, logins
from adapters.budget_insight.simulator.options import SimulatorOptions, WebhookOptions

__all__ = [
    "PASSWORD",
    "Login",
    "SimulatorOptions",
    "UnknownDataSet",
    "WebhookOptions",
    "create_app",
    "logins",
    "serve",
]
