"""Who asks, by the key they hold."""

from __future__ import annotations

import hmac
from hashlib import sha256

from adapters.keys.api_keys import ApiKeys
from domain.streams import DEFAULT_TENANT


class Authenticator:
    """Whose key it is: one that was made, or the one that is set in the environment."""

    def __init__(self, api_keys: ApiKeys, given: str | None) -> None:
        """`given` opens the doors of tenant `default`, and is stored nowhere."""
        self._api_keys = api_keys
        self._given = sha256(given.encode()).digest() if given else None

    @property
    def anybody(self) -> bool:
        """Whether there is any key that opens a door."""
        return self._given is not None or self._api_keys.count() > 0

    def __call__(self, key: str) -> tuple[str, str] | None:
        if self._given is not None:
            # Of digests, so that the time tells nothing of the length either.
            said = sha256(key.encode("utf-8", "surrogateescape")).digest()
            if hmac.compare_digest(said, self._given):
                return DEFAULT_TENANT, "environment"
        return self._api_keys.tenant_of(key)
