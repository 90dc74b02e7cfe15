"""What their payloads mean for us."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from adapters.budget_insight import payloads, states, translate
from application.ports import ObservedAccount, ObservedConnection, UnexpectedAnswer
from domain.consumer_account import CHECKING, CREDIT_CARD, LOAN, SAVINGS, UNKNOWN_KIND
from domain.transactions import Transaction, batch_of, date_of, day_of
from tests.budget_insight import scripted

SYNCED = "2026-03-01 06:12:46"


def a_connection(**given: Any) -> ObservedConnection:
    payload = payloads.lift(payloads.Connection, {"id": 512, "id_user": 7301, **given})
    return translate.connection(payload, provider_user="7301")


def an_account(**given: Any) -> ObservedAccount:
    row = {"id": 2318, "id_connection": 512, "currency": {"id": "EUR", "precision": 2}, **given}
    return translate.account(row, user="7301", connection="512", bank_name="Banque")


def a_transaction(exponent: int = 2, **given: Any) -> Transaction:
    read = translate.transaction({**scripted.row(1), **given}, account=None, exponents={"2318": exponent})
    assert read is not None and read[0] == "2318"
    return read[1]


def decoded(value: str) -> Any:
    return payloads.decode(value.encode())


class TestConnections:
    def test_without_a_state_and_with_a_date_all_is_well(self) -> None:
        observed = a_connection(state=None, last_update=SYNCED, connector={"name": "Banque"})
        assert observed.settled and observed.reason is None and not observed.needs_person
        assert observed.bank_name == "Banque"
        assert observed.provider_user == "7301"

    @pytest.mark.parametrize("state", [None, ""])
    def test_without_a_state_and_without_a_date_it_was_never_fetched(self, state: str | None) -> None:
        observed = a_connection(state=state, last_update=None)
        assert not observed.settled and observed.reason is None

    @pytest.mark.parametrize(
        ("state", "reason", "needs_person"),
        [
            ("SCARequired", "sca_required", True),
            ("webauthRequired", "webauth_required", True),
            ("additionalInformationNeeded", "additional_information_needed", True),
            ("decoupled", "decoupled", True),
            ("actionNeeded", "action_needed", True),
            ("passwordExpired", "password_expired", True),
            ("wrongpass", "wrong_password", True),
            ("wrongPass", "wrong_password", True),
            ("rateLimiting", "rate_limited", False),
            ("websiteUnavailable", "bank_unavailable", False),
            ("bug", "provider_bug", False),
            ("notSupported", "not_supported", False),
            ("somethingNew", "unknown_state", False),
            ("syncing", "unknown_state", False),
            ({"a": 1}, "unknown_state", False),
        ],
    )
    def test_each_state_has_its_reason(self, state: Any, reason: str, needs_person: bool) -> None:
        for last_update in (None, SYNCED):
            observed = a_connection(state=state, last_update=last_update)
            assert (observed.reason, observed.needs_person, observed.settled) == (reason, needs_person, True)

    def test_one_that_is_being_validated_is_not_settled(self) -> None:
        observed = a_connection(state="validating", last_update=SYNCED)
        assert (observed.reason, observed.needs_person, observed.settled) == ("validating", False, False)

    def test_an_error_without_a_state_counts(self) -> None:
        assert a_connection(error="SCARequired").reason == "sca_required"

    def test_a_source_in_error_beside_one_that_is_well_shows_and_stops_nothing(self) -> None:
        sources = [{"state": None}, {"state": "SCARequired"}, {"state": "bug"}, {"state": "BUG"}]
        observed = a_connection(last_update=SYNCED, sources=sources)
        assert (observed.reason, observed.needs_person, observed.settled) == (None, False, True)
        assert observed.failing_sources == ("provider_bug", "sca_required")

    def test_a_source_that_is_disabled_does_not_count(self) -> None:
        observed = a_connection(
            last_update=SYNCED, sources=[{"state": "bug", "disabled": SYNCED}, {"state": None}]
        )
        assert observed.reason is None and observed.failing_sources == ()
        observed = a_connection(
            last_update=SYNCED, sources=[{"state": "bug"}, {"state": None, "disabled": SYNCED}]
        )
        assert observed.reason == "provider_bug" and observed.failing_sources == ()

    def test_a_connection_that_has_a_state_has_no_failing_sources_beside_it(self) -> None:
        sources = [{"state": "bug"}, {"state": None}]
        observed = a_connection(state="SCARequired", last_update=SYNCED, sources=sources)
        assert (observed.reason, observed.failing_sources) == ("sca_required", ())
        observed = a_connection(active=False, last_update=SYNCED, sources=sources)
        assert (observed.reason, observed.failing_sources) == ("inactive", ())

    def test_a_source_still_validating_is_not_waited_for_while_another_is_well(self) -> None:
        sources = [{"state": "validating"}, {"state": None}]
        observed = a_connection(last_update=SYNCED, sources=sources)
        assert observed.settled and observed.failing_sources == ("validating",)

    def test_a_source_still_validating_is_waited_for_while_none_is_well(self) -> None:
        sources = [{"state": "bug"}, {"state": "validating"}]
        assert not a_connection(last_update=SYNCED, sources=sources).settled
        # What only the person can put right is said at once.
        sources = [{"state": "validating"}, {"state": "decoupled"}]
        observed = a_connection(last_update=SYNCED, sources=sources)
        assert observed.settled and observed.reason == "decoupled"

    def test_a_source_that_was_never_fetched_is_not_well(self) -> None:
        observed = a_connection(last_update=None, sources=[{"state": None}, {"state": "SCARequired"}])
        assert observed.settled and observed.reason == "sca_required"
        observed = a_connection(last_update=None, sources=[{"state": None}])
        assert not observed.settled and observed.reason is None
        sources = [{"state": None, "last_update": SYNCED}, {"state": "SCARequired"}]
        observed = a_connection(last_update=None, sources=sources)
        assert observed.settled and observed.reason is None and observed.failing_sources == ("sca_required",)

    def test_a_source_of_another_connection_is_refused(self) -> None:
        assert a_connection(last_update=SYNCED, sources=[{"id_connection": "512"}]).settled
        with pytest.raises(UnexpectedAnswer) as refused:
            a_connection(last_update=SYNCED, sources=[{"id_connection": 513}])
        assert refused.value.reason == "foreign_source"

    def test_it_was_fetched_when_it_or_a_source_of_it_was_fetched_last(self) -> None:
        assert a_connection(last_update=SYNCED).fetched_at == datetime(2026, 3, 1, 5, 12, 46, tzinfo=UTC)
        sources = [
            {"last_update": "2026-03-02 01:00:00"},
            {"last_update": "2026-03-01 23:00:00"},
            {"last_update": "2026-03-09 00:00:00", "disabled": SYNCED},
        ]
        observed = a_connection(last_update=SYNCED, sources=sources)
        assert observed.fetched_at == datetime(2026, 3, 2, tzinfo=UTC)
        assert a_connection(last_update=None).fetched_at is None
        assert not a_connection(last_update="0000-00-00 00:00:00").settled

    @pytest.mark.parametrize("given", ["invalid", "2026-13-01 00:00:00", "0001-01-01 00:00:00"])
    def test_a_time_that_cannot_be_read_is_no_time_of_fetching(self, given: str) -> None:
        for fields in ({"last_update": given}, {"sources": [{"access_expire": given}]}):
            with pytest.raises(UnexpectedAnswer):
                a_connection(**fields)

    def test_of_two_sources_in_error_the_one_for_a_person_counts(self) -> None:
        sources = [{"state": "bug"}, {"state": "SCARequired"}, {"state": "websiteUnavailable"}]
        observed = a_connection(last_update=SYNCED, sources=sources)
        assert (observed.reason, observed.needs_person) == ("sca_required", True)

    @pytest.mark.parametrize("active", [False, 0])
    def test_an_inactive_one_is_not_well_whatever_its_state(self, active: Any) -> None:
        observed = a_connection(active=active, last_update=SYNCED)
        assert (observed.reason, observed.needs_person) == ("inactive", False)
        assert a_connection(active=1, last_update=SYNCED).reason is None

    def test_the_consent_ends_when_the_first_access_ends(self) -> None:
        sources = [
            {"access_expire": "2026-07-11 10:03:20", "expire": "2026-03-02 00:00:00"},
            {"access_expire": "2026-07-10 00:30:00"},
            {"access_expire": "2026-01-01 00:00:00", "disabled": SYNCED},
            {"access_expire": None},
        ]
        expires_at = a_connection(last_update=SYNCED, sources=sources).consent_expires_at
        assert expires_at == datetime(2026, 7, 9, 22, 30, tzinfo=UTC)
        assert a_connection().consent_expires_at is None

    def test_no_state_is_well_by_mistake(self) -> None:
        assert all(state.reason for state in states.STATES.values())


class TestAccounts:
    @pytest.mark.parametrize(
        ("type", "kind"),
        [
            *((word, CHECKING) for word in ("checking", "joint", "Checking")),
            *((word, SAVINGS) for word in ("savings", "deposit", "livret_a", "livret_b", "ldds")),
            *((word, SAVINGS) for word in ("cel", "pel", "csl")),
            ("card", CREDIT_CARD),
            *((word, LOAN) for word in ("loan", "mortgage", "consumercredit", "revolvingcredit")),
            *((word, UNKNOWN_KIND) for word in ("market", "lifeinsurance", "pea", "unknown", "new", None, 2)),
            ({"id": 2, "name": "checking"}, CHECKING),
        ],
    )
    def test_each_type_has_its_kind_and_is_kept(self, type: Any, kind: str) -> None:
        details = an_account(type=type).details
        assert details.kind == kind
        assert details.fields["type"] == type

    def test_announced_income_reserves_nothing(self) -> None:
        reading = an_account(coming=decoded("4795.05"), last_update=SYNCED).reading
        assert reading is not None and reading.reserved is None

    def test_the_balance_is_as_given_and_what_is_coming_is_reserved(self) -> None:
        observed = an_account(
            balance=decoded("1482.37"), coming=decoded("-64.9"), last_update="2026-03-01 06:12:44"
        )
        assert observed.reading is not None
        assert observed.reading.as_of == datetime(2026, 3, 1, 5, 12, 44, tzinfo=UTC)
        assert (observed.reading.balance, observed.reading.reserved) == (148_237, 6_490)
        assert observed.reading.available is None and observed.reading.limit is None
        assert observed.reading.texts == {}

    def test_what_is_not_given_is_absent_and_never_zero(self) -> None:
        reading = an_account(balance=None, coming=None, last_update=SYNCED).reading
        assert reading is not None and reading.balance is None and reading.reserved is None
        reading = an_account(balance=0, coming=decoded("0.00"), last_update=SYNCED).reading
        assert reading is not None and (reading.balance, reading.reserved) == (0, 0)

    def test_without_a_time_of_reading_there_is_no_reading(self) -> None:
        assert an_account(balance=1, last_update=None).reading is None

    def test_amounts_that_do_not_fit_keep_their_digits(self) -> None:
        reading = an_account(
            balance=decoded("-19.989999999999998"), coming=decoded("-1e30"), last_update=SYNCED
        ).reading
        assert reading is not None and (reading.balance, reading.reserved) == (-1999, None)
        assert reading.texts == {
            "balance": "-19.989999999999998",
            "reserved": "1000000000000000000000000000000",
        }

    @pytest.mark.parametrize(
        ("currency", "code", "exponent"),
        [
            ({"id": "EUR", "precision": 2}, "EUR", 2),
            ({"id": "JPY", "precision": 0}, "JPY", 0),
            ({"id": "JPY"}, "JPY", 0),
            ({"id": "KWD", "precision": None}, "KWD", 3),
            ({"id": "BTC", "precision": 8}, "BTC", 8),
            ({"id": "EUR", "precision": -1}, "EUR", 2),
            ({"id": "EUR", "precision": 19}, "EUR", 2),
            ({"id": "EUR", "precision": True}, "EUR", 2),
            ({"id": "EUR", "precision": 0}, "EUR", 2),
            ({"id": "eur", "precision": 4}, "EUR", 2),
            ({"id": "HUF", "precision": 0}, "HUF", 2),
            ({"id": "JPY", "precision": 2}, "JPY", 0),
            ({"id": "BHD", "precision": 2}, "BHD", 3),
            ({"id": "XRP", "precision": 6}, "XRP", 6),
            ({"id": "BTC", "precision": 19}, "BTC", 2),
            ("usd", "USD", 2),
            (None, "XXX", 2),
            ({}, "XXX", 2),
            ({"id": "not a code"}, "XXX", 2),
        ],
    )
    def test_a_currency_says_how_many_decimals_it_has(self, currency: Any, code: str, exponent: int) -> None:
        observed = an_account(currency=currency)
        assert (observed.currency, observed.exponent) == (code, exponent)

    def test_yen_are_counted_in_yen(self) -> None:
        observed = an_account(
            currency={"id": "JPY", "precision": 0}, balance=decoded("250000.00"), last_update=SYNCED
        )
        assert observed.reading is not None and observed.reading.balance == 250_000

    def test_it_is_named_as_the_person_or_else_the_bank_names_it(self) -> None:
        assert an_account(name="Mine", original_name="Compte courant").details.name == "Mine"
        assert an_account(name=None, original_name="Compte courant").details.name == "Compte courant"
        assert an_account(name="", original_name=None).details.name is None

    def test_all_else_is_kept_except_what_moves_each_day(self) -> None:
        first = an_account(
            iban="fr76 3000 4000", number=14872311, usage="PRIV", company_name="SARL", bookmarked=0,
            loan={"rate": decoded("1.25")}, balance=1, coming_balance=2, formatted_balance="1 €",
            last_update=SYNCED, currency={"id": "BTC", "precision": 8, "marketcap": 1},
        )  # fmt: skip
        details = first.details
        assert (details.iban, details.number, details.usage) == ("FR7630004000", "14872311", "PRIV")
        assert details.bank_name == "Banque"
        assert details.fields == {
            "company_name": "SARL",
            "bookmarked": 0,
            "loan": {"rate": "1.25"},
            "currency": {"id": "BTC", "precision": 8},
        }

    @pytest.mark.parametrize("given", [{"id_user": 7302}, {"id_connection": 513}, {"id_connection": "5120"}])
    def test_one_of_somebody_else_or_of_another_connection_is_refused(self, given: dict[str, Any]) -> None:
        assert an_account(id_user="7301", id_connection=None).connection == "512"
        with pytest.raises(UnexpectedAnswer) as refused:
            an_account(**given)
        assert refused.value.reason == "foreign_account"

    def test_disabled_and_deleted_are_times_that_are_set_or_not(self) -> None:
        observed = an_account(disabled=SYNCED, deleted=None)
        assert observed.disabled and not observed.deleted
        observed = an_account(disabled=None, deleted=SYNCED)
        assert observed.deleted and not observed.disabled

    @pytest.mark.parametrize(
        "given",
        [{"last_update": "invalid"}, {"balance": "abc", "last_update": SYNCED}, {"id": "x"}, {"currency": 5}],
    )
    def test_what_cannot_be_read_is_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(UnexpectedAnswer):
            an_account(**given)


class TestTransactions:
    def test_a_row_in_our_words(self) -> None:
        row = a_transaction(value=decoded("-42.35"), webid="T-88A1", card=None)
        assert row.reference == "1"
        assert row.booked_on == day_of(datetime(2026, 2, 27).date())
        assert (row.booked_on - 1, row.booked_on) == (row.initiated_on, row.value_on)
        assert (row.amount, row.amount_text) == (-4235, None)
        assert (row.kind, row.wording) == ("card", "CARTE 26/02 EPICERIE DU COIN")
        assert not row.pending and not row.deleted
        assert row.fields == {"webid": "T-88A1", "card": None, "last_update": "2026-02-28 05:48:12"}

    @pytest.mark.parametrize(
        ("digits", "exponent", "amount", "text"),
        [
            ("12345678901234567.89", 2, 1234567890123456789, None),
            ("-19.989999999999998", 2, -1999, "-19.989999999999998"),
            ("250000", 0, 250_000, None),
            ("250000.0", 0, 250_000, None),
            ("1.5", 0, 2, "1.5"),
            ("1e2", 2, 10_000, None),
            ("1e-5", 2, 0, "0.00001"),
            ("null", 2, None, None),
            ('"-42.50"', 2, -4250, None),
            ("92233720368547758.07", 2, 2**63 - 1, None),
            ("92233720368547758.08", 2, None, "92233720368547758.08"),
            ("1e300", 2, None, "1" + "0" * 300),
            ("1.00" + "0" * 80 + "1", 2, 100, "1.00" + "0" * 80 + "1"),
        ],
    )
    def test_its_amount_is_exact_or_keeps_its_digits(
        self, digits: str, exponent: int, amount: int | None, text: str | None
    ) -> None:
        row = a_transaction(exponent, value=decoded(digits))
        assert (row.amount, row.amount_text) == (amount, text)

    @pytest.mark.parametrize("coming", [True, 1])
    def test_one_that_is_coming_is_pending(self, coming: Any) -> None:
        assert a_transaction(coming=coming).pending

    def test_one_with_a_time_of_deletion_is_deleted_and_keeps_it(self) -> None:
        row = a_transaction(deleted=SYNCED)
        assert row.deleted and row.fields["deleted"] == SYNCED

    def test_a_type_that_is_an_object_is_read_and_kept(self) -> None:
        row = a_transaction(type={"id": 4, "name": "transfer"})
        assert row.kind == "transfer" and row.fields["type"] == {"id": 4, "name": "transfer"}
        assert a_transaction(type=None).kind == "unknown"

    def test_a_card_that_was_not_loaded_is_none(self) -> None:
        assert a_transaction(card="Not loaded").fields["card"] is None

    def test_the_other_amounts_are_text_whatever_they_came_as(self) -> None:
        row = a_transaction(
            original_value=-70, gross_value=decoded("1.10"), commission="0.50", original_gross_value=None
        )
        assert row.fields["original_value"] == "-70"
        assert (row.fields["gross_value"], row.fields["commission"]) == ("1.10", "0.50")
        assert row.fields["original_gross_value"] is None

    def test_without_a_day_of_booking_it_stands_on_the_day_it_was_made(self) -> None:
        row = a_transaction(date=None)
        assert row.booked_on == row.initiated_on and row.fields["date"] is None
        with pytest.raises(UnexpectedAnswer):
            a_transaction(date=None, rdate=None)

    def test_every_field_is_there_after_it_was_stored(self) -> None:
        row = a_transaction(
            value=decoded("-42.35"), counterparty={"label": "X", "score": decoded("0.5")},
            huge=decoded("123456789012345678901234567890"), informations={}, tags=["a", None],
        )  # fmt: skip
        stored = msgspec.msgpack.encode(batch_of([(b"\0" * 16, row)]))
        batch = msgspec.msgpack.decode(stored, type=type(batch_of([(b"\0" * 16, row)])))
        ((_, again),) = batch.rows()
        assert again == msgspec.structs.replace(row, seen_at=None, touched_at=None)
        assert again.digest() == row.digest()

    def test_it_says_when_it_was_first_seen_and_last_touched(self) -> None:
        row = a_transaction(date_scraped="2026-02-28 05:48:12", last_update="2026-10-25 02:30:00")
        assert row.seen_at == datetime(2026, 2, 28, 4, 48, 12, tzinfo=UTC)
        assert row.touched_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        same = a_transaction(date_scraped=None, last_update="2026-03-01 00:00:00")
        assert same.digest() == row.digest()

    @pytest.mark.parametrize("nothing", [None, "", "0000-00-00 00:00:00"])
    def test_it_may_not_say_when(self, nothing: str | None) -> None:
        row = a_transaction(date_scraped=nothing, last_update=nothing)
        assert row.seen_at is None and row.touched_at is None

    def test_its_days_may_be_any_of_the_calendar(self) -> None:
        assert date_of(a_transaction(date="0001-01-01").booked_on) == date(1, 1, 1)
        assert date_of(a_transaction(date="9999-12-31").booked_on) == date(9999, 12, 31)
        assert a_transaction(vdate="0000-00-00").value_on is None

    def test_in_the_list_of_the_user_rows_of_other_accounts_are_left_out(self) -> None:
        exponents = {"2318": 2, "2319": 2}
        assert translate.transaction(scripted.row(1, 9), account=None, exponents=exponents) is None
        with pytest.raises(UnexpectedAnswer):
            translate.transaction(scripted.row(1, id_account=None), account=None, exponents=exponents)

    @pytest.mark.parametrize("other", [2319, 9, "2319"])
    def test_in_the_list_of_one_account_a_row_of_another_is_refused(self, other: Any) -> None:
        exponents = {"2318": 2, "2319": 2}
        with pytest.raises(UnexpectedAnswer) as refused:
            translate.transaction(scripted.row(1, other), account="2318", exponents=exponents)
        assert refused.value.reason == "foreign_row"
        own = scripted.row(1, id_account=None)
        assert translate.transaction(own, account="2318", exponents=exponents) is not None

    @pytest.mark.parametrize(
        "given",
        [
            *({"date": "invalid"}, {"vdate": "2026-02-30"}, {"value": "abc"}, {"id": None}, {"id": 0}),
            *(
                {"date": "10000-01-01"},
                {"date": "2026-02-27T00:00:00+01:00"},
                {"date": "2026-02-27 23:00:00"},
            ),
            *({"last_update": "invalid"}, {"last_update": 5}, {"last_update": "2026-02-30 00:00:00"}),
            *({"date_scraped": "invalid"}, {"date_scraped": "0001-01-01 00:00:00"}),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, given: dict[str, Any]) -> None:
        with pytest.raises(UnexpectedAnswer):
            a_transaction(**given)
