"""Routes of the list of banks."""

from typing import Any

from aiohttp import web

from adapters.budget_insight.simulator.banks import CONNECTORS, DATA_SET_BANKS, Connector, find_connector
from adapters.budget_insight.simulator.edge import expanded, reply, simulator
from adapters.budget_insight.simulator.refusals import Refused

SYNC_FREQUENCY_DAYS = 1


def connector_object(connector: Connector, expand: frozenset[str] = frozenset()) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": connector.id,
        "uuid": connector.uuid,
        "name": connector.name,
        "slug": connector.slug,
        "code": None,
        "color": connector.color,
        "siret": None,
        "hidden": None,
        "charged": True,
        "beta": False,
        "restricted": False,
        "capabilities": ["bank"],
        "products": ["bank"],
        "auth_mechanism": "credentials",
        "available_auth_mechanisms": ["credentials"],
        "sync_frequency": SYNC_FREQUENCY_DAYS,
        "months_to_fetch": None,
        "account_types": ["checking", "savings", "livret_a", "loan", "card"],
        "account_usages": ["PRIV", "ORGA"],
    }
    if "fields" in expand:
        shown["fields"] = connector_fields()
    if "sources" in expand:
        shown["sources"] = connector_sources(connector)
    if "countries" in expand:
        shown["countries"] = [{"id": connector.country}]
    return shown


def connector_fields() -> list[dict[str, Any]]:
    return [field("login", "Identifiant", "text"), field("password", "Mot de passe", "password")]


def field(name: str, label: str, type_: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": type_,
        "required": True,
        "regex": None,
        "description": None,
        "values": [],
        "auth_mechanisms": ["credentials"],
        "connector_sources": ["openapi"],
    }


def connector_sources(connector: Connector) -> list[dict[str, Any]]:
    return [
        {
            "id": connector.id * 10 + 1,
            "id_connector": connector.id,
            "name": "openapi",
            "auth_mechanism": "credentials",
            "disabled": None,
            "priority": 1,
        }
    ]


def listed(request: web.Request) -> list[Connector]:
    """A data set's bank exists only where it is served; `country_codes` narrows the list."""
    served = simulator(request).bank.logins.data_set_bank
    countries = request.query.get("country_codes")
    return [
        connector
        for connector in CONNECTORS
        if (connector.name == served or connector.name not in DATA_SET_BANKS)
        and (not countries or connector.country in countries.lower().split(","))
    ]


async def list_connectors(request: web.Request) -> web.Response:
    found = [connector_object(connector, expanded(request)) for connector in listed(request)]
    return reply({"connectors": found, "total": len(found)})


async def get_connector(request: web.Request) -> web.Response:
    return reply(connector_object(named_connector(request), expanded(request)))


async def get_fields(request: web.Request) -> web.Response:
    named_connector(request)
    return reply({"fields": connector_fields(), "total": len(connector_fields())})


async def get_sources(request: web.Request) -> web.Response:
    found = connector_sources(named_connector(request))
    return reply({"sources": found, "total": len(found)})


def named_connector(request: web.Request) -> Connector:
    connector = find_connector(request.match_info["connector"])
    if connector is None:
        raise Refused("notFound", "No such connector.")
    return connector


ROUTES = (
    web.get("/2.0/connectors", list_connectors),
    web.get("/2.0/connectors/{connector}", get_connector),
    web.get("/2.0/connectors/{connector}/fields", get_fields),
    web.get("/2.0/connectors/{connector}/sources", get_sources),
)
