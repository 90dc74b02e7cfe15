"""One running simulation: its clock, its bank and what it was asked."""

from collections import Counter
from random import Random

from adapters.budget_insight.simulator.bank import Bank, Told
from adapters.budget_insight.simulator.clock import Clock
from adapters.budget_insight.simulator.options import SimulatorOptions


class Simulation:
    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.listener: Told = lambda event, user, connection: None
        self.clock: Clock
        self.bank: Bank
        self.calls: Counter[str]
        self.reset()

    def reset(self) -> None:
        """Begin again, as if the program had just been started."""
        self.clock = Clock(self.options.now)
        self.bank = Bank(self.options, self.clock)
        self.bank.tell = lambda event, user, connection: self.listener(event, user, connection)
        self.calls = Counter()
        self._request_rng = Random(f"{self.options.seed}:requests")

    def next_request_id(self) -> str:
        return f"{self._request_rng.getrandbits(32):08x}"
