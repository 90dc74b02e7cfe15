"""Provider: a source of bank data, as one tenant has set it up."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from domain import data_types
from domain.fact import Fact
from domain.refusals import CredentialsMissing, InvalidRequest, UnsupportedSetting

# What is known of each provider before anybody sets it up.


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider is, needs and supplies."""

    name: str
    logo_url: str
    credentials: Mapping[str, re.Pattern[str]]
    """The fields to be set before it can be enabled, each with the pattern it must match in full."""
    settings: tuple[str, ...]
    data_types: tuple[str, ...]
    optional_credentials: Mapping[str, re.Pattern[str]] = {}
    """Fields that may be set along with them, and that enabling it never asks for."""
    available: bool = True
    unique: bool = True
    """At most one data connection per user."""
    auth_required: bool = True


BUDGET_INSIGHT = Description(
    name="budget_insight",
    logo_url="/static/budget_insight.png",
    credentials={
        # One DNS label, or the label and the host it belongs to: never a place of somebody's choosing.
        "domain": re.compile(
            r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.biapi\.pro)?", re.ASCII | re.IGNORECASE
        ),
        "client_id": re.compile(r"[!-~]{1,255}", re.ASCII),
        "client_secret": re.compile(r"[!-~]{1,255}", re.ASCII),
    },
    # Whoever knows it can tell us that there is something new, and no more than that.
    optional_credentials={"webhook_secret": re.compile(r"[!-~]{1,255}", re.ASCII)},
    settings=("auto_connect", "refresh_interval_hours"),
    data_types=data_types.ALL,
)
CATALOGUE: dict[str, Description] = {BUDGET_INSIGHT.name: BUDGET_INSIGHT}

#: Once a day, unless the tenant says otherwise.
REFRESH_INTERVAL_HOURS = 24
REFRESH_INTERVAL_HOURS_MAX = 24 * 31

# Facts


class CredentialsUpdated(Fact, frozen=True):
    """New credentials lie in the secret store under `reference`; `fingerprint` is a keyed hash of them."""

    reference: str
    fields: tuple[str, ...]
    fingerprint: bytes


class SettingsUpdated(Fact, frozen=True):
    """All settings as they are from now on."""

    auto_connect: bool
    refresh_interval_hours: int = REFRESH_INTERVAL_HOURS
    """How old what we hold of a connection may become before it is looked at again; 0 where nobody asked."""


class ProviderEnabled(Fact, frozen=True):
    pass


class ProviderDisabled(Fact, frozen=True):
    pass


# State


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    credentials_reference: str | None = None
    credentials_fields: tuple[str, ...] = ()
    fingerprint: bytes = b""
    auto_connect: bool = False
    refresh_interval_hours: int = REFRESH_INTERVAL_HOURS
    enabled: bool = False


initial = Provider()

# Decisions


def check_credentials(description: Description, credentials: Mapping[str, str]) -> None:
    """Refuse credentials that are incomplete, unknown or of the wrong form, without repeating them."""
    problems: dict[str, list[str]] = {}
    known = {**description.credentials, **description.optional_credentials}
    for field, pattern in known.items():
        if field in credentials and not pattern.fullmatch(credentials[field]):
            problems[f"credentials.{field}"] = ["is not of the form this provider expects"]
        elif field in description.credentials and field not in credentials:
            problems[f"credentials.{field}"] = ["is required"]
    if set(credentials) - set(known):
        problems["credentials"] = ["holds a field that this provider does not know"]
    if problems:
        raise InvalidRequest("the credentials are not valid", **problems)


def update_credentials(
    provider: Provider, *, reference: str, fields: tuple[str, ...], fingerprint: bytes
) -> tuple[CredentialsUpdated, ...]:
    if provider.fingerprint == fingerprint:
        return ()
    return (CredentialsUpdated(reference=reference, fields=fields, fingerprint=fingerprint),)


def update_settings(
    provider: Provider, description: Description, settings: Mapping[str, bool | int]
) -> tuple[SettingsUpdated, ...]:
    """Change the settings that are named; the others stay.

    Raises:
        UnsupportedSetting, InvalidRequest.
    """
    if set(settings) - set(description.settings):
        raise UnsupportedSetting
    interval = settings.get("refresh_interval_hours", provider.refresh_interval_hours)
    if not 0 <= interval <= REFRESH_INTERVAL_HOURS_MAX:
        problem = f"must lie between 0, which is never, and {REFRESH_INTERVAL_HOURS_MAX}"
        raise InvalidRequest("a setting is not valid", **{"settings.refresh_interval_hours": [problem]})
    updated = SettingsUpdated(
        auto_connect=bool(settings.get("auto_connect", provider.auto_connect)),
        refresh_interval_hours=interval,
    )
    before = (provider.auto_connect, provider.refresh_interval_hours)
    return () if (updated.auto_connect, updated.refresh_interval_hours) == before else (updated,)


def enable(provider: Provider, description: Description) -> tuple[ProviderEnabled, ...]:
    missing = sorted(set(description.credentials) - set(provider.credentials_fields))
    if missing:
        raise CredentialsMissing(credentials=missing)
    return () if provider.enabled else (ProviderEnabled(),)


def disable(provider: Provider) -> tuple[ProviderDisabled, ...]:
    return (ProviderDisabled(),) if provider.enabled else ()


def apply(provider: Provider, fact: object) -> Provider:
    match fact:
        case CredentialsUpdated():
            return msgspec.structs.replace(
                provider,
                credentials_reference=fact.reference,
                credentials_fields=fact.fields,
                fingerprint=fact.fingerprint,
            )
        case SettingsUpdated():
            return msgspec.structs.replace(
                provider,
                auto_connect=fact.auto_connect,
                refresh_interval_hours=fact.refresh_interval_hours,
            )
        case ProviderEnabled():
            return msgspec.structs.replace(provider, enabled=True)
        case ProviderDisabled():
            return msgspec.structs.replace(provider, enabled=False)
    return provider
