"""Whatever the live OpenAPI document allows and forbids, tried on the running service with ids that exist: no 5xx, no
undocumented status, and every answer of the type and shape that is documented. Always the same examples."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hypothesis
import msgspec
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.acceptance.harness import CREDENTIALS, DATA_TYPES
from tests.acceptance.hostile import Scene, two_tenants

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = 10
EXAMPLES_OF_A_CAMPAIGN = 300
CHECKS = (status_code_conformance, content_type_conformance, response_schema_conformance)
#: Of every hundred examples, how many are sent with ids that exist.
WITH_IDS = 70
#: Operations of which a document alone makes no request that succeeds.
NEVER_OK = {
    *("connect", "callback", "receive_push", "unlink_source", "undo_booking"),
    # A file is no chance of bytes; of the storage an account must be there, under an id that a client chose.
    *("import_statements", "delete_stored_accounts", "delete_stored_consumer"),
    *(f"{done}_stored_transactions" for done in ("create", "update", "replace", "delete")),
    "upsert_stored_labels",
}


class Prepared(msgspec.Struct):
    """What exists, to be put into requests: the lasting, and for each deletion something of its own."""

    scene: Scene

    def ids(self) -> dict[str, str]:
        return {**self.scene.ids(), **self.scene.ours.ids}

    async def disposable(self, *, connected: bool) -> dict[str, str]:
        client = self.scene.ours.client
        user = await client.a_user()
        return {
            "user_id": user,
            **({"connection_id": (await client.a_connection(user))["id"]} if connected else {}),
        }

    async def mend(self) -> None:
        """Put back what an operation that succeeded may have changed for those after it."""
        client, ours = self.scene.ours.client, self.scene.ours
        await client.set_up()
        path = f"/users/{ours.user}/data-connections/{ours.connection}"
        await client.qard("PATCH", path, {"requested_data_types": DATA_TYPES})
        for _ in range(20):
            held = await client.qard("GET", path)
            if held["status"] == "CONNECTED":
                return
            if held["status"] == "DISCONNECTED":
                held = await client.qard("PATCH", path, {"status": "AUTH_REQUIRED"})
            with contextlib.suppress(AssertionError):
                # What was read may be older than the last callback: then the link leads nowhere any more.
                await client.come_back(await client.log_in(held["redirect_url"], "salaried"))
        raise AssertionError("the bank cannot be connected again")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prepared]:
    async with two_tenants(tmp_path_factory.mktemp("schemathesis")) as scene:
        yield Prepared(scene)


def about_ours(body: dict[str, Any], scene: Scene, chance: int) -> dict[str, Any]:
    """A report of the consumer and the account that exist; of several at once each of them."""
    if isinstance(body.get("reports"), list):
        reports = [
            about_ours(one, scene, chance) if isinstance(one, dict) else one for one in body["reports"]
        ]
        return {**body, "reports": reports}
    if not isinstance(body.get("insights_consumer_id"), str):
        return body
    found = {
        **body,
        "insights_consumer_id": scene.ours.user,
        "insights_account_ids": [scene.ours.account][: chance % 4 // 2],
    }
    if found["insights_account_ids"]:
        found.pop("excluded_insights_account_ids", None)
    # Of all filters at once one is mostly refused: which categories there are, and which day lies before which other,
    # is not in the document.
    plain = {"type", "insights_consumer_id", "insights_account_ids"}
    return {name: value for name, value in found.items() if chance % 3 == 0 or name in plain}


def try_operation(
    operation: Any,
    prepared: Prepared,
    loop: asyncio.AbstractEventLoop,
    examples: int,
    found: Counter[int],
    wrong: list[str],
) -> None:
    """Runs in a thread, so that the bank, which lives in the loop, can answer meanwhile."""
    label, deletes = operation.label, operation.method.upper() == "DELETE"
    named = operation.definition.raw["operationId"]
    scene = prepared.scene
    described = next(o for o in scene.operations if o.name == named)
    session = requests.Session()
    token, key = {"Authorization": f"Token {scene.ours.client.key}"}, {"X-API-KEY": scene.ours.client.key}

    @hypothesis.given(case=operation.as_strategy(), chance=strategies.integers(0, 99))
    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case: Any, chance: int) -> None:
        case.headers = {
            name: value
            for name, value in (case.headers or {}).items()
            if name.lower() not in ("x-api-key", "authorization")
        }
        if chance < WITH_IDS and case.path_parameters:
            ids = prepared.ids()
            if deletes or named == "request_connection":
                own = prepared.disposable(connected=deletes)
                ids |= asyncio.run_coroutine_threadsafe(own, loop).result(30)
            case.path_parameters = {
                name: ids.get(name, value) for name, value in case.path_parameters.items()
            }
        if chance % 2 and described.path.endswith("/list") and isinstance(case.body, dict):
            case.body = {**case.body, "insights_consumer_id": scene.ours.user}
        if chance % 2 and "/reports/" in described.path and isinstance(case.body, dict):
            case.body = about_ours(case.body, scene, chance)
        if chance % 2 and named == "update_credentials" and isinstance(case.body, dict):
            # What a provider's credentials are is not in the document.
            case.body = {"credentials": CREDENTIALS}
        if described.door == "/v1":
            keys = (token, key)[chance % 2]
        else:
            keys = scene.keys(described)
        try:
            response = case.call(headers=keys, session=session, timeout=20, allow_redirects=False)
            found[response.status_code] += 1
            if response.status_code != 503:
                case.validate_response(response, checks=[not_a_server_error, *CHECKS])
            else:
                # It is documented where it can come, and says when to come back.
                case.validate_response(response, checks=list(CHECKS))
                assert "retry-after" in response.headers
        except (Failure, FailureGroup, AssertionError, requests.RequestException) as error:
            wrong.append(f"{label}: {str(error)[:1_500]}")

    one()


async def try_all(prepared: Prepared, examples: int) -> dict[str, Counter[int]]:
    """Try every operation; return the statuses that each answered."""
    scene = prepared.scene
    loop = asyncio.get_running_loop()
    schema = await asyncio.to_thread(schemathesis.openapi.from_url, f"{scene.process.address}/openapi.json")
    statuses: dict[str, Counter[int]] = {}
    wrong: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        found = statuses[name] = Counter()
        await asyncio.to_thread(try_operation, operation, prepared, loop, examples, found, wrong)
        if operation.method.upper() in ("PUT", "PATCH", "POST"):
            await prepared.mend()
    assert not wrong, f"{len(wrong)}:\n" + "\n\n".join(wrong[:12])
    # The document does not try itself.
    assert set(statuses) | {"read_document"} == {operation.name for operation in scene.operations}
    return statuses


def without_success(statuses: dict[str, Counter[int]]) -> set[str]:
    return {name for name, found in statuses.items() if not any(200 <= status < 400 for status in found)}


async def test_nothing_surprising_is_answered(prepared: Prepared) -> None:
    statuses = await try_all(prepared, EXAMPLES)
    assert without_success(statuses) <= NEVER_OK
    assert sum(sum(found.values()) for found in statuses.values()) > 200
    await as_before(prepared)


@pytest.mark.campaign
async def test_nothing_surprising_is_answered_in_many_tries(prepared: Prepared) -> None:
    statuses = await try_all(prepared, EXAMPLES_OF_A_CAMPAIGN)
    assert without_success(statuses) <= NEVER_OK
    await as_before(prepared)


async def as_before(prepared: Prepared) -> None:
    """All the while nothing failed inside, and the other tenant was not touched."""
    scene = prepared.scene
    log = scene.process.log.read_text()
    assert '"level":"error"' not in log and "Traceback" not in log
    assert 'status="500"' not in (await scene.send("GET", "/metrics")).raw.decode()
    theirs = await scene.theirs.client.qard("GET", "/users")
    assert theirs["total"] == 2
    assert (await scene.theirs.client.qard("GET", f"/users/{scene.theirs.user}/banking-accounts"))[
        "total"
    ] > 0
    link = (await scene.theirs.client.qard("GET", f"/users/{scene.theirs.other_user}/data-connections"))[
        "result"
    ][0]["redirect_url"]
    back = await scene.theirs.client.log_in(link, "loans")
    assert (
        parse_qs(urlsplit(back).query)["state"] and (await scene.theirs.client.come_back(back)).status == 200
    )
