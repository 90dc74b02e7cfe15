"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
SHARED_DATA = Path(os.environ.get("PASSBOOK_SHARED_DATA", ROOT.parent / "shared" / "data"))

settings.register_profile(
    "suite", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("campaign", parent=settings.get_profile("suite"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--campaign", action="store_true", help="run the long campaigns too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--campaign"):
        campaigns = [item for item in items if item.get_closest_marker("campaign")]
        config.hook.pytest_deselected(items=campaigns)
        items[:] = [item for item in items if not item.get_closest_marker("campaign")]


@pytest.fixture(scope="session")
def berka() -> Path:
    """The Berka bank data, which is not part of the project."""
    folder = SHARED_DATA / "berka-pkdd99"
    if not folder.is_dir():
        pytest.skip("the Berka data is not there: set PASSBOOK_SHARED_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def cozy() -> Path:
    """The operations from the tests of Cozy Banks, which are not part of the project."""
    folder = SHARED_DATA / "cozy-banks-operations"
    if not folder.is_dir():
        pytest.skip("the Cozy data is not there: set PASSBOOK_SHARED_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def persona_files() -> Path:
    """People in Budget Insight's own format, which are not part of the project."""
    folder = SHARED_DATA / "budget-insight-personas"
    if not folder.is_dir():
        pytest.skip("the persona files are not there: set PASSBOOK_SHARED_DATA to the folder that holds them")
    return folder
