"""Agreement: figures that can be checked by hand, and annotations that are refused with their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from clausemark.agreement import SecondAnnotation, agreement, import_second, read_second, write_second
from clausemark.corpus import AnnotatedClause, Policy
from clausemark.errors import CorpusError
from clausemark.taxonomy import CATEGORIES

FPC, TPS, UCC, *_ = CATEGORIES


def corpus(*labels: tuple[str, ...], name: str = "a") -> Policy:
    """A policy whose clauses now have these labels."""
    clauses = (AnnotatedClause(f"Clause {n}.", "sentence", 0, given) for n, given in enumerate(labels))
    return Policy(name, tuple(clauses), {})


def records(*pairs: tuple[tuple[str, ...], tuple[str, ...]], name: str = "a") -> list[SecondAnnotation]:
    return [SecondAnnotation(name, number, *pair) for number, pair in enumerate(pairs)]


#: Four clauses: two agree, one differs in the primary category, one in the secondary ones.
FOUR = (((FPC,), (FPC,)), ((TPS,), (TPS,)), ((FPC,), (TPS,)), ((FPC,), (FPC, UCC)))
SETTLED = ((FPC,), (UCC,), (TPS,), (FPC, TPS))


# Files -----------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "second.jsonl"
    found = records(*FOUR, name="b") + records(*FOUR)
    write_second(found, path)
    assert read_second(path) == records(*FOUR) + records(*FOUR, name="b")
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(first) == {"policy": "a", "id": 0, "first": [FPC], "second": [FPC]}


def test_annotators_hand_in_codes(tmp_path: Path) -> None:
    path = tmp_path / "second.tsv"
    path.write_text("b\t0\tIG\tPNC\na\t7\tFPC\tFPC|UCC\n", encoding="utf-8")
    assert import_second(path)[0] == SecondAnnotation("a", 7, (FPC,), (FPC, UCC))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\t1\tFPC", "parted by tabs"),
        ("a\tone\tFPC\tFPC", "parted by tabs"),
        ("a\t1\tFPC\tXYZ", "unknown code 'XYZ'"),
        ("a\t1\tFPC\tTPS|TPS", "several different ones"),
        ("a\t0\tFPC\tFPC", "comes twice"),
    ],
)
def test_bad_lines_of_a_tsv_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "second.tsv"
    path.write_text(f"a\t0\tFPC\tFPC\n{line}\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as caught:
        import_second(path)
    assert (caught.value.where, caught.value.line) == (path, 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not an object of policy"),
        ('{"policy": "a", "id": "1", "first": [], "second": []}', "not an object of policy"),
        ('{"policy": "a", "id": 1, "first": ["Cookies"], "second": ["Cookies"]}', "unknown category"),
        ('{"policy": "a", "id": 1, "first": [["x"]], "second": []}', "unknown category"),
        ('{"policy": "a", "id": 1, "first": [], "second": []}', "has one category or several"),
    ],
)
def test_bad_lines_of_jsonl_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "second.jsonl"
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=message) as caught:
        read_second(path)
    assert caught.value.line == 1


def test_no_annotations_and_no_file_are_errors(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(CorpusError, match="holds no annotations"):
        read_second(tmp_path / "empty.jsonl")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_second(tmp_path / "none.jsonl")
    with pytest.raises(CorpusError, match="cannot be written"):
        write_second(records(*FOUR), tmp_path)


# Figures -----------------------------------------------------------------------------------------------


def test_figures_of_four_clauses() -> None:
    found = agreement(records(*FOUR), [corpus(*SETTLED), corpus((FPC,), (FPC,), (FPC,), (FPC,), name="b")])
    assert (found["clauses"], found["policies"], found["share"]) == (4, 1, 0.5)
    assert (found["observed"], found["same_labels"]) == (0.75, 0.5)
    assert found["kappa"] == 0.5  # (0.75 - 0.5) / (1 - 0.5), chance 3/4 * 2/4 + 1/4 * 2/4
    assert found["categories"][TPS] == {
        "first": 1, "second": 2, "both": 1, "kappa": 0.5, "interval": [None, None],
        "positive_agreement": 0.6667,
    }  # fmt: skip
    assert found["disagreements"] == [{"first": FPC, "second": TPS, "clauses": 1}]
    assert json.loads(json.dumps(found)) == found


def test_kappa_is_that_of_scikit_learn() -> None:
    pairs = [((CATEGORIES[n % 5],), (CATEGORIES[n % 5 if n % 3 else (n * 7) % 12],)) for n in range(60)]
    found = agreement(records(*pairs), [corpus(*(first for first, _ in pairs))])
    first, second = zip(*((a[0], b[0]) for a, b in pairs), strict=True)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(first, second), abs=1e-4)


def test_what_nobody_gave_has_no_figure() -> None:
    found = agreement(records(*FOUR), [corpus(*SETTLED)])["categories"]["Do Not Track"]
    assert found["kappa"] is found["positive_agreement"] is None
    assert found["first"] == 0


def test_settled_clauses_are_counted_by_whose_labels_they_have() -> None:
    pairs = (*FOUR, ((FPC, UCC), (UCC, FPC)), ((FPC, TPS, UCC), (FPC, UCC, TPS)))
    now = (*SETTLED, (FPC, UCC), (FPC, TPS, UCC))
    settled = agreement(records(*pairs), [corpus(*now)])["settled"]
    assert settled == {"first": 1, "second": 1, "third": 1, "agreed_but_changed": 1}


def test_intervals_hold_the_figure_and_are_drawn_by_policy() -> None:
    good = records(*[((FPC,), (FPC,)), ((TPS,), (TPS,))] * 5)
    bad = records(*[((FPC,), (TPS,)), ((TPS,), (TPS,))] * 5, name="b")
    now = [corpus(*[(FPC,)] * 10), corpus(*[(FPC,)] * 10, name="b")]
    found = agreement(good + bad, now)
    assert found["observed"] == 0.75
    assert found["intervals"]["observed"] == [0.5, 1.0]  # only one policy drawn, twice
    assert found == agreement(good + bad, now)


def test_annotated_clauses_must_be_in_the_corpus() -> None:
    with pytest.raises(CorpusError, match="clause 3 of a "):
        agreement(records(*FOUR), [corpus(*SETTLED[:3])])
