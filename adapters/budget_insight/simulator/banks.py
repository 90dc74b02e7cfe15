"""The banks one can connect to."""

from msgspec import Struct

from adapters.budget_insight.simulator import berka, cozy, persona_files, personas

PERSONAS_BANK = personas.BANK
DATA_SET_BANKS = frozenset({berka.BANK, cozy.BANK, persona_files.BANK})


class Connector(Struct, frozen=True):
    """A bank as the API lists it. `id` may differ between installations, `uuid` never does."""

    id: int
    uuid: str
    name: str
    slug: str
    color: str
    country: str


CONNECTORS = (
    Connector(40, "338178e6-3d01-564f-9a7b-52ca442459bf", "Connecteur de test", "EXA", "1b2a4e", "fr"),
    Connector(58, "6f0f4f0c-7c1e-5b7a-9a53-0f6d6c0e1a58", PERSONAS_BANK, "HRZ", "0f766e", "fr"),
    Connector(77, "b1d7a2f4-52c3-5d0e-8f43-4a9e2c7f6077", berka.BANK, "CCB", "7c2d12", "cz"),
    Connector(78, "8d0c5b1e-9a47-5f3b-b6e2-1c7f4a9d6078", cozy.BANK, "BDT", "1d4ed8", "fr"),
    Connector(79, "2a6e9c44-3b1d-5e8f-a0c7-6d5f1b3e8079", persona_files.BANK, "BDP", "6d28d9", "fr"),
)


def connector_of(statement_bank: str) -> Connector:
    return next(connector for connector in CONNECTORS if connector.name == statement_bank)


def find_connector(reference: object) -> Connector | None:
    """Find a connector by its id or its uuid."""
    text = str(reference)
    return next((c for c in CONNECTORS if text in (str(c.id), c.uuid)), None)
