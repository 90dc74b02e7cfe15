"""The Budget Insight API 2.0, one method per endpoint that we use.

It speaks their words and returns their payloads; what these mean is said in `translate`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from yarl import URL

from adapters.budget_insight import addresses, payloads, times
from adapters.budget_insight.failures import AlreadyFresh, ListMoved, ListRepeated, NoAccount, failure_of
from adapters.budget_insight.payloads import lift
from adapters.budget_insight.transport import Transport
from application.ports import (
    AuthorisationNeeded,
    Credentials,
    ProviderRefused,
    UnexpectedAnswer,
)

#: The most rows that a page may hold, by their word; on transactions the limit is mandatory.
ROWS_MAX = 1_000
PAGES_MAX = 2_000
#: How often a list is walked that changes under the walk, and how long to wait in between. Seconds.
WALKS_MAX = 3
WALK_PAUSE = 2.0
#: A forced fetch may answer only when the bank has answered.
REFRESH_SECONDS = 60.0

Row = dict[str, Any]
Read = TypeVar("Read")

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

    async def user_of(self, token: str) -> str:
        """`GET users/me`: whose token it is."""
        return payloads.reference_of(lift(payloads.User, await self._get("users/me", token)).id)

    async def delete_user(self, token: str, user: str) -> None:
        """`DELETE users/{id}`: all the provider has of the user goes with it. By their number, and not as `me`: a
        token that is somebody else's must not delete them."""
        await self._transport.send("DELETE", self._at(f"users/{_reference(user)}"), token=token)

    # Connections

    async def connection(self, token: str, connection: str) -> payloads.Connection:
        """`GET users/me/connections/{id}`."""
        answer = await self._get(_connection(connection), token, expand="sources,connector")
        return lift(payloads.Connection, answer)

    async def refresh_connection(self, token: str, connection: str, *, attended: bool) -> None:
        """`PUT users/me/connections/{id}`: fetch from the bank now. Only where the person is there may it ask them
        for a strong authentication.

        Whether the answer waits for the fetch to end is not documented: what the connection says afterwards may
        still be of before.
        """
        url = self._at(_connection(connection), psu_requested="true" if attended else "false")
        try:
            # Each that arrives is one more visit to the bank: whoever counts them says whether to ask again.
            await self._transport.send("PUT", url, token=token, seconds=REFRESH_SECONDS, repeat=False)
        except AlreadyFresh:
            # It has just done so, or is doing so: some accounts never see another answer.
            pass

    async def delete_connection(self, token: str, connection: str) -> None:
        """`DELETE users/me/connections/{id}`, with its history."""
        await self._transport.send("DELETE", self._at(_connection(connection)), token=token)

    # Accounts and transactions

    async def accounts(self, token: str, connection: str, read: Callable[[Row], Read]) -> list[Read]:
        """`GET users/me/connections/{id}/accounts`, disabled and deleted ones too, as `read` takes them."""
        url = self._at(f"{_connection(connection)}/accounts", all="")
        try:
            return [row for page in await self._whole(url, token, "accounts", {}, read) for row in page]
        except NoAccount:
            # The way they say that a list is empty.
            return []

    async def transactions(
        self,
        token: str,
        read: Callable[[Row], Read],
        *,
        account: str | None = None,
        updated_since: datetime | None = None,
        booked_since: int | None = None,
    ) -> list[list[Read]]:
        """`GET users/me[/accounts/{id}]/transactions`, deleted ones too: page by page, as `read` takes them.

        `filter=date` because their default is a date that people edit. That there is no account is an error here:
        whoever asks has just seen one, and an empty list would be another answer.
        """
        path = "users/me/transactions"
        if account is not None:
            path = f"users/me/accounts/{_reference(account)}/transactions"
        query = {"limit": str(ROWS_MAX), "all": "", "filter": "date"}
        if updated_since is not None:
            query["last_update"] = times.to_paris(updated_since)
        if booked_since is not None:
            query["min_date"] = times.from_day(booked_since)
        return await self._whole(self._at(path, **query), token, "transactions", query, read)

    async def _whole(
        self, url: URL, token: str, name: str, query: Mapping[str, str], read: Callable[[Row], Read]
    ) -> list[list[Read]]:
        """All pages of a list, handed over when its end was reached: nothing of a walk that failed is seen, and
        of what came only what `read` made of it is held.

        Rows may be touched, come and go while it is walked, because nothing keeps a list still. It is walked again
        then, as it mostly stands still by then. A row that was seen twice is for the reader to bear.
        """
        for left in reversed(range(WALKS_MAX)):
            try:
                return [page async for page in self._walk(url, token, name, query, read)]
            except (ListMoved, ListRepeated) as error:
                log.warning("a list of %s could not be read to its end: %s", name, error.reason)
                if not left:
                    raise
            await self._transport.pause(WALK_PAUSE)
        raise AssertionError("the last walk returns or raises")

    async def _walk(
        self, url: URL, token: str, name: str, query: Mapping[str, str], read: Callable[[Row], Read]
    ) -> AsyncIterator[list[Read]]:
        """Walk a list by its links, or by offset where it has none.

        `total` says how many rows the list has as each page is put together. Links hold their place when rows come
        and go, so that rows which come above it are passed by: then fewer were seen, by their ids, than there are
        in the end, and the list may not be whole. So it is where rows went away before an offset.
        """
        seen, walked, total = 0, {str(url)}, None
        ids: set[str] = set()
        for _ in range(PAGES_MAX):
            answer = await self._transport.send("GET", url, token=token)
            page = payloads.page_of(_without_code(answer), name)
            if not page.linked and total is not None and page.total is not None and page.total < total:
                # Rows went away before the offset, so others slipped past it.
                raise ListMoved("list_moved")
            known = len(ids)
            ids.update(str(row.get("id")) for row in page.rows)
            if page.rows and len(ids) == known:
                raise ListRepeated("repeated_page")
            yield [read(row) for row in page.rows]
            seen, total = seen + len(page.rows), total if page.total is None else page.total
            following = self._following(url, page, seen, query)
            if following is None:
                if total is not None and len(ids) < total:
                    log.warning("a list of %s ended after %d of %d rows", name, len(ids), total)
                    raise ListMoved("list_moved")
                return
            if str(following) in walked:
                raise ListRepeated("repeated_link")
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
