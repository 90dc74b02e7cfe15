"""Where requests and people are sent. Addresses are built from checked parts, never glued together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from yarl import URL

from application.ports import ProviderRefused, UnexpectedAnswer
from domain.provider import BUDGET_INSIGHT

HOST_SUFFIX = ".biapi.pro"
WEBVIEW_URL = "https://webview.powens.com"
API_PATH = "/2.0/"
#: The languages their webview speaks. Without one in the path it answers 503.
LANGUAGES = frozenset({"de", "en", "es", "fr", "it", "nl", "pt"})
LANGUAGE_DEFAULT = "fr"

#: Printable ASCII without the backslash, which some take for a slash.
_HREF = re.compile(r"[!-\[\]-~]{1,8192}", re.ASCII)


def host_of(domain: str) -> str:
    """The host of a tenant's domain, given as its label or in full.

    Raises:
        ProviderRefused: it is anything else, such as a way to another host.
    """
    if not BUDGET_INSIGHT.credentials["domain"].fullmatch(domain):
        raise ProviderRefused("domain_refused")
    return domain.lower().removesuffix(HOST_SUFFIX) + HOST_SUFFIX


def root_of(domain: str, override: str | None = None) -> URL:
    """The address that the paths of the API are below; `override` stands in for scheme and host."""
    host = host_of(domain)
    if override is None:
        return URL.build(scheme="https", host=host)
    return URL(override.rstrip("/"))


def below(root: URL, path: str, query: Mapping[str, str]) -> URL:
    """An address of the API. `path` is ours; the values of `query` may hold anything."""
    return with_query(root.with_path(root.path.rstrip("/") + API_PATH + path), query)


def with_query(url: URL, query: Mapping[str, str]) -> URL:
    """The address with exactly this query, every value encoded."""
    bare = url.with_query(None)
    return URL(f"{bare}?{urlencode(query, quote_via=quote)}", encoded=True) if query else bare


def webview(base: str, *, languages: Sequence[str], flow: str, query: Mapping[str, str]) -> str:
    """Where the person's browser is sent, with every value encoded."""
    spoken = next((each for each in languages if each in LANGUAGES), LANGUAGE_DEFAULT)
    return f"{base.rstrip('/')}/{spoken}/{flow}?{urlencode(query, quote_via=quote)}"


def next_page(root: URL, href: object) -> URL:
    """Where a list goes on. The link is opaque and followed as it is, but only to where we are already:
    any other host would be handed the token. Links relative to the host, and to the API, were observed.

    Raises:
        UnexpectedAnswer: it leads elsewhere, or is no link.
    """
    if isinstance(href, str) and _HREF.fullmatch(href):
        prefix = root.raw_path.rstrip("/")
        if href.startswith(prefix + API_PATH):
            href = f"{root.origin()}{href}"
        elif href.startswith("/") and not href.startswith("//"):
            href = f"{root.origin()}{prefix}{API_PATH}{href.removeprefix(API_PATH).lstrip('/')}"
        try:
            link = URL(href, encoded=True)
            if link.origin() == root.origin() and link.raw_user is None and link.raw_password is None:
                return link
        except ValueError:
            pass
    raise UnexpectedAnswer("foreign_link")
