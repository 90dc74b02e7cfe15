"""Whatever the document allows and forbids, tried: no 5xx, no undocumented answer, no way around the keys."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp.test_utils import TestClient

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
    "use_after_free",
)
EXAMPLES = 5


async def test_nothing_surprising_is_answered(client: TestClient, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        str(client.make_url("/openapi.json")),
        *("--header", "X-API-KEY: key-of-ours", "--header", "Authorization: Token key-of-ours"),
        *("--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-8_000:]
