"""Categorising rows: ordinary ones, and ones that were written to take long.

`python -m scripts.bench.categorise` runs 1,000,000 of each and prints rows a second and the longest that a row took.

Every hostile row is another one, so that nothing is known from before. The longest rows are measured again, and what
counts is the shortest of three: the categoriser's time, and not that of whoever had the processor in between.
"""

from __future__ import annotations

import gc
import heapq
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from domain.categories.categorise import VERSION, labels_of
from scripts.bench.measure import Benchmark, Case, Figure, Line, Sample

NAME = "categorise"
SUMMARY = "labels of ordinary rows, and of rows that were written to take long"

SEED = 20_240_301
ROWS, ROWS_HOSTILE = 200_000, 30_000
ROWS_QUICK = 3_000
ROWS_ALONE = 1_000_000
#: So many of the rows that took longest are measured again, so often.
WORST, REPEATS = 50, 3
#: Hostile rows are made of so many phrases of the rules, the shortest ones.
PHRASES = 1_000

SHOPS = (
    "CARREFOUR MARKET LYON;BOULANGERIE DU COIN;TOTAL ACCESS A6;SNCF INTERNET;MCDONALDS PARIS;AMAZON EU SARL;LIDL 2417"
    ";PHARMACIE BELLEC;NETFLIX.COM;UBER EATS;LEROY MERLIN;LIBRAIRIE L'ENCRE;TESCO STORES;ALBERT HEIJN;MERCADONA"
).split(";")
ORDINARY = (
    "CARTE X{number:04} {day:02}/03 {shop} CARTE NUMERO {number}",
    "FACTURE CARTE DU {day:02}0324 {shop} CARTE 4974XXXXXXXX{number:04}",
    "PRLV SEPA EDF CLIENTS PARTICULIERS ECH/{day:02}0324 ID EMETTEUR/FR47ZZZ{number:06} MDT/{number:08}",
    "PRLV SEPA COFIDIS {number:09}",
    "VIR SEPA RECU /DE ACME SAS /MOTIF SALAIRE {day:02}/2024 /REF {number:010}",
    "VIREMENT EMIS LOYER {number}",
    "RETRAIT DAB {day:02}/03/24 {day:02}H42 {number:08} LA BANQUE POSTALE",
    "F FRAIS PRLV IMP {number},99EUR PROVISION INSUFFISANTE",
    "CHEQUE {number:07}",
    "VIREMENT RECU DE M DUPONT {number}",
)
KINDS = ("card", "card", "order", "order", "transfer", "transfer", "withdrawal", "bank", "check", "transfer")


class Row(NamedTuple):
    wording: str
    kind: str
    amount: int
    counterparty: str = ""


def ordinary(random: Random) -> Iterator[Row]:
    """What statements are made of: the same wordings with other digits."""
    while True:
        place = random.randrange(len(ORDINARY))
        wording = ORDINARY[place].format(
            number=random.randrange(10_000), day=random.randint(1, 28), shop=random.choice(SHOPS)
        )
        yield Row(wording, KINDS[place], random.choice((-4_200, 4_200)))


def shortest_phrases() -> list[str]:
    """The phrases of the rules that take least room: most of them fit into a row."""
    folder = files("domain.categories") / "rules"
    phrases: set[str] = set()
    for entry in folder.iterdir():
        for rule in tomllib.loads(entry.read_text(encoding="utf-8"))["rule"]:
            alternatives = (one for some in rule.get("all", ()) for one in some.split("|"))
            phrases.update(rule.get("any", ()), alternatives, *rule.get("brands", {}).values())
    return [phrase.replace("*", "") for phrase in sorted(phrases, key=lambda one: (len(one), one))[:PHRASES]]


