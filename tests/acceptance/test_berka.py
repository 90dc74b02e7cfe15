"""Real input: what the bank's own books say, the product says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.acceptance.berka import check_accounts, expected_totals
from tests.acceptance.harness import product

SEED = 20_261_120


async def compare(tmp_path: Path, berka: Path, accounts: list[str]) -> None:
    async with product(tmp_path, data_set=berka) as (client, process, _):
        await client.set_up()
        assert await check_accounts(client, berka, accounts) == []
        audit = process.command("replay-audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr


async def test_a_tenth_of_the_accounts_to_the_hundredth(tmp_path: Path, berka: Path) -> None:
    accounts = sorted(expected_totals(berka))
    await compare(tmp_path, berka, random.Random(SEED).sample(accounts, len(accounts) // 10))


@pytest.mark.campaign
@pytest.mark.timeout(1_800)
async def test_all_accounts_to_the_hundredth(tmp_path: Path, berka: Path) -> None:
    await compare(tmp_path, berka, sorted(expected_totals(berka)))
