"""The numbers that a page carries: small files whole, larger ones as columns, what is too large not at all."""

import base64
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from reportgen.core.report import Document, Numbers, Section
from reportgen.core.scripted import LEVELS, Examples, pack
from reportgen.page import carried as module
from reportgen.page.carried import NONE, carried, csv_lines

DRAWN = np.random.default_rng(3)


def page(*numbers: Numbers, blocks=()) -> dict:
    found = carried(Document("t", "", (), (Section("s", "S", "", tuple(blocks), numbers),), {}))
    assert found is not None
    return found


def unpacked(found: dict, name: str) -> tuple[dict, list[np.ndarray]]:
    """The table of a file, and its arrays as the page's script has them."""
    start, length, table = next(rest for other, *rest in found["files"] if other == name)
    data, arrays = zlib.decompress(base64.b64decode(found["data"])[start : start + length]), []
    for rows, size, bytes_ in table["arrays"]:
        octets = np.frombuffer(data[: rows * size * bytes_], np.uint8).reshape(rows, bytes_, size)
        data = data[rows * size * bytes_ :]
        words = np.moveaxis(octets, 1, -1).copy().view({2: "<u2", 4: "<u4"}[bytes_])[..., 0]
        arrays.append(np.cumsum(words, axis=0, dtype=words.dtype).view({2: "<i2", 4: "<f4"}[bytes_]).ravel())
    assert not data
    return table, arrays


def test_a_small_file_is_carried_as_it_is() -> None:
    small = Numbers("a.csv", ("x", "y"), lambda: iter([(0.1, "é, 1"), (None, 'a "b"')]))
    found = page(small, Numbers("b.csv", ("z",), lambda: iter([(1,)])))
    assert found["sections"] == {"s": ["a.csv", "b.csv"]}
    (_, start, length, table), (_, after, _, _) = found["files"]
    assert (start, table, after) == (0, None, length)
    text = zlib.decompress(base64.b64decode(found["data"])[:length]).decode()
    assert text == "".join(csv_lines(small)) == 'x,y\n0.1,"é, 1"\n,"a ""b"""\n'


def rows(count: int = 9000) -> Iterator[tuple]:
    values = np.random.default_rng(5).normal(size=(count, 2)) * 10.0 ** np.arange(-8, 9, 16)
    for index, (small, large) in enumerate(values.tolist()):
        gap = None if index % 7 == 3 else small
        yield index, ("a, b", "c", None)[index % 3], gap, 0 if index % 5 else large, 70_000 + index, index % 2 == 0


def test_a_larger_file_is_carried_as_columns() -> None:
    numbers = Numbers("a.csv", ("n", "name", "gaps", "large", "far", "flag"), lambda: rows())
    table, arrays = unpacked(page(numbers), "a.csv")
    assert (table["head"], table["rows"]) == ("n,name,gaps,large,far,flag\n", 9000)
    assert table["kinds"] == ["whole", ['"a, b"', "c", ""], "short", "short", "whole", ["True", "False"]]
    count, names, gaps, large, far, flags, *powers = arrays
    given = list(zip(*rows(), strict=True))
    assert count.tolist() == list(given[0]) and far.tolist() == list(given[4])
    assert [("a, b", "c", None)[code] for code in names] == list(given[1])
    assert [code == 0 for code in flags] == list(given[5])
    for mantissa, power, values in zip((gaps, large), powers, given[2:4], strict=True):
        assert ((mantissa == NONE) == [value is None for value in values]).all()
        shown = np.where(mantissa == NONE, np.nan, mantissa * 10.0**power)
        np.testing.assert_allclose(shown, np.array(values, float), rtol=5.01e-4)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_not_finite_is_left_to_the_file(value: float) -> None:
    drawn = [*DRAWN.normal(size=9000).tolist(), value]
    ((_, _, length, table),) = page(Numbers("a.csv", ("x",), lambda: ((each,) for each in drawn)))["files"]
    assert (length, table) == (0, None)


def test_what_is_too_large_is_left_to_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = DRAWN.normal(size=9000).tolist()

    def length() -> int:
        return page(Numbers("a.csv", ("x",), lambda: ((each,) for each in drawn)))["files"][0][2]

    assert 0 < length() < 2.3 * 9000
    for limit, least in (("COLUMNS", 15_000), ("ROWS", 8999)):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, least)
            assert length() == 0


def test_places_that_the_page_has_are_named_instead() -> None:
    levels = DRAWN.integers(0, LEVELS, (2, 3, 4000)).astype(np.int16)
    columns = (("x", 3, 2), ("y", 3, 2))
    block = Examples("stories", (), (), ("a", "b", "c"), (0, 1, 2), columns, pack(list(levels)))
    x, y = levels.reshape(2, -1) / LEVELS * 8 - 3
    placed = (("x", "stories", "x", -3.0, 5.0), ("y", "stories", "y", -3.0, 5.0))
    numbers = Numbers("e.csv", ("n", "x", "y"), lambda: zip(range(12_000), x.tolist(), y.tolist(), strict=True), placed)
    ((_, _, length, table),) = page(numbers, blocks=(block,))["files"]
    assert length < 300 and [kind if kind == "whole" else kind["axis"] for kind in table["kinds"]] == [
        "whole",
        "x",
        "y",
    ]
    assert table["kinds"][1] == {"of": "stories", "axis": "x", "low": -3.0, "high": 5.0}
    assert page(numbers)["files"][0][2] == 0, "a page without the examples"


def test_a_page_carries_none_where_it_is_told_so() -> None:
    part = Section("s", "S", "", (), (Numbers("a.csv", ("x",), lambda: iter([(1,)])),))
    assert carried(Document("t", "", (), (part,), {}, numbers=False)) is None
    assert carried(Document("t", "", (), (Section("s", "S", "", ()),), {})) is None
