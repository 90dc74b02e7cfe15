"""Logs: one JSON object a line, of allowed fields only, so that no secret and no person gets in."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

#: What a log line may say beside its text. Anything else given as `extra` is dropped.
FIELDS = (
    "request_id", "route", "status", "milliseconds", "tenant", "sync_id", "reason", "error",
    "job", "position", "head", "pid", "code",
)  # fmt: skip

_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """An exception is told by its type and where it came from: its text may quote what was sent."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            if name in record.__dict__:
                line[name] = record.__dict__[name]
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["raised_at"] = [
                f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(record.exc_info[2])[-8:]
            ]
        return _encode(line).decode()


def set_up_logging(level: str, stream: TextIO | None = None) -> None:
    """Send our own logs, and the warnings of libraries, to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("passbook").setLevel(level)
