"""Recording that an API key was made, so that its command is known like any other."""

from __future__ import annotations

from application.execute import Loaded, Outcome, Plan, Services, execute
from application.ports import Context


async def record_creation(services: Services, context: Context) -> Outcome:
    """Claim the command. A key is a secret and no fact: it is derived from the command, and kept elsewhere.

    Raises:
        IdempotencyKeyReused, IdempotencyKeyInFlight.
    """
    subject = Loaded(f"{context.tenant}/-/api_key/{context.command_id.hex()}", 0, None)

    async def decide() -> Plan:
        return Plan(subject, ())

    return await execute(services, context, decide)
