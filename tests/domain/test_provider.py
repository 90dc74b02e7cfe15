from __future__ import annotations

import msgspec
import pytest

from domain import provider
from domain.refusals import CredentialsMissing, InvalidRequest, UnsupportedSetting
from tests.domain.examples import folded

SET = provider.CredentialsUpdated(
    reference="r1", fields=("client_id", "client_secret", "domain"), fingerprint=b"f1"
)


def credentials(**changes: str) -> dict[str, str]:
    return {"domain": "demo-sandbox", "client_id": "84213", "client_secret": "s3cr3t", **changes}


def test_enabling_needs_credentials_first():
    with pytest.raises(CredentialsMissing) as refused:
        provider.enable(provider.initial, provider.BUDGET_INSIGHT)
    assert refused.value.details == {"credentials": ["client_id", "client_secret", "domain"]}


def test_with_credentials_it_is_enabled_once():
    given = folded(provider, SET)
    facts = provider.enable(given, provider.BUDGET_INSIGHT)
    assert facts == (provider.ProviderEnabled(),)
    assert provider.enable(folded(provider, *facts, state=given), provider.BUDGET_INSIGHT) == ()


def test_the_same_credentials_again_are_no_news():
    given = folded(provider, SET)
    assert provider.update_credentials(given, reference="r2", fields=SET.fields, fingerprint=b"f1") == ()
    other = provider.update_credentials(given, reference="r2", fields=SET.fields, fingerprint=b"f2")
    assert [fact.reference for fact in other] == ["r2"]


def test_auto_connect_is_off_until_it_is_asked_for():
    assert provider.initial.auto_connect is False
    on = provider.update_settings(provider.initial, provider.BUDGET_INSIGHT, {"auto_connect": True})
    assert on == (provider.SettingsUpdated(auto_connect=True),)
    given = folded(provider, *on)
    assert provider.update_settings(given, provider.BUDGET_INSIGHT, {"auto_connect": True}) == ()


def test_an_unknown_setting_is_refused():
    with pytest.raises(UnsupportedSetting):
        provider.update_settings(provider.initial, provider.BUDGET_INSIGHT, {"turbo": True})


def settings(provider_state, **changes):
    return provider.update_settings(provider_state, provider.BUDGET_INSIGHT, changes)


def test_a_refresh_is_due_daily_until_somebody_says_otherwise():
    assert provider.initial.refresh_interval_hours == 24
    assert settings(provider.initial, refresh_interval_hours=24) == ()
    facts = settings(provider.initial, refresh_interval_hours=6)
    assert facts == (provider.SettingsUpdated(auto_connect=False, refresh_interval_hours=6),)
    given = folded(provider, *facts)
    assert given.refresh_interval_hours == 6
    assert settings(given, refresh_interval_hours=6) == ()


def test_only_the_settings_that_are_named_change():
    given = folded(provider, provider.SettingsUpdated(auto_connect=True, refresh_interval_hours=6))
    assert settings(given) == ()
    assert settings(given, auto_connect=False) == (
        provider.SettingsUpdated(auto_connect=False, refresh_interval_hours=6),
    )
    assert settings(given, refresh_interval_hours=12) == (
        provider.SettingsUpdated(auto_connect=True, refresh_interval_hours=12),
    )
    assert settings(given, auto_connect=True, refresh_interval_hours=6) == ()


@pytest.mark.parametrize("hours", [0, 1, 24 * 31])
def test_the_interval_may_be_never_or_up_to_a_month(hours):
    given = folded(provider, *settings(provider.initial, refresh_interval_hours=hours))
    assert given.refresh_interval_hours == hours


@pytest.mark.parametrize("hours", [-1, 24 * 31 + 1, 2**63])
def test_an_interval_beyond_that_is_refused_and_changes_nothing_else(hours):
    with pytest.raises(InvalidRequest) as refused:
        settings(provider.initial, refresh_interval_hours=hours, auto_connect=True)
    assert list(refused.value.details) == ["settings.refresh_interval_hours"]


