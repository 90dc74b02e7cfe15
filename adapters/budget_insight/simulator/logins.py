"""Who can log in at this bank: the personas always, and the accounts of a data set."""

from datetime import date
from pathlib import Path
from typing import NamedTuple

from adapters.budget_insight.simulator import personas
from adapters.budget_insight.simulator.berka import BerkaLogins
from adapters.budget_insight.simulator.cozy import CozyLogins
from adapters.budget_insight.simulator.options import SimulatorOptions
from adapters.budget_insight.simulator.persona_files import PersonaFileLogins
from adapters.budget_insight.simulator.statements import Statement

PASSWORD = "1234"
DATA_SETS = (BerkaLogins, CozyLogins, PersonaFileLogins)


class Login(NamedTuple):
    """A name to log in with, and what it shows."""

    name: str
    shows: str


class UnknownDataSet(ValueError):
    """No loader recognises the files of the folder."""


class Logins:
    """Finds what a login holds. A statement is made at its first use, and kept."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._seed = options.seed
        self._statements: dict[str, Statement] = {}
        self._data_set = None if options.data_set is None else data_set_of(options.data_set)
        #: The bank that the data set is of.
        self.data_set_bank = None if self._data_set is None else self._data_set.bank

    def listed(self) -> list[Login]:
        found = [Login(name, persona.shows) for name, persona in personas.PERSONAS.items()]
        if self._data_set is not None:
            found += [Login(name, self._data_set.describes(name)) for name in self._data_set.names()]
        return found

    def add(self, statement: Statement) -> None:
        """Let one more login be known, which is not listed."""
        self._statements[statement.login] = statement

    def statement(self, login: str, today: date) -> Statement | None:
        """Return what the login holds, or None if nobody bears this name."""
        if login not in self._statements:
            statement = self._open(login, today)
            if statement is None:
                return None
            self._statements[login] = statement
        return self._statements[login]

    def _open(self, login: str, today: date) -> Statement | None:
        if login in personas.PERSONAS:
            return personas.statement(login, self._seed, today)
        return self._data_set.statement(login) if self._data_set is not None else None


def data_set_of(folder: Path) -> BerkaLogins | CozyLogins | PersonaFileLogins:
    for loader in DATA_SETS:
        if loader.recognises(folder):
            return loader(folder)
    raise UnknownDataSet(f"{folder} holds no data set that is known here")


def logins(options: SimulatorOptions) -> list[Login]:
    """List every login that a simulator with these options accepts; the password is `1234`."""
    return Logins(options).listed()
