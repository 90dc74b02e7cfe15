"""The pages that a person sees, in a real browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.chromium import CHROMIUM, chromium
from tests.acceptance.harness import product

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no `chromium` on this machine: install Debian's package"
)


async def test_a_person_logs_in_without_scripts_and_lands_on_our_page(tmp_path: Path) -> None:
    async with (
        product(tmp_path) as (client, process, bank),
        chromium(tmp_path / "profile", scripts=False) as page,
    ):
        await client.set_up()
        user = await client.a_user()
        connection = await client.a_connection(user)

        await page.go(connection["redirect_url"])
        await page.picture(tmp_path / "login.png")
        await page.type_into("login", "salaried")
        await page.type_into("password", "wrong")
        await page.press("button[type=submit]:not([name=cancel])")
        assert "1234" not in await page.evaluate("document.querySelector('[name=password]').value")
        await page.picture(tmp_path / "wrong.png")
        await page.evaluate("document.querySelector('[name=login]').value = ''")
        await page.type_into("login", "salaried")
        await page.type_into("password", "1234")
        await page.press("button[type=submit]:not([name=cancel])")

        landed = urlsplit(await page.evaluate("location.href"))
        assert f"{landed.scheme}://{landed.netloc}" == process.address
        await page.picture(tmp_path / "landed.png")
        state = await client.qard("GET", f"/users/{user}/data-connections/{connection['id']}")
        assert state["status"] == "CONNECTED"

        await page.go(connection["redirect_url"])
        assert "400" in str(
            await page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus")
        )
        await page.picture(tmp_path / "invalid.png")
        assert {urlsplit(address).netloc for address in page.requested} <= {
            urlsplit(process.address).netloc, urlsplit(bank).netloc
        }  # fmt: skip


async def test_the_document_is_shown_without_any_outside_address(tmp_path: Path) -> None:
    async with product(tmp_path) as (_, process, _), chromium(tmp_path / "profile") as page:
        await page.go(f"{process.address}/docs")
        for _ in range(100):
            shown = await page.evaluate("document.querySelectorAll('.opblock').length")
            if shown:
                break
            await page.evaluate("new Promise(done => setTimeout(done, 50))")
        assert shown >= 25, "the operations are listed"
        await page.picture(tmp_path / "docs.png")
        assert {urlsplit(address).netloc for address in page.requested if address.startswith("http")} == {
            urlsplit(process.address).netloc
        }  # fmt: skip
        assert page.errors == []
