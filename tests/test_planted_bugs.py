"""The planted bugs still fit the code, and the tests that must notice them are there."""

from __future__ import annotations

import pytest

from scripts.planted_bugs import BUGS, ROOT, Bug, is_noticed


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 12 and len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_applied(bug: Bug) -> None:
    assert (ROOT / bug.file).read_text().count(bug.text) == 1
    file, _, name = bug.test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.campaign
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_turns_its_test_red(bug: Bug) -> None:
    assert is_noticed(bug)