def hostile(random: Random) -> Iterator[Row]:
    """Each kind of hostile row in turn, each of them another one."""
    phrases = shortest_phrases()
    kinds: tuple[Callable[[str], str], ...] = (
        lambda mark: mark + "😀👩\u200d👩\u200d👧\ufe0f" * 150,
        lambda mark: mark + "\u202eמִזְרָחִי مصرف\u0651 " * 60,
        lambda mark: mark + "x" * 10_000,
        lambda mark: mark + "\x00\x1b[31m\r\n\t\x7f" * 100,
        lambda mark: mark + "a" * 9_999 + "!",
        lambda mark: mark + "(a+)+$" * 500 + "!",
        lambda mark: mark + "e" + "\u0301\u0316\u0327" * 3_000,
        lambda mark: mark + "\ufdfa" * 600,
        lambda mark: mark + " a" * 400,
        lambda mark: mark + " 1a" * 400,
        lambda mark: mark + "&+" * 400,
        lambda mark: mark + "١٢٣ " * 200,
        lambda mark: f"{mark} {' '.join(random.sample(phrases, 150))}",
        lambda mark: mark + " pret 1" * 100,
        lambda mark: mark + "\ud800İŉǰΐßﬃ" * 100,
        lambda mark: "".join(chr(random.randrange(0x20, 0x3000)) for _ in range(600)),
    )
    while True:
        for kind in kinds:
            mark = "".join(random.choices("bcdfghjklmnpqrstvwxz", k=8))
            # The other side's name is as short as names are, but for one row in four.
            name = f"{mark} {' '.join(random.sample(phrases, 30))}" if random.random() < 0.25 else ""
            yield Row(kind(mark), "unknown", random.choice((-1, 1)), name)


def timed(rows: Iterator[Row], count: int) -> Sample:
    """Rows a second, and the longest that one took, in microseconds."""
    clock = time.perf_counter_ns
    total = 0
    longest: list[tuple[int, int, Row]] = []
    for number, row in enumerate(islice(rows, count)):
        started = clock()
        labels_of(*row)
        took = clock() - started
        total += took
        if len(longest) < WORST:
            heapq.heappush(longest, (took, number, row))
        elif took > longest[0][0]:
            heapq.heapreplace(longest, (took, number, row))
    return {"rate": count / (total / 1e9), "worst": max(_again(row) for _, _, row in longest) / 1e3}


def _again(row: Row) -> int:
    """The shortest of some measurements. What is kept of rows does not help: they are made another one each time."""
    clock = time.perf_counter_ns
    times = []
    for place in range(REPEATS):
        # Another letter at the end of the part that is read leaves the work what it is.
        again = row._replace(wording=f"{row.wording[:511]}{'bcd'[place]}")
        started = clock()
        labels_of(*again)
        times.append(clock() - started)
    return min(times)


def prepare(stack: ExitStack, scratch: Path, *, quick: bool) -> Benchmark:
    many, few = (ROWS_QUICK, ROWS_QUICK) if quick else (ROWS, ROWS_HOSTILE)
    common, rare = ordinary(Random(SEED)), hostile(Random(SEED))
    first, second = f"{NAME}: ordinary rows", f"{NAME}: hostile rows"
    return Benchmark(
        NAME,
        cases=(Case(first, lambda: timed(common, many)), Case(second, lambda: timed(rare, few))),
        lines=(
            Line(f"labels of {many:,} ordinary rows", "rows/s", Figure(first, "rate")),
            Line("the longest of them", "µs", Figure(first, "worst")),
            Line(f"labels of {few:,} hostile rows", "rows/s", Figure(second, "rate")),
            Line("the longest of them", "µs", Figure(second, "worst")),
        ),
    )


def main(count: int = ROWS_ALONE) -> None:
    print(
        f"rules {VERSION}, {count:,} rows of each kind, garbage collection frozen, Python {sys.version.split()[0]}"
    )
    for name, rows in (("ordinary", ordinary(Random(SEED))), ("hostile", hostile(Random(SEED)))):
        gc.collect()
        gc.freeze()
        sample = timed(rows, count)
        print(
            f"{name:<9}{sample['rate']:>11,.0f} rows/s, the longest row {sample['worst']:,.0f} µs"
            f" (of the {WORST} longest, each the shortest of {REPEATS})"
        )
        gc.unfreeze()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
