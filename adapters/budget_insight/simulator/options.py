"""How one simulated bank is set up."""

from datetime import datetime
from pathlib import Path

from msgspec import Struct

#: Of the events there are, those that a client can hardly do without.
DEFAULT_EVENTS = ("CONNECTION_SYNCED", "ACCOUNT_SYNCED", "CONNECTION_DELETED", "USER_DELETED")


class WebhookOptions(Struct, frozen=True, kw_only=True):
    """Where to push, at `{to}/{EVENT}`, and the secret to sign with."""

    to: str
    secret: str
    events: tuple[str, ...] = DEFAULT_EVENTS


class SimulatorOptions(Struct, frozen=True, kw_only=True):
    """By default everything is accepted; each option makes the bank stricter or slower.

    Attributes:
        seed: same seed, data set and sequence of calls: same ids, rows and tokens.
        data_set: a folder of real data to serve beside the personas.
        now: where the clock stands until it is moved; None follows the machine's
            clock. Without an offset it is Paris time.
        client_id, client_secret: the only ones accepted, when set.
        redirect_uris: the only redirect addresses accepted; empty means any loopback address.
        min_sync_interval: seconds within which a second forced sync is a conflict; 0 means never.
        first_sync_seconds: how long a new connection stays without data.
        no_account_status: the status of `noAccount`, which is 409 or 400 depending on the source.
        scheduled_syncs: whether connections refresh themselves when their `next_try` has passed.
        webhooks: where to push what happens; the control door can say so later, too.
    """

    seed: int = 0
    data_set: Path | None = None
    now: datetime | None = None
    client_id: str | None = None
    client_secret: str | None = None
    redirect_uris: tuple[str, ...] = ()
    min_sync_interval: float = 0
    first_sync_seconds: float = 0
    no_account_status: int = 409
    scheduled_syncs: bool = True
    webhooks: WebhookOptions | None = None
