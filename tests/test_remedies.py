"""Whatever a run can end with has a remedy, and no remedy is for something that cannot be: read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.budget_insight import failures, states, translate
from adapters.budget_insight.gateway import BudgetInsightGateway
from application import ports
from application.sync_run import Failed
from domain import data_connection, health

ROOT = Path(__file__).parent.parent
MODULES = [
    path
    for room in ("application", "adapters")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "simulator" not in path.parts
]
#: What is handed on is named where it arose.
HANDED_ON = {"observed.reason", "error.reason", "failed.reason", "fact.reason", "reason"}


def kinds(of: type) -> set[str]:
    """The names of a class and of all below it."""
    return {of.__name__}.union(*(kinds(below) for below in of.__subclasses__()))


# The client's own errors are below these once it is imported.
assert BudgetInsightGateway
ERRORS = kinds(ports.ProviderError)


def words(node: ast.expr) -> set[str]:
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def reasons_in(tree: ast.AST) -> Iterator[tuple[int, set[str], str]]:
    """Line, literal reasons and source of every place that names a reason."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[reason, *_]) if name in ERRORS:
                yield node.lineno, words(reason), ast.unparse(reason)
            case ast.Call(func=ast.Name(id=Failed.__name__), args=[_, reason, *_]):
                yield node.lineno, words(reason), ast.unparse(reason)
            case ast.Tuple(elts=[ast.Name(id=name), ast.Constant() | ast.Attribute() as reason]) if (
                name in ERRORS
            ):
                # In a table, or about to be raised.
                yield node.lineno, words(reason), ast.unparse(reason)
            case ast.Call(func=ast.Attribute(attr="fail_authorisation"), keywords=keywords):
                given = next(keyword.value for keyword in keywords if keyword.arg == "reason")
                yield node.lineno, words(given), ast.unparse(given)


def named() -> set[str]:
    """Every reason that is named in a literal."""
    return {
        reason
        for path in MODULES
        for _, found, _ in reasons_in(ast.parse(path.read_text()))
        for reason in found
    }


def of_tables() -> set[str]:
    """Those that their words are looked up in."""
    of_states = [*states.STATES.values(), states.UNKNOWN_STATE, states.INACTIVE]
    of_webview = {*translate.WEBVIEW_FAILURES.values(), translate.returned({"error": "new"}).failure}
    of_codes = {failures.failure_of(400, word).reason for word in (*states.STATES, "config", "new")}
    of_statuses = {failures.failure_of(status, None).reason for status in range(400, 600)}
    return {state.reason for state in of_states} | of_webview | of_codes | of_statuses


def of_decisions() -> set[str]:
    """Those of the domain: a sync that is ended from outside, and what follows from time alone."""
    connection = data_connection.Requested(
        provider="p",
        data_types=(),
        skip_permissions=False,
        automatic=False,
        pending=(data_connection.PendingSync(sync_id="s", data_syncs=(), origin="client"),),
    )
    ended, _ = data_connection.disconnect(connection)
    return {ended.reason, health.SILENT, health.CONSENT_EXPIRING}


def test_every_reason_has_a_remedy_and_every_remedy_a_reason() -> None:
    possible = named() | of_tables() | of_decisions()
    assert possible - set(health.REMEDIES) == set(), "these have no remedy"
    assert set(health.REMEDIES) - possible == set(), "these cannot be"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_reason_is_a_word_that_can_be_found(path: Path) -> None:
    for line, found, source in reasons_in(ast.parse(path.read_text())):
        assert found or source in HANDED_ON or source.endswith(".reason"), f"{path}:{line} names {source}"


def test_a_remedy_is_a_word_of_the_list_and_a_sentence() -> None:
    remedies = {**health.REMEDIES, **health.OF_STATUS, "unknown": health.UNKNOWN}
    for reason, remedy in remedies.items():
        assert remedy.action in health.ACTIONS
        assert remedy.text.endswith(".") and remedy.text[0].isupper() and "\n" not in remedy.text, reason
    assert {remedy.action for remedy in remedies.values()} == set(health.ACTIONS)


def test_what_is_not_known_asks_for_somebody_to_look_and_nothing_of_the_person() -> None:
    assert health.remedy_of("made_up_tomorrow").action == health.CONTACT_SUPPORT
    assert health.remedy_of_status("MADE_UP").action == health.CONTACT_SUPPORT


def test_a_state_that_only_the_person_can_put_right_asks_the_person() -> None:
    for state in states.STATES.values():
        action = health.remedy_of(state.reason).action
        assert (action in (health.RECONNECT, health.ACT_AT_BANK)) == state.needs_person, state.reason


def test_every_status_has_a_remedy_of_its_own() -> None:
    statuses = {
        data_connection.AUTH_REQUIRED,
        data_connection.CONNECTING,
        data_connection.CONNECTED,
        data_connection.DISCONNECTED,
    }
    assert set(health.OF_STATUS) == statuses, "AUTH_ERROR always has a reason"
