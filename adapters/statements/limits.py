"""How much of a file is read: what is beyond is no statement of a person or a company."""

from __future__ import annotations

from application import statement_files
from application.statement_files import Remark, StatedAccount, StatementUnreadable

STATEMENTS_MAX = 2_000
#: Different accounts. Each is looked for, and decided on, by itself.
ACCOUNTS_MAX = 100
ENTRIES_MAX = 100_000


class Counted:
    """How much was read so far."""

    def __init__(self) -> None:
        self.statements = 0
        self.entries = 0
        self.accounts: set[tuple[str, str | None]] = set()

    def statement(self, line: int) -> None:
        """One more statement.

        Raises:
            StatementUnreadable: that is too many.
        """
        self.statements += 1
        if self.statements > STATEMENTS_MAX:
            raise StatementUnreadable(Remark(code=statement_files.TOO_MANY_STATEMENTS, line=line))

    def account(self, account: StatedAccount | None, currency: str | None, line: int) -> None:
        """The account of a statement; the same one in another currency is another one.

        Raises:
            StatementUnreadable: those are too many accounts.
        """
        if account is not None:
            self.accounts.add((account.reference, currency))
        if len(self.accounts) > ACCOUNTS_MAX:
            raise StatementUnreadable(Remark(code=statement_files.TOO_MANY_ACCOUNTS, line=line))

    def entry(self, line: int) -> None:
        """One more row.

        Raises:
            StatementUnreadable: that is too many.
        """
        self.entries += 1
        if self.entries > ENTRIES_MAX:
            raise StatementUnreadable(Remark(code=statement_files.TOO_MANY_ENTRIES, line=line))
