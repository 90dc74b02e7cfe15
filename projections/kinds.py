"""What providers call a transaction, and what the contract calls it."""

from __future__ import annotations

BANK = "BANK"
#: The contract's name of each raw kind; what has none answers BANK.
TYPES = {
    "transfer": "TRANSFER",
    "payback": "TRANSFER",
    "order": "ORDER",
    "check": "CHECK",
    "withdrawal": "WITHDRAWAL",
    "bank": BANK,
    "card": "CARD",
    "deferred_card": "CARD",
    "summary_card": "CARD",
    "card_summary": "CARD",
}


def type_of(kind: str) -> str:
    return TYPES.get(kind, BANK)


def kinds_of(type: str) -> tuple[str, ...]:
    """The raw kinds of a type; for BANK those that it is not."""
    if type == BANK:
        return tuple(sorted(kind for kind, name in TYPES.items() if name != BANK))
    return tuple(sorted(kind for kind, name in TYPES.items() if name == type))
