"""The person's way to the bank and back.

The link we hand out carries a token that is derived, not stored: it is valid for 24 hours from the moment
it was handed out, and until the connection is made. Each opening of it mints a single-use `state`.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID

import msgspec

from application.execute import (
    VISIBLE_TIMEOUT,
    Outcome,
    Plan,
    Services,
    credentials_of,
    execute,
    internal_context,
    is_enabled,
    load,
)
from application.ports import (
    AuthorisationNeeded,
    Credentials,
    ProviderError,
    ProviderGateway,
    ProviderRefused,
    ProviderUnreachable,
    ProviderUser,
    UnexpectedAnswer,
)
from application.provider_users import (
    obtain_provider_user,
    provider_user,
    renew_provider_user,
    replace_provider_user,
)
from application.refusals import Unavailable
from domain import consumer, data_connection, streams
from domain.refusals import CredentialsMissing, LinkInvalid, ProviderNotEnabled

LINK_LIFETIME = timedelta(hours=24)
#: As long as the code that the bank's page is opened with.
STATE_LIFETIME = timedelta(minutes=30)
CALLBACK_PATH = "/callback/budgea"
STATE_SECRET_SIZE = 32


class Return(msgspec.Struct, frozen=True):
    """Where the person ends: on the client's page, if it gave one, with the connection and its status."""

    data_connection_id: str
    status: str
    return_url: str | None


def link(services: Services, tenant: str, connection_id: str, epoch: int, at: datetime) -> str:
    """The address that sends the person to the bank, handed out at `at`."""
    expires = int((at + LINK_LIFETIME).timestamp())
    token = f"{expires:x}.{_link_mac(services, tenant, connection_id, epoch, expires)}"
    return f"{services.public_url}/connect/{connection_id}?token={token}"


def _link_mac(services: Services, tenant: str, connection_id: str, epoch: int, expires: int) -> str:
    said = f"{connection_id}|{epoch}|{expires}".encode()
    return urlsafe_b64encode(services.keys.keyed_hash(tenant, "link", said)[:24]).decode()


def _check_link(
    services: Services, tenant: str, connection_id: str, state: data_connection.Requested, token: str
) -> None:
    expires_text, _, mac = token.partition(".")
    try:
        expires = int(expires_text, 16)
    except ValueError:
        raise LinkInvalid from None
    expected = _link_mac(services, tenant, connection_id, state.link_epoch, expires)
    if not compare_digest(mac.encode(), expected.encode()):
        raise LinkInvalid
    if services.clock.now() >= datetime.fromtimestamp(expires, UTC):
        raise LinkInvalid


async def open_link(
    services: Services, connection_id: str, token: str, *, languages: Sequence[str] = ()
) -> str:
    """Begin an authorisation, and return the address of the bank's page, in the first of `languages` it has.

    Raises:
        LinkInvalid: not this connection's token, expired, or nothing is to be authorised.
        Unavailable: the provider cannot be reached. Nothing was recorded; the link stays valid.
    """
    stream = await services.read_models.stream_of_connection(connection_id)
    if stream is None:
        raise LinkInvalid
    tenant, consumer_id, _, _ = streams.parse(stream)
    state = (await load(services, stream)).state
    if not data_connection.may_be_opened(state):
        raise LinkInvalid
    _check_link(services, tenant, connection_id, state, token)

    if not await is_enabled(services, tenant, state.provider):
        raise ProviderNotEnabled
    credentials = await credentials_of(services, tenant, state.provider)
    if credentials is None:
        raise CredentialsMissing
    minted = mint_state(services, connection_id)

    gateway = services.gateways[state.provider]

    async def address_for(user: ProviderUser) -> str:
        return await gateway.authorisation_url(
            credentials,
            user,
            redirect_uri=f"{services.public_url}{CALLBACK_PATH}",
            state=minted,
            connection=await _still_there(gateway, credentials, user, state),
            languages=languages,
        )

    whose = (services, tenant, consumer_id, state.provider, credentials)
    try:
        try:
            address = await address_for(await obtain_provider_user(*whose))
        except AuthorisationNeeded:
            # The token was revoked: the person is here to authorise anew, which takes one that is valid.
            user = await renew_provider_user(*whose) or await replace_provider_user(*whose)
            address = await address_for(user)
    except ProviderError as error:
        raise Unavailable(error.reason, error.retry_after or 5.0) from error

    async def decide() -> Plan:
        loaded = await load(services, stream)
        expires_at = services.clock.now() + STATE_LIFETIME
        facts = data_connection.start_authorisation(
            loaded.state, state_digest=digest_of(minted), expires_at=expires_at
        )
        return Plan(loaded, ((loaded, facts),))

    outcome = await execute(services, internal_context(services, tenant, "browser"), decide)
    # Whoever looks while the person is at the bank sees that they are.
    await services.read_models.reach(outcome.position, VISIBLE_TIMEOUT)
    return address


