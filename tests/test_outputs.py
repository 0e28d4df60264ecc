"""Outputs: every format says the same, and none is broken by what a policy holds."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from clausemark.outputs import make_console, print_table, printable, write_csv, write_jsonl, write_parquet
from clausemark.predict import LabeledPolicy, Labeler
from clausemark.taxonomy import CATEGORIES, CODE_OF

#: What breaks lines, cells, terminals and spreadsheets.
HOSTILE = (
    "=cmd|'/c calc'!A1 is here.\n\n@SUM(1) is too.\n\nIt says \"a, b\"; [red]not red[/red] :smile: &amp; <b>."
    "\n\nOne\rtwo\u2028three\x85four.\n\nA \x1b[31mred\x1b[0m and \u202ebackward\u202c clause."
)


@pytest.fixture(scope="module")
def policy(tiny_model: Path) -> LabeledPolicy:
    return Labeler.load(tiny_model).label(HOSTILE, name="hostile.txt")


def jsonl(policies: list[LabeledPolicy]) -> str:
    stream = io.StringIO()
    write_jsonl(policies, stream)
    return stream.getvalue()


def test_jsonl_is_a_line_a_clause_for_every_reader_of_lines(policy: LabeledPolicy) -> None:
    written = jsonl([policy])
    assert [json.loads(line) for line in written.splitlines()] == policy.to_records()
    assert written.count("\n") == len(policy.clauses)


def test_several_policies_follow_one_another(policy: LabeledPolicy) -> None:
    assert jsonl([policy, policy]) == jsonl([policy]) * 2
    stream = io.StringIO()
    write_csv([policy, policy], stream)
    assert stream.getvalue().count('"primary"') == 1


def test_csv_has_a_row_a_clause_and_no_formulas(policy: LabeledPolicy) -> None:
    stream = io.StringIO()
    write_csv([policy], stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert [row["text"].removeprefix("'") for row in rows] == [clause.text for clause in policy.clauses]
    assert not [row for row in rows if row["text"].startswith(("=", "+", "-", "@"))]
    assert [row["labels"].split(" | ") for row in rows] == [list(clause.labels) for clause in policy.clauses]
    assert float(rows[0][CATEGORIES[0]]) == pytest.approx(policy.clauses[0].scores[CATEGORIES[0]], abs=1e-6)


@pytest.mark.parametrize("opening", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\u00a0+", "\uff1d", "\t@"])
def test_cells_that_open_a_formula_are_neutralised_in_every_column_of_text(
    policy: LabeledPolicy, opening: str
) -> None:
    cell = f"{opening}HYPERLINK(1)"
    clause = replace(policy.clauses[0], text=cell, heading=cell)
    stream = io.StringIO()
    write_csv([LabeledPolicy(replace(policy.document, source=cell), (clause,))], stream)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue(), newline=""))
    assert [row[name] for name in ("doc", "heading", "text")] == [f"'{cell}"] * 3


def test_parquet_is_the_frame(policy: LabeledPolicy) -> None:
    stream = io.BytesIO()
    write_parquet([policy], stream)
    found = pd.read_parquet(io.BytesIO(stream.getvalue()))
    found["labels"] = found["labels"].map(list)
    pd.testing.assert_frame_equal(found, policy.to_frame(), check_dtype=False)


def test_the_table_shows_all_and_obeys_nothing(policy: LabeledPolicy) -> None:
    stream = io.StringIO()
    print_table([policy], make_console(stream))
    shown = stream.getvalue()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]" in shown
    assert ":smile:" in shown
    assert "hostile.txt" in shown
    assert all(name.split()[0] in shown for name in CATEGORIES)


def test_the_table_says_where_the_model_is_not_sure(policy: LabeledPolicy) -> None:
    clauses = tuple(replace(clause, needs_review=not clause.index) for clause in policy.clauses)
    stream = io.StringIO()
    print_table([LabeledPolicy(policy.document, clauses)], make_console(stream))
    assert len(re.findall(r"[01]\.\d\d\?", stream.getvalue())) == 1


def test_a_narrow_table_has_codes_in_place_of_names(
    policy: LabeledPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, code = policy.clauses[0].primary, CODE_OF[policy.clauses[0].primary]
    for columns, shown in (("100", name), ("60", code)):
        monkeypatch.setenv("COLUMNS", columns)
        stream = io.StringIO()
        print_table([policy], make_console(stream))
        assert re.match(rf" *0 +{re.escape(shown)} ", stream.getvalue().splitlines()[2])


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_the_table_fits_the_terminal(
    policy: LabeledPolicy, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    stream = io.StringIO()
    print_table([policy], make_console(stream))
    assert max(len(line) for line in stream.getvalue().splitlines()[:-3]) <= int(columns)


def test_colour_is_for_terminals_that_want_it(policy: LabeledPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    print_table([policy], make_console(stream))
    colour = re.compile("\x1b\\[[39][0-9](;5;[0-9]+)?m")
    assert colour.search(stream.getvalue())
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    print_table([policy], make_console(stream))
    assert not colour.search(stream.getvalue())


def test_printable_is_one_line_without_controls() -> None:
    assert printable("a\n\tb\x1b[31m\u202e c") == "a b\ufffd[31m\ufffd c"
