"""One suite for every store of rows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryGeneration
from adapters.read_models.sqlite import SqliteGeneration
from projections.ports import Index, StalePosition, Table


class Shelf(NamedTuple):
    room: str
    shelf: bytes
    place: int
    title: str
    pages: int | None


BOOKS = Table("books", Shelf, key=3, indices=(Index("by_title", ("room", "title")),))
NOTES = Table("notes", Shelf, key=1)
TABLES = (BOOKS, NOTES)
Open = Callable[[], Any]


@pytest.fixture(params=["memory", "sqlite", "sqlite_building"])
def open_generation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[SqliteGeneration] = []

    def open_it() -> Any:
        if request.param == "memory":
            return MemoryGeneration()
        path = tmp_path / f"generation-{len(opened) + 1}.sqlite3"
        opened.append(SqliteGeneration(path, TABLES, building=request.param == "sqlite_building"))
        return opened[-1]

    yield open_it
    for generation in opened:
        generation.close()


def a_book(
    place: int = 1, title: str = "Émile", room: str = "study", shelf: bytes = b"\x01", pages: int | None = 7
) -> Shelf:
    return Shelf(room, shelf, place, title, pages)


def test_what_was_put_is_seen_at_once_and_after_the_commit(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put(BOOKS, a_book())
    assert rows.get(BOOKS, "study", b"\x01", 1) == a_book()
    assert list(rows.scan(BOOKS)) == [a_book()]
    generation.commit(0, 5)
    assert generation.checkpoint() == 5
    rows = generation.begin()
    held = rows.get(BOOKS, "study", b"\x01", 1)
    assert held == a_book() and held.title == "Émile"
    assert rows.get(BOOKS, "study", b"\x01", 2) is None
    generation.rollback()


def test_a_row_takes_the_place_of_the_one_with_its_key(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put(BOOKS, a_book(title="one"))
    list(rows.scan(BOOKS))
    rows.put(BOOKS, a_book(title="two", pages=None))
    assert list(rows.scan(BOOKS)) == [a_book(title="two", pages=None)]
    assert list(rows.find(BOOKS, "by_title", "study", "one")) == []
    assert list(rows.find(BOOKS, "by_title", "study", "two")) == [a_book(title="two", pages=None)]
    generation.rollback()


def test_a_scan_is_in_key_order_and_bounded_by_the_next_field(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put_many(BOOKS, [a_book(place) for place in (5, -3, 12, 0, 7)])
    rows.put(BOOKS, a_book(1, shelf=b"\x02"))
    rows.put(BOOKS, a_book(1, room="attic"))
    places = [row.place for row in rows.scan(BOOKS, "study", b"\x01")]
    assert places == [-3, 0, 5, 7, 12]
    assert [row.place for row in rows.scan(BOOKS, "study", b"\x01", at_least=0, at_most=7)] == [0, 5, 7]
    assert [row.place for row in rows.scan(BOOKS, "study", b"\x01", at_least=6)] == [7, 12]
    assert [row.place for row in rows.scan(BOOKS, "study", b"\x01", at_most=-3)] == [-3]
    assert [row.room for row in rows.scan(BOOKS)] == ["attic", *["study"] * 6]
    assert [row.shelf for row in rows.scan(BOOKS, "study", at_least=b"\x02")] == [b"\x02"]
    assert list(rows.scan(BOOKS, "cellar")) == []
    generation.rollback()


def test_rows_are_deleted_by_key_or_by_the_beginning_of_one(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put_many(
        BOOKS, [a_book(place) for place in range(3)] + [a_book(9, shelf=b"\x02"), a_book(9, room="attic")]
    )
    rows.put(BOOKS, a_book(3))
    rows.delete(BOOKS, "study", b"\x01", 2)
    assert rows.get(BOOKS, "study", b"\x01", 2) is None
    assert [row.place for row in rows.scan(BOOKS, "study", b"\x01")] == [0, 1, 3]
    rows.delete(BOOKS, "study", b"\x01")
    assert [rows.get(BOOKS, "study", b"\x01", place) for place in range(4)] == [None] * 4
    rows.delete(BOOKS, "nowhere")
    assert [row.place for row in rows.scan(BOOKS, "study")] == [9]
    rows.delete(BOOKS, "study")
    assert [row.room for row in rows.scan(BOOKS)] == ["attic"]
    rows.put(BOOKS, a_book())
    rows.delete(BOOKS)
    assert list(rows.scan(BOOKS)) == []
    generation.rollback()


def test_find_is_by_the_leading_columns_of_an_index_in_key_order(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put_many(BOOKS, [a_book(place, title="abc"[place % 3]) for place in range(6)])
    rows.put(BOOKS, a_book(1, room="attic", title="a"))
    assert [row.place for row in rows.find(BOOKS, "by_title", "study", "a")] == [0, 3]
    assert [row.place for row in rows.find(BOOKS, "by_title", "study")] == list(range(6))
    rows.delete(BOOKS, "study", b"\x01", 0)
    assert [row.place for row in rows.find(BOOKS, "by_title", "study", "a")] == [3]
    generation.rollback()


def test_rows_are_found_by_many_values_at_once(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put_many(BOOKS, [a_book(place, title=f"t{place % 700}") for place in range(1_400)])
    rows.put(BOOKS, a_book(1, room="attic", title="t1"))
    rows.put(BOOKS, a_book(2_000))
    found = rows.among(BOOKS, "study", b"\x01", values=[*range(600, 1_300), 2_000, 2_000, 9_999])
    assert sorted(row.place for row in found) == [*range(600, 1_300), 2_000]
    titles = [f"t{number}" for number in range(100, 700)]
    found = rows.among(BOOKS, "study", values=titles, index="by_title")
    assert sorted(row.place for row in found) == [*range(100, 700), *range(800, 1_400)]
    assert list(rows.among(BOOKS, "study", values=[])) == []
    rows.delete(BOOKS, "study", b"\x01", 1)
    assert [row.place for row in rows.among(BOOKS, "study", values=["t1"], index="by_title")] == [701]
    assert {row.shelf for row in rows.among(BOOKS, "study", values=[b"\x01", b"\x02"])} == {b"\x01"}
    generation.rollback()


def test_a_rollback_undoes_everything_since_the_commit(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put_many(BOOKS, [a_book(place) for place in range(3)])
    generation.commit(0, 1)
    rows = generation.begin()
    rows.put(BOOKS, a_book(1, title="changed"))
    rows.put(BOOKS, a_book(8))
    rows.delete(BOOKS, "study", b"\x01", 2)
    list(rows.scan(BOOKS))
    rows.delete(BOOKS, "study")
    generation.rollback()
    rows = generation.begin()
    assert list(rows.scan(BOOKS)) == [a_book(place) for place in range(3)]
    assert [row.place for row in rows.find(BOOKS, "by_title", "study", "Émile")] == [0, 1, 2]
    assert rows.get(BOOKS, "study", b"\x01", 8) is None
    generation.rollback()
    assert generation.checkpoint() == 1


def test_a_checkpoint_that_is_elsewhere_writes_nothing(open_generation: Open) -> None:
    generation = open_generation()
    generation.begin()
    generation.commit(0, 4)
    rows = generation.begin()
    rows.put(BOOKS, a_book())
    with pytest.raises(StalePosition):
        generation.commit(3, 9)
    assert generation.checkpoint() == 4
    assert list(generation.begin().scan(BOOKS)) == []
    generation.rollback()


def test_a_table_may_be_keyed_by_one_field(open_generation: Open) -> None:
    generation = open_generation()
    rows = generation.begin()
    rows.put(NOTES, a_book())
    assert rows.get(NOTES, "study") == a_book()
    rows.delete(NOTES, "study")
    assert list(rows.scan(NOTES)) == []
    generation.rollback()


_keys = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([b"", b"\xff"]), st.integers(-2, 2))
_steps = st.one_of(
    st.tuples(st.just("put"), _keys, st.sampled_from(["x", "y"])),
    st.tuples(st.just("delete"), _keys, st.integers(1, 3)),
    st.tuples(st.just("scan"), _keys, st.integers(0, 2)),
    st.tuples(st.just("find"), st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"])),
    st.tuples(st.just("get"), _keys, st.none()),
    st.tuples(st.just("among"), _keys, st.sampled_from([0, 1, 2, "by_title"])),
    st.tuples(st.just("commit"), st.none(), st.none()),
    st.tuples(st.just("rollback"), st.none(), st.none()),
)


@given(steps=st.lists(_steps, max_size=40))
@pytest.mark.parametrize("building", [False, True])
def test_memory_and_sqlite_answer_alike(
    building: bool, steps: list[tuple[Any, ...]], tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("rows") / "generation-1.sqlite3"
    generations = [MemoryGeneration(), SqliteGeneration(path, TABLES, building=building)]
    position = 0
    stores = [generation.begin() for generation in generations]
    for name, key, more in steps:
        answers: list[Any] = []
        for rows in stores:
            match name:
                case "put":
                    rows.put(BOOKS, Shelf(*key, more, None))
                case "delete":
                    rows.delete(BOOKS, *key[:more])
                case "scan":
                    answers.append(list(rows.scan(BOOKS, *key[:more], at_least=key[more])))
                case "find":
                    answers.append(list(rows.find(BOOKS, "by_title", key, more)))
                case "among" if more == "by_title":
                    answers.append(sorted(rows.among(BOOKS, key[0], values="xyx", index=more)))
                case "among":
                    answers.append(sorted(rows.among(BOOKS, *key[:more], values=[key[more]])))
                case "get":
                    answers.append(rows.get(BOOKS, *key))
        if name in ("commit", "rollback"):
            for generation in generations:
                if name == "commit":
                    generation.commit(position, position + 1)
                else:
                    generation.rollback()
            position += name == "commit"
            stores = [generation.begin() for generation in generations]
        assert answers[:1] == answers[1:]
    assert list(stores[0].scan(BOOKS)) == list(stores[1].scan(BOOKS))
    generations[1].rollback()
    generations[1].close()


# SQLite alone


def test_a_generation_is_private_and_kept_as_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "generation-1.sqlite3"
    generation = SqliteGeneration(path)
    generation.begin()
    generation.commit(0, 1)
    for beside in ("", "-wal", "-shm"):
        assert stat.S_IMODE(os.stat(f"{path}{beside}").st_mode) == 0o600
    pragma = generation._connection.execute
    assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    assert pragma("PRAGMA synchronous").fetchone() == (1,)
    assert pragma("PRAGMA secure_delete").fetchone() == (1,)
    generation.close()


def test_many_rows_are_written_whole(tmp_path: Path) -> None:
    generation = SqliteGeneration(tmp_path / "generation-1.sqlite3", TABLES, building=True)
    rows = generation.begin()
    for start in range(0, 40_000, 777):
        rows.put_many(BOOKS, [a_book(place) for place in range(start, min(start + 777, 40_000))])
    generation.commit(0, 1)
    generation.finish_building()
    again = SqliteGeneration(tmp_path / "generation-1.sqlite3", TABLES)
    rows = again.begin()
    assert [row.place for row in rows.scan(BOOKS)] == list(range(40_000))
    assert len(list(rows.find(BOOKS, "by_title", "study"))) == 40_000
    again.rollback()
    names = again._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL")
    assert list(names) == [("books_by_title",)]
    again.close()
