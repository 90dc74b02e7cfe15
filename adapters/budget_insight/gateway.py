"""Budget Insight as the provider gateway that the use cases know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import aiohttp

from adapters.budget_insight import addresses, payloads, translate
from adapters.budget_insight.client import Client
from adapters.budget_insight.pacing import REQUESTS_PER_MINUTE, Pace, Time, loop_time
from adapters.budget_insight.transport import REPLY_SECONDS, Retries, Transport, open_session
from application.ports import (
    AuthorisationNeeded,
    Credentials,
    ObservedAccount,
    ObservedConnection,
    ObservedPage,
    ProviderRefused,
    ProviderUser,
    Returned,
    UnexpectedAnswer,
)


class BudgetInsightGateway:
    """Implements `application.ports.ProviderGateway` over the API 2.0.

    `base_url` stands in for `https://{domain}.biapi.pro` and `webview_url` for the address of the webview;
    the paths below them stay. The session is opened at the first request and closed by `close`. `time` is that of
    the pauses between requests, in seconds.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        webview_url: str | None = None,
        session: Callable[[], aiohttp.ClientSession] = open_session,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        retries: Retries | None = None,
        reply_seconds: float = REPLY_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        time: Time = loop_time,
    ) -> None:
        self._base_url = base_url
        self._webview_url = webview_url or addresses.WEBVIEW_URL
        self._open_session = session
        self._retries = retries or Retries()
        self._reply_seconds = reply_seconds
        self._now = now
        self._time = time
        self._requests_per_minute = requests_per_minute
        self._paces: dict[tuple[str, str], Pace] = {}
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _client(self, credentials: Credentials) -> Client:
        root = addresses.root_of(credentials["domain"], self._base_url)
        if self._session is None or self._session.closed:
            self._session = self._open_session()
        transport = Transport(
            self._session,
            pace=self._pace(str(root), credentials["client_id"]),
            retries=self._retries,
            reply_seconds=self._reply_seconds,
            now=self._now,
        )
        return Client(transport, root)

    def _pace(self, root: str, client_id: str) -> Pace:
        """One for all requests of a tenant: the provider counts them together."""
        pace = self._paces.get((root, client_id))
        if pace is None:
            pace = self._paces[root, client_id] = Pace(
                self._requests_per_minute,
                patience=self._retries.patience,
                sleep=self._retries.sleep,
                time=self._time,
            )
        return pace

    async def create_user(self, credentials: Credentials) -> ProviderUser:
        client = self._client(credentials)
        user = await client.init_user(credentials)
        token = payloads.secret_of(user.auth_token)
        if user.type == "temporary":
            token = await client.exchange_code(credentials, token)
        return await _checked(
            client, ProviderUser(reference=payloads.reference_of(user.id_user), token=token)
        )

    async def renew_user(self, credentials: Credentials, user: ProviderUser) -> ProviderUser:
        client = self._client(credentials)
        token = await client.renew_token(credentials, user.reference)
        return await _checked(client, ProviderUser(reference=user.reference, token=token))

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
        code = await self._client(credentials).temporary_code(user.token)
        query = {
            "domain": addresses.host_of(credentials["domain"]),
            "client_id": credentials["client_id"],
            "redirect_uri": redirect_uri,
            "code": code,
            "state": state,
        }
        # `connect` on a bank that is connected already makes a second connection, with its own copy of all.
        flow = "connect"
        if connection is not None:
            flow = "reconnect"
            query["connection_id"] = connection
        return addresses.webview(self._webview_url, languages=languages, flow=flow, query=query)

    def returned(self, query: Mapping[str, str]) -> Returned:
        return translate.returned(query)

    async def connection(
        self, credentials: Credentials, user: ProviderUser, connection: str
    ) -> ObservedConnection:
        payload = await self._client(credentials).connection(user.token, connection)
        if payloads.reference_of(payload.id) != connection:
            raise UnexpectedAnswer("unexpected_shape")
        # It may be null by their word; then the token alone says whose it is.
        if payload.id_user is not None and payloads.reference_of(payload.id_user) != user.reference:
            raise ProviderRefused("foreign_connection")
        return translate.connection(payload, provider_user=user.reference)

    async def refresh(
        self, credentials: Credentials, user: ProviderUser, connection: str, *, attended: bool = False
    ) -> None:
        await self._client(credentials).refresh_connection(user.token, connection, attended=attended)

    async def accounts(
        self, credentials: Credentials, user: ProviderUser, connection: str
    ) -> Sequence[ObservedAccount]:
        # An account does not name its bank: its connection does.
        bank_name = (await self.connection(credentials, user, connection)).bank_name
        read = partial(translate.account, user=user.reference, connection=connection, bank_name=bank_name)
        accounts: dict[str, ObservedAccount] = {}
        for account in await self._client(credentials).accounts(user.token, connection, read):
            if accounts.setdefault(account.reference, account) != account:
                raise UnexpectedAnswer("conflicting_rows")
        return list(accounts.values())

    async def transactions(
        self,
        credentials: Credentials,
        user: ProviderUser,
        *,
        accounts: Sequence[ObservedAccount],
        updated_since: datetime | None = None,
        booked_since: int | None = None,
    ) -> AsyncIterator[ObservedPage]:
        """The user's list where only what is new is asked, which is one request for all accounts; each
        account's own list where a window or all is. A list is handed over when it was read to its end."""
        exponents = {account.reference: account.exponent for account in accounts}
        if not exponents:
            return
        client = self._client(credentials)
        lists: Sequence[str | None] = [None] if updated_since is not None else list(exponents)
        for account in lists:
            pages = await client.transactions(
                user.token,
                partial(translate.transaction, account=account, exponents=exponents),
                account=account,
                updated_since=updated_since,
                booked_since=booked_since,
            )
            for page in pages:
                yield ObservedPage(rows=[row for row in page if row is not None])

    async def delete_connection(self, credentials: Credentials, user: ProviderUser, connection: str) -> None:
        try:
            await self._client(credentials).delete_connection(user.token, connection)
        except ProviderRefused as refusal:
            if refusal.reason != "not_found":
                raise

    async def delete_user(self, credentials: Credentials, user: ProviderUser) -> None:
        client = self._client(credentials)
        try:
            try:
                await client.delete_user(user.token, user.reference)
            except AuthorisationNeeded:
                # The token is dead: with its user, or alone. Another one shows which.
                token = await client.renew_token(credentials, user.reference)
                await client.delete_user(token, user.reference)
        except ProviderRefused as refusal:
            if refusal.reason != "not_found":
                raise


async def _checked(client: Client, user: ProviderUser) -> ProviderUser:
    """The user, if the token is theirs: with another's, the person would connect their bank for somebody else."""
    if await client.user_of(user.token) != user.reference:
        raise UnexpectedAnswer("foreign_token")
    return user