def test_settings_stored_before_there_was_an_interval_mean_the_usual_one():
    early = msgspec.msgpack.encode({"auto_connect": True})
    fact = msgspec.msgpack.decode(early, type=provider.SettingsUpdated)
    given = folded(provider, fact)
    assert (given.auto_connect, given.refresh_interval_hours) == (True, 24)
    assert settings(given, auto_connect=True) == ()


def test_settings_and_credentials_are_independent():
    update = provider.SettingsUpdated(auto_connect=True, refresh_interval_hours=6)
    given = folded(provider, SET, provider.ProviderEnabled(), update)
    assert given == folded(provider, update, SET, provider.ProviderEnabled())
    assert given.enabled and given.credentials_reference == "r1"


@pytest.mark.parametrize(
    "domain", ["demo", "demo-sandbox.biapi.pro", "BUDGET_INSIGHT_CUSTOM_DOMAIN", "a" * 63]
)
def test_a_domain_is_one_label_or_its_host(domain):
    provider.check_credentials(provider.BUDGET_INSIGHT, credentials(domain=domain))


@pytest.mark.parametrize(
    "domain",
    [
        "", ".", "demo.", ".demo", "a.b", "a.b.biapi.pro", "demo.biapi.pro.", "demo.biapi.pro\n", "demo\n",
        "evil.com#.biapi.pro", "evil.com/.biapi.pro", "127.0.0.1?.biapi.pro", "../../x.biapi.pro",
        "u:p@evil.biapi.pro", "evil.com:80.biapi.pro", "evil.com\\.biapi.pro", "demo.biapi.pro@evil.com",
        "demo.biapi.pro:443", "demo.biapi.pro/x", "demo%2ebiapi.pro", "demo%00", "dem\x00o", "demo biapi",
        "demo。biapi.pro", "demo．biapi.pro", "démo", "demo\u200b", "١٢٧", "127.0.0.1", "2130706433.",
        "0x7f.1", "[::1]", "localhost.", "-demo", "demo-", "a" * 64, "demo.biapi.pr0", "biapi.pro",
        ".biapi.pro", "demo..biapi.pro", "http://demo", "//demo", "demo?", "demo#", "demo;x", "demo,evil",
        "demo\r\nHost: evil", "demo\t", " demo", "demo ",
    ],
)  # fmt: skip
def test_a_domain_is_never_a_place_of_somebodys_choosing(domain):
    with pytest.raises(InvalidRequest) as refused:
        provider.check_credentials(provider.BUDGET_INSIGHT, credentials(domain=domain))
    assert list(refused.value.details) == ["credentials.domain"]
    assert not domain.strip(".") or domain not in str(refused.value.details["credentials.domain"])


def test_missing_and_unknown_credentials_are_named_without_their_values():
    with pytest.raises(InvalidRequest) as refused:
        provider.check_credentials(provider.BUDGET_INSIGHT, {"domain": "demo", "clien_secret": "s3cr3t"})
    assert set(refused.value.details) == {
        "credentials", "credentials.client_id", "credentials.client_secret"
    }  # fmt: skip
    assert "clien_secret" not in str(refused.value.details) and "s3cr3t" not in str(refused.value.details)


def test_an_optional_credential_may_be_left_out_and_is_checked_where_it_is_given():
    description = provider.BUDGET_INSIGHT
    assert "webhook_secret" not in description.credentials
    provider.check_credentials(description, credentials())
    provider.check_credentials(description, credentials(webhook_secret="hush"))
    with pytest.raises(InvalidRequest) as refused:
        provider.check_credentials(description, credentials(webhook_secret="with spaces"))
    assert set(refused.value.details) == {"credentials.webhook_secret"}
    with pytest.raises(InvalidRequest) as refused:
        provider.check_credentials(description, {"webhook_secret": "hush"})
    assert "credentials.domain" in refused.value.details
    with pytest.raises(InvalidRequest):
        provider.check_credentials(description, credentials(webhook="hush"))
    given = folded(provider, SET)
    assert provider.enable(given, description) == (provider.ProviderEnabled(),)
