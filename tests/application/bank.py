"""A bank behind the gateway's port: what it holds is set by a test, and so is what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from msgspec.structs import replace

from adapters.budget_insight import translate
from application.ports import (
    Clock,
    Credentials,
    ObservedAccount,
    ObservedConnection,
    ObservedPage,
    ProviderRefused,
    ProviderUser,
    Returned,
)
from domain.consumer_account import AccountDetails, BalanceRefreshed
from domain.transactions import Transaction

PAGE_SIZE = 100
WEBVIEW = "https://webview.bank.test"


@dataclass
class BankConnection:
    user: str
    unsettled: int = 0
    """How often it says that it is still fetching."""
    reason: str | None = None
    needs_person: bool = False
    fetched_at: datetime | None = None
    """When it says that it fetched last; None follows the clock."""
    fetches: bool = True
    """Asked for it, it fetches."""
    consent_expires_at: datetime | None = None
    failing_sources: tuple[str, ...] = ()
    accounts: dict[str, ObservedAccount] = field(default_factory=dict)


@dataclass
class Failure:
    error: Exception
    times: int
    after_pages: int = 0


class ScriptedBank:
    """Implements `ProviderGateway`. `calls` tells what was asked, in order."""

    def __init__(self, clock: Clock) -> None:
        self.users: dict[str, str] = {}
        self.connections: dict[str, BankConnection] = {}
        self.rows: dict[str, dict[str, tuple[Transaction, datetime]]] = {}
        self.calls: list[tuple[Any, ...]] = []
        self._clock = clock
        self._failures: dict[str, Failure] = {}
        self._intrusions: dict[str, Callable[[], Awaitable[Any]]] = {}
        self._users = count(7_301)
        self._connections = count(512)

    # What a test sets

    def connect(self, user: str, **more: Any) -> str:
        """The person chose a bank: its connection, for the callback to come back with."""
        reference = str(next(self._connections))
        self.connections[reference] = BankConnection(user, **more)
        return reference

    def account(self, connection: str, reference: str, **more: Any) -> None:
        """An account of a connection, in place of what it was before."""
        iban = more.pop("iban", f"FR76{reference:0>23}")
        balance = more.pop("balance", 100_00)
        as_of = more.pop("as_of", self._clock.now())
        details = AccountDetails(
            kind="CHECKING", name=more.pop("name", "Compte courant"), iban=iban, number=more.pop("number", None),
            bank_name="Banque Test", fields={"id": reference},
        )  # fmt: skip
        self.connections[connection].accounts[reference] = ObservedAccount(
            reference=reference,
            connection=connection,
            currency="EUR",
            exponent=2,
            details=details,
            reading=BalanceRefreshed(as_of=as_of, balance=balance),
            **more,
        )

    def change(self, connection: str, reference: str, **changes: Any) -> None:
        accounts = self.connections[connection].accounts
        accounts[reference] = replace(accounts[reference], **changes)

    def row(self, account: str, reference: str, *, updated: datetime | None = None, **more: Any) -> None:
        """A row of an account, in place of what it was before."""
        said = {"booked_on": 20_000, "amount": -42_35, "kind": "card", "wording": "CARTE EPICERIE", **more}
        transaction = Transaction(reference=reference, **said)
        self.rows.setdefault(account, {})[reference] = transaction, updated or self._clock.now()

    def fail(self, method: str, error: Exception, *, times: int = 1, after_pages: int = 0) -> None:
        self._failures[method] = Failure(error, times, after_pages)

    def during(self, method: str, step: Callable[[], Awaitable[Any]]) -> None:
        """Let something else happen, once, while the bank is asked this."""
        self._intrusions[method] = step

    def asked(self, method: str) -> list[tuple[Any, ...]]:
        return [said for name, *said in self.calls if name == method]

    # The port

    async def _called(self, method: str, *said: Any) -> None:
        self.calls.append((method, *said))
        await asyncio.sleep(0)
        if method in self._intrusions:
            await self._intrusions.pop(method)()
        failure = self._failures.get(method)
        if failure is not None and failure.times > 0 and not failure.after_pages:
            failure.times -= 1
            raise failure.error

    def _of(self, user: ProviderUser, connection: str) -> BankConnection:
        held = self.connections.get(connection)
        if held is None or held.user != user.reference:
            raise ProviderRefused("not_found")
        return held

    async def create_user(self, credentials: Credentials) -> ProviderUser:
        await self._called("create_user", credentials["domain"])
        reference = str(next(self._users))
        self.users[reference] = credentials["domain"]
        return ProviderUser(reference, f"token-of-{reference}")

    async def renew_user(self, credentials: Credentials, user: ProviderUser) -> ProviderUser:
        await self._called("renew_user", user.reference)
        if user.reference not in self.users:
            raise ProviderRefused("not_found")
        return ProviderUser(user.reference, f"{user.token}-renewed")

    async def authorisation_url(
        self,
        credentials: Credentials,
        user: ProviderUser,
        *,
        redirect_uri: str,
        state: str,
        connection: str | None = None,
        languages: Sequence[str] = (),
    ) -> str:
        await self._called("authorisation_url", user.reference, connection, redirect_uri)
        return f"{WEBVIEW}/{next(iter(languages), 'fr')}/{'reconnect' if connection else 'connect'}?state={state}"

    def returned(self, query: Mapping[str, str]) -> Returned:
        return translate.returned(query)

    async def connection(
        self, credentials: Credentials, user: ProviderUser, connection: str
    ) -> ObservedConnection:
        await self._called("connection", user.reference, connection)
        held = self._of(user, connection)
        settled = held.unsettled <= 0
        held.unsettled -= 1
        return ObservedConnection(
            reference=connection,
            provider_user=held.user,
            settled=settled,
            reason=held.reason,
            needs_person=held.needs_person,
            bank_name="Banque Test",
            fetched_at=held.fetched_at or self._clock.now(),
            consent_expires_at=held.consent_expires_at,
            failing_sources=held.failing_sources,
        )

    async def refresh(
        self, credentials: Credentials, user: ProviderUser, connection: str, *, attended: bool = False
    ) -> None:
        await self._called("refresh", user.reference, connection, *(["attended"] if attended else []))
        held = self._of(user, connection)
        if held.fetched_at is not None and held.fetches:
            held.fetched_at = self._clock.now()

    async def accounts(
        self, credentials: Credentials, user: ProviderUser, connection: str
    ) -> Sequence[ObservedAccount]:
        await self._called("accounts", user.reference, connection)
        return list(self._of(user, connection).accounts.values())

    async def transactions(
        self,
        credentials: Credentials,
        user: ProviderUser,
        *,
        accounts: Sequence[ObservedAccount],
        updated_since: datetime | None = None,
        booked_since: int | None = None,
    ) -> AsyncIterator[ObservedPage]:
        asked = [account.reference for account in accounts]
        await self._called(
            "transactions", asked, updated_since, *([] if booked_since is None else [booked_since])
        )
        wanted = [
            (account, replace(row, touched_at=updated))
            for account in asked
            for row, updated in self.rows.get(account, {}).values()
            if (updated_since is None or updated >= updated_since)
            and (booked_since is None or row.booked_on >= booked_since)
        ]
        failure = self._failures.get("transactions")
        for number, start in enumerate(range(0, len(wanted), PAGE_SIZE)):
            if failure is not None and failure.times > 0 and number == failure.after_pages:
                failure.times -= 1
                raise failure.error
            page = wanted[start : start + PAGE_SIZE]
            yield ObservedPage(rows=page)
            await asyncio.sleep(0)

    async def delete_connection(self, credentials: Credentials, user: ProviderUser, connection: str) -> None:
        await self._called("delete_connection", user.reference, connection)
        self.connections.pop(connection, None)

    async def delete_user(self, credentials: Credentials, user: ProviderUser) -> None:
        await self._called("delete_user", user.reference)
        self.users.pop(user.reference, None)


def credentials(domain: str = "acme-sandbox", secret: str = "s3cret") -> Mapping[str, str]:
    return {"domain": domain, "client_id": "12345", "client_secret": secret}
