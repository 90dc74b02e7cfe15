"""What a request may be refused for. Every refusal is a claim about the state of things.

`Corrupt` is no refusal: only a defect or a damaged log leads to it, and nobody catches it.
"""

from __future__ import annotations


class Refused(Exception):
    """A request that leaves no fact. `details` name fields and ids, never values that were sent."""

    def __init__(self, message: str = "", **details: object) -> None:
        super().__init__(message or self.__doc__ or type(self).__name__)
        self.details = details

    @property
    def message(self) -> str:
        return str(self)


class NotFound(Refused):
    """There is no such thing."""


class NoSuchConsumer(NotFound):
    """There is no such consumer."""


class NoSuchAccount(NotFound):
    """The consumer has no such account."""


class NoSuchTransaction(NotFound):
    """The account has no such transaction."""


class TransactionExists(Refused):
    """The account has another transaction under this id."""


class NotInStorage(Refused):
    """The account is fed by a bank or by statements: nothing can be stored in it."""


class InvalidRequest(Refused):
    """The request breaks a rule of its own; `details` map a field to its messages."""


class UnsupportedDataType(Refused):
    """The provider does not supply this type of data."""


class UnsupportedSetting(Refused):
    """The provider has no such setting."""


class CredentialsMissing(Refused):
    """The provider needs its credentials before it can be enabled."""


class ProviderNotEnabled(Refused):
    """The provider is not enabled."""


class ProviderNotAvailable(Refused):
    """The provider cannot be reached at the moment; try again later."""


class ConnectionExists(Refused):
    """The user has a connection with this provider already, and it allows only one."""


class NoConnectedProvider(Refused):
    """No connected provider supplies the requested data."""


class SyncAlreadyRunning(Refused):
    """The data type is queued or being fetched already."""


class LinkInvalid(Refused):
    """The link is not valid, not valid any more, or was used before."""


class NotLinked(Refused):
    """Nothing was linked here that could be undone."""


class StatusChangeImpossible(Refused):
    """The connection cannot go from its status to the requested one."""


class Corrupt(Exception):
    """A history that cannot have happened."""
