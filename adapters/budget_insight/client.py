"""The Budget Insight API 2.0, one method per endpoint that we use.

It speaks their words and returns their payloads; what these mean is said in `translate`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from yarl import URL

from adapters.budget_insight import addresses, payloads, times
from adapters.budget_insight.failures import AlreadyFresh, NoAccount, failure_of
from adapters.budget_insight.payloads import lift
from adapters.budget_insight.transport import Transport
from application.ports import (
    AuthorisationNeeded,
    Credentials,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedAnswer,
)

#: The most rows that a page may hold, by their word; on transactions the limit is mandatory.
ROWS_MAX = 1_000
PAGES_MAX = 2_000
#: A forced fetch may answer only when the bank has answered.
REFRESH_SECONDS = 60.0

log = logging.getLogger("passbook.budget_insight")


class Client:
    """The API as one tenant sees it: `root` is the tenant's own, checked by `addresses.root_of`."""

    def __init__(self, transport: Transport, root: URL) -> None:
        self._transport = transport
        self._root = root

    # Users and tokens

    async def init_user(self, credentials: Credentials) -> payloads.InitialisedUser:
        """`POST auth/init`. Never repeated: each makes a user, who is billed."""
        return lift(payloads.InitialisedUser, await self._authenticate("auth/init", credentials, {}))

    async def exchange_code(self, credentials: Credentials, code: str) -> str:
        """`POST auth/token/access`: a permanent token for a code or a temporary token. Never repeated: a
        code is used up by the first."""
        answer = await self._authenticate(
            "auth/token/access", credentials, {"grant_type": "authorization_code", "code": code}
        )
        token = lift(payloads.AccessToken, answer)
        return payloads.secret_of(token.access_token or token.token)

    async def renew_token(self, credentials: Credentials, user: str) -> str:
        """`POST auth/renew`: another permanent token of a user who is known."""
        answer = await self._authenticate(
            "auth/renew", credentials, {"grant_type": "client_credentials", "id_user": int(user)}
        )
        token = lift(payloads.AccessToken, answer)
        return payloads.secret_of(token.access_token or token.token)

    async def _authenticate(self, path: str, credentials: Credentials, more: Mapping[str, Any]) -> Any:
        body = {"client_id": credentials["client_id"], "client_secret": credentials["client_secret"], **more}
        try:
            return await self._transport.send("POST", self._at(path), body=body, repeat=False)
        except AuthorisationNeeded:
            # No person is involved here: it is the tenant who is refused.
            pass
        except ProviderRefused as refusal:
            if refusal.reason == "not_found":
                raise
        raise ProviderRefused("credentials_refused")

    async def temporary_code(self, token: str) -> str:
        """`GET auth/token/code`: a code for one use in a browser, within half an hour."""
        answer = await self._get("auth/token/code", token, type="singleAccess")
        return payloads.secret_of(lift(payloads.TemporaryCode, answer).code)

    async def delete_user(self, token: str) -> None:
        """`DELETE users/me`: all the provider has of the user goes with it."""
        await self._transport.send("DELETE", self._at("users/me"), token=token)

    # Connections

    async def connection(self, token: str, connection: str) -> payloads.Connection:
        """`GET users/me/connections/{id}`."""
        answer = await self._get(_connection(connection), token, expand="sources,connector")
        return lift(payloads.Connection, answer)

    async def refresh_connection(self, token: str, connection: str) -> None:
        """`PUT users/me/connections/{id}`: fetch from the bank now. The person is not there, and saying
        otherwise would ask them for a strong authentication."""
        url = self._at(_connection(connection), psu_requested="false")
        try:
            await self._transport.send("PUT", url, token=token, seconds=REFRESH_SECONDS)
        except AlreadyFresh:
            # It has just done so, or is doing so: some accounts never see another answer.
            pass

    async def delete_connection(self, token: str, connection: str) -> None:
        """`DELETE users/me/connections/{id}`, with its history."""
        await self._transport.send("DELETE", self._at(_connection(connection)), token=token)

    # Accounts and transactions

    async def accounts(self, token: str, connection: str) -> list[dict[str, Any]]:
        """`GET users/me/connections/{id}/accounts`, disabled and deleted ones too: rows as they came."""
        url = self._at(f"{_connection(connection)}/accounts", all="")
        return [row async for page in self._pages(url, token, "accounts", {}) for row in page]

    async def transactions(
        self, token: str, *, account: str | None = None, updated_since: datetime | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """`GET users/me[/accounts/{id}]/transactions`, deleted ones too: page by page, rows as they came.

        `filter=date` because their default is a date that people edit.
        """
        path = "users/me/transactions"
        if account is not None:
            path = f"users/me/accounts/{_reference(account)}/transactions"
        query = {"limit": str(ROWS_MAX), "all": "", "filter": "date"}
        if updated_since is not None:
            query["last_update"] = times.to_paris(updated_since)
        async for page in self._pages(self._at(path, **query), token, "transactions", query):
            yield page

    async def _pages(
        self, url: URL, token: str, name: str, query: Mapping[str, str]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Walk a list by its links, or by offset where it has none. Rows may move meanwhile: a row seen
        twice is for the reader to bear, but a list that ends early is an error."""
        seen, walked, total = 0, {str(url)}, None
        for _ in range(PAGES_MAX):
            try:
                answer = await self._transport.send("GET", url, token=token)
                page = payloads.page_of(_without_code(answer), name)
            except NoAccount:
                if len(walked) == 1:
                    return
                # The last account went away between two pages: what was read is not the whole.
                raise ProviderUnreachable("list_moved") from None
            if not page.linked and total is not None and page.total is not None and page.total < total:
                # Rows went away before the offset, so others slipped past it.
                raise ProviderUnreachable("list_moved")
            yield page.rows
            seen, total = seen + len(page.rows), page.total
            following = self._following(url, page, seen, query)
            if following is None:
                if total is not None and seen < total:
                    log.warning("a list of %s ended after %d of %d rows", name, seen, total)
                return
            if str(following) in walked:
                raise UnexpectedAnswer("repeated_link")
            walked.add(str(following))
            url = following
        raise UnexpectedAnswer("too_many_pages")

    def _following(self, url: URL, page: payloads.Page, seen: int, query: Mapping[str, str]) -> URL | None:
        if page.linked:
            return None if page.next is None else addresses.next_page(self._root, page.next)
        full = len(page.rows) >= ROWS_MAX or (page.total or 0) > seen
        if not query or not page.rows or not full:
            return None
        return addresses.with_query(url, {**query, "offset": str(seen)})

    # Addresses

    async def _get(self, path: str, token: str, **query: str) -> Any:
        return await self._transport.send("GET", self._at(path, **query), token=token)

    def _at(self, path: str, **query: str) -> URL:
        return addresses.below(self._root, path, query)


def _without_code(answer: Any) -> Any:
    """The answer, unless it is an error said with a status of success."""
    if isinstance(answer, dict) and answer.get("code") is not None:
        raise failure_of(400, answer["code"])
    return answer


def _connection(reference: str) -> str:
    return f"users/me/connections/{_reference(reference)}"


def _reference(reference: str) -> str:
    """A reference may come from a browser: it goes into a path only if it can be one of theirs."""
    if not payloads.is_reference(reference):
        raise ProviderRefused("not_found")
    return reference
