"""Real input: what the bank's own books say, the product says."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from adapters.storage import READ_MODELS_FOLDER
from tests.acceptance.berka import check_accounts, expected_totals
from tests.acceptance.harness import PassbookProcess, digest_of_an_audit, product

SEED = 20_261_120


async def compare(tmp_path: Path, berka: Path, accounts: list[str]) -> None:
    async with product(tmp_path, data_set=berka) as (client, process, _):
        await client.set_up()
        assert await check_accounts(client, berka, accounts) == []
        live = digest_of_an_audit(process)
    # From the log alone, by a machine that hashes and tells the time otherwise.
    shutil.rmtree(process.data / READ_MODELS_FOLDER)
    elsewhere = PassbookProcess(process.data, "http://127.0.0.1:1", PYTHONHASHSEED="5", TZ="Asia/Kathmandu")
    assert elsewhere.command("rebuild").returncode == 0
    assert digest_of_an_audit(elsewhere) == live


async def test_a_tenth_of_the_accounts_to_the_hundredth(tmp_path: Path, berka: Path) -> None:
    accounts = sorted(expected_totals(berka))
    await compare(tmp_path, berka, random.Random(SEED).sample(accounts, len(accounts) // 10))


@pytest.mark.campaign
@pytest.mark.timeout(1_800)
async def test_all_accounts_to_the_hundredth(tmp_path: Path, berka: Path) -> None:
    await compare(tmp_path, berka, sorted(expected_totals(berka)))