async def _still_there(
    gateway: ProviderGateway,
    credentials: Credentials,
    user: ProviderUser,
    state: data_connection.Requested,
) -> str | None:
    """The connection to make anew; None where there is none, or it is gone, so that another is to be made."""
    if state.reference is None or state.provider_user != user.reference:
        return None
    try:
        await gateway.connection(credentials, user, state.reference)
    except ProviderRefused as refused:
        return None if refused.reason == "not_found" else state.reference
    except (ProviderUnreachable, UnexpectedAnswer):
        pass
    return state.reference


def mint_state(services: Services, connection_id: str) -> str:
    """A `state` that names its connection and that nobody can guess."""
    secret = services.ids.token(STATE_SECRET_SIZE)
    return urlsafe_b64encode(UUID(connection_id).bytes + secret).rstrip(b"=").decode()


def digest_of(state: str) -> bytes:
    return sha256(state.encode()).digest()


def _connection_of(state: str) -> str:
    try:
        raw = urlsafe_b64decode(state.encode("ascii") + b"=" * (-len(state) % 4))
    except ValueError:
        raise LinkInvalid from None
    if len(raw) != 16 + STATE_SECRET_SIZE:
        raise LinkInvalid
    return str(UUID(bytes=raw[:16]))


async def complete(services: Services, query: Mapping[str, str]) -> Return:
    """Take the person back from the bank's page: connected, or not.

    Raises:
        LinkInvalid: the `state` is missing, used, expired or somebody else's, or the connection is not
            this consumer's. Nothing was changed.
        Unavailable: the provider cannot say now whose connection it is; the same address works later.
    """
    state = query.get("state", "")
    connection_id = _connection_of(state)
    stream = await services.read_models.stream_of_connection(connection_id)
    if stream is None:
        raise LinkInvalid
    tenant, consumer_id, _, _ = streams.parse(stream)
    digest = digest_of(state)
    connection = data_connection.opening((await load(services, stream)).state, digest, services.clock.now())
    try:
        returned = services.gateways[connection.provider].returned(query)
    except UnexpectedAnswer:
        raise LinkInvalid from None
    failure, reference = returned.failure, returned.connection or connection.reference
    user_reference = ""
    if failure is None and reference is None:
        failure = "no_connection_returned"
    if failure is None and reference is not None:
        user_reference = await _owner(services, tenant, consumer_id, connection.provider, reference)
        # Before it is recorded: what is found by these ids in vain does no harm.
        await services.connecting(stream, connection.provider, reference, user_reference)

    async def decide() -> Plan:
        loaded = await load(services, stream)
        now = services.clock.now()
        if failure is not None or reference is None:
            failed = data_connection.fail_authorisation(
                loaded.state, state_digest=digest, now=now, reason=failure or "no_connection_returned"
            )
            return Plan(loaded, ((loaded, failed),))
        connected = data_connection.connect(
            loaded.state, state_digest=digest, now=now, reference=reference, provider_user=user_reference
        )
        return Plan(loaded, ((loaded, connected),))

    outcome = await execute(services, internal_context(services, tenant, "browser"), decide)
    await services.read_models.reach(outcome.position, VISIBLE_TIMEOUT)
    return await _return(services, outcome, consumer_id)


async def _owner(
    services: Services, tenant: str, consumer_id: str, provider_name: str, reference: str
) -> str:
    """The provider's user that the connection belongs to, which must be this consumer's."""
    credentials = await credentials_of(services, tenant, provider_name)
    user = (
        await provider_user(services, tenant, consumer_id, provider_name, credentials)
        if credentials
        else None
    )
    if credentials is None or user is None:
        raise LinkInvalid
    try:
        observed = await services.gateways[provider_name].connection(credentials, user, reference)
    except ProviderRefused:
        raise LinkInvalid from None
    except ProviderError as error:
        raise Unavailable(error.reason, error.retry_after or 5.0) from error
    if observed.provider_user != user.reference:
        raise LinkInvalid
    return user.reference


async def _return(services: Services, outcome: Outcome, consumer_id: str) -> Return:
    tenant, _, _, connection_id = streams.parse(outcome.stream)
    connection = (await load(services, outcome.stream)).state
    owner = (await load(services, streams.consumer(tenant, consumer_id))).state
    return_url = owner.details.return_url if isinstance(owner, consumer.Registered) else None
    status = (
        connection.status
        if isinstance(connection, data_connection.Requested)
        else data_connection.DISCONNECTED
    )
    return Return(connection_id, status, return_url)
