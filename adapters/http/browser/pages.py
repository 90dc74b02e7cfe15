"""Small pages of our own: no script, and nothing from anywhere else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from adapters.http.problems import Problem
from adapters.http.routing import HTML, Answer

_STYLE = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#f4f5f2;color:#1d2521;"
    "font:1.05rem/1.55 system-ui,sans-serif}main{max-width:26rem;margin:1.5rem;padding:2rem;"
    "background:#fff;border-radius:.75rem}h1{margin:0 0 .5rem;font-size:1.3rem;line-height:1.3}p{margin:0}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_PROBLEMS = {
    400: (
        "This link cannot be used",
        "It is incomplete, has expired, or was used before. Go back to where you came from and start again.",
    ),
    403: ("The bank connection is switched off", "Go back to where you came from and try again later."),
    404: ("There is nothing here", "Go back to where you came from and start again."),
    405: ("This cannot be opened that way", "Go back to where you came from and start again."),
    409: ("The bank connection is not set up", "Go back to where you came from and try again later."),
    503: ("The bank cannot be reached right now", "Wait a moment, then load this page again."),
}
_OTHER = ("Something went wrong", "It is not your fault. Wait a moment, then try again.")

_ENDS = {
    "CONNECTED": ("Your bank is connected", "You can close this page."),
    "AUTH_ERROR": (
        "Your bank was not connected",
        "Nothing was changed. You can close this page and start again whenever you like.",
    ),
}


def page(title: str, text: str, status: int = 200) -> Answer:
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1><p>{escape(text)}</p></main>"
        "</body></html>\n"
    )
    headers = {"Content-Security-Policy": _POLICY}
    return Answer(status=status, body=body.encode(), content_type=HTML, headers=headers)


def problem_page(problem: Problem) -> Answer:
    return page(*_PROBLEMS.get(problem.status, _OTHER), problem.status)


def end_page(status: str) -> Answer:
    """Where a person ends whose client gave no address to return to."""
    return page(*_ENDS.get(status, _OTHER))
