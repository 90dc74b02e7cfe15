"""The types of data a provider supplies and a client asks for."""

from __future__ import annotations

from collections.abc import Iterable

BANK_ACCOUNT = "BANK_ACCOUNT"
BANK_TRANSACTION = "BANK_TRANSACTION"
CASHFLOW = "CASHFLOW"
CREDIT_INSIGHTS = "CREDIT_INSIGHTS"

#: Each type with those that it is made from. The order is the one in which they are listed.
DEPENDENCIES: dict[str, tuple[str, ...]] = {
    BANK_ACCOUNT: (),
    BANK_TRANSACTION: (BANK_ACCOUNT,),
    CASHFLOW: (BANK_ACCOUNT, BANK_TRANSACTION),
    CREDIT_INSIGHTS: (BANK_ACCOUNT, BANK_TRANSACTION),
}
ALL = tuple(DEPENDENCIES)


def with_dependencies(data_types: Iterable[str]) -> tuple[str, ...]:
    """The types asked for and those they are made from, in the order of `ALL`."""
    wanted = set(data_types)
    for data_type in tuple(wanted):
        wanted.update(DEPENDENCIES[data_type])
    return tuple(data_type for data_type in ALL if data_type in wanted)
