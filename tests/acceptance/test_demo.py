"""What a newcomer runs first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_demo_tells_the_whole_story_and_ends(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PASSBOOK_")}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", "demo", "--exit"],
        env={**environment, "HOME": str(tmp_path)},
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("SUCCESS", '"type": "BALANCES"', "CONNECTED", "Cash flow, EUR"):
        assert said in done.stdout
    assert not list(tmp_path.iterdir()), "nothing is left in the home folder"


def test_every_command_explains_itself() -> None:
    for command in (
        [],
        ["serve"],
        ["simulate"],
        ["demo"],
        ["rebuild"],
        ["replay-audit"],
        ["api-keys", "create"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "scripts.cli", *command, "--help"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 and "Usage" in done.stdout, done.stderr
