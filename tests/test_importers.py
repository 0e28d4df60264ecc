"""Importers: annotated policies of other formats, with every category and paragraph where it was."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clausemark.corpus import Policy, read_corpus, statistics, write_policy
from clausemark.errors import CorpusError
from clausemark.importers import import_corpus, import_mousavi, import_opp115, import_tsv
from clausemark.taxonomy import CATEGORIES

FPC, TPS, UCC = CATEGORIES[:3]
IG, PCI, PNC = CATEGORIES[9:]


@pytest.fixture
def shared() -> Path:
    """Material beside the repository, which is not part of it."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the repository")
    return folder


def rows(policy: Policy) -> list[tuple[int, str, str]]:
    return [(c.paragraph, c.kind, c.text) for c in policy.clauses]


# TSV -----------------------------------------------------------------------------------------------


@pytest.fixture
def tsv(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "07-heron.tsv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_tsv_gives_a_policy_with_its_description(tsv: Any) -> None:
    path = tsv("# name: Heron Ferries\n# year: 2011\nH\tIG\tPrivacy\nS\tFPC|UCC\tYou may give your name.\n")
    (policy,), report = import_tsv(path)
    assert policy.id == "07-heron"
    assert policy.metadata == {
        "name": "Heron Ferries", "year": 2011, "unit": "clause", "source": "written",
        "license": "Apache-2.0",
    }  # fmt: skip
    assert policy.clauses[1].labels == (FPC, UCC)
    assert report == ["1 policies", "2 clauses"]


def test_without_blank_lines_what_stands_between_headings_and_lists_is_a_paragraph(tsv: Any) -> None:
    (policy,), _ = import_tsv(
        tsv(
            "H\tIG\tHeron\nH\tIG\tWhat we keep\nS\tFPC\tWe keep names.\nS\tFPC\tWe keep:\nL\tFPC\tseats;\n"
            "L\tFPC\tmeals.\nS\tDR\tThat is all.\nH\tPCI\tContact\nL\tPCI\tHeron House\n"
        )
    )
    assert [c.paragraph for c in policy.clauses] == [0, 1, 2, 2, 2, 2, 3, 4, 5]


def test_blank_lines_end_paragraphs_but_do_not_part_a_list_from_its_lead_in(tsv: Any) -> None:
    (policy,), _ = import_tsv(
        tsv(
            "H\tIG\tHeron\n\nS\tFPC\tWe keep names.\nS\tFPC\tAnd seats.\n\nS\tFPC\tWe keep:\n\n"
            "L\tFPC\tmeals;\nL\tFPC\tcabins.\n\nS\tFPC\tNo more.\n\nL\tPNC\tHome | Timetable\n"
        )
    )
    assert [c.paragraph for c in policy.clauses] == [0, 1, 1, 2, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("X\tFPC\tWe collect.", "kind is 'X'"),
        ("S\tFPX\tWe collect.", "unknown code 'FPX'"),
        ("S\t\tWe collect.", "unknown code ''"),
        ("S\tFPC|FPC\tWe collect.", "given twice"),
        ("S\tFPC", "has 2 columns"),
        ("S\tFPC\tWe\tcollect.", "has 4 columns"),
        ("S\tFPC\t ", "has no text"),
        ("# year: 2011", "has 1 columns"),
    ],
)
def test_a_bad_line_of_tsv_is_named(tsv: Any, line: str, message: str) -> None:
    path = tsv(f"# name: Heron\nH\tIG\tHeron\n\n{line}\n")
    with pytest.raises(CorpusError, match=message) as caught:
        import_tsv(path)
    assert (caught.value.where, caught.value.line) == (path, 4)


@pytest.mark.parametrize("line", ["# yaer: 2011", "# year: soon", "# name", "# sector:"])
def test_a_bad_head_line_is_named(tsv: Any, line: str) -> None:
    with pytest.raises(CorpusError) as caught:
        import_tsv(tsv(f"{line}\nH\tIG\tHeron\n"))
    assert caught.value.line == 1


def test_a_tsv_without_clauses_is_refused(tsv: Any) -> None:
    with pytest.raises(CorpusError, match="no clauses"):
        import_tsv(tsv("# name: Heron\n\n"))


def test_the_first_policies_are_read_whole(shared: Path, tmp_path: Path) -> None:
    policies, _ = import_tsv(shared / "corpus-start")
    found = statistics(policies)
    assert (found["policies"], found["clauses"], found["unlabelled"]) == (97, 8198, 0)
    for policy in policies:
        write_policy(policy, tmp_path / f"{policy.id}.jsonl")
    assert read_corpus(tmp_path) == policies


# OPP-115 -------------------------------------------------------------------------------------------

NAMES = "We collect names."
SELL = "We never sell them."
LEAD_IN = "We share what we know about your crossing, with your consent and not before it, with these:"
SEGMENTS = [
    "<strong> 1. Heron Ferries </strong> <br> <br>",
    f"{NAMES} {SELL} Tea &amp; cake are extra. <br> <br>",
    f"{LEAD_IN} <ul> <li> printers; </li> <li> the harbour &mdash; at night. </li> </ul> <br>",
]


class Opp115:
    """A fictional policy in the format of OPP-115."""

    def __init__(self, root: Path, segments: list[str]) -> None:
        self.root, self.segments = root, segments
        self.practices: list[list[Any]] = []
        for folder in ("annotations", "sanitized_policies", "documentation/errant_span_indexes"):
            (root / folder).mkdir(parents=True)

    def mark(
        self,
        annotators: str,
        segment: int,
        category: str,
        text: str = "",
        at: int | None = None,
        **values: Any,
    ) -> None:
        """Let each of some annotators (a letter each) give a category for a text in a segment."""
        start = self.segments[segment].find(text) if at is None else at
        span = {"startIndexInSegment": -1, "endIndexInSegment": -1, "selectedText": "null"}
        if text:
            end = start + len(text) if start >= 0 else -1
            span = {"startIndexInSegment": start, "endIndexInSegment": end, "selectedText": text}
        kind, _, value = category.partition("/Type ")
        name = "Other Type" if kind == "Other" else "Mode"
        unselected = {"startIndexInSegment": -1, "endIndexInSegment": -1, "value": "not-selected"}
        attributes = {name: {**span, "value": value or "Unspecified"}, "Scope": {**unselected, **values}}
        for annotator in annotators:
            number = str(len(self.practices) + 1)
            self.practices.append(
                [
                    number,
                    "batch",
                    annotator,
                    "7",
                    segment,
                    kind,
                    json.dumps(attributes),
                    "2015",
                    "http://heron.example",
                ]
            )

    def save(self) -> Path:
        with (self.root / "annotations/7_heron.example.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(self.practices)
        page = self.root / "sanitized_policies/7_heron.example.html"
        page.write_text("|||".join(self.segments), encoding="utf-8")
        (self.root / "documentation/policies_opp115.csv").write_text(
            "Policy UID,Policy URL,Policy collection date,Policy last updated date,\n"
            "7,heron.example,2015-07-02,2009-01-01,\n",
            encoding="utf-8",
        )
        return self.root


@pytest.fixture
def opp115(tmp_path: Path) -> Opp115:
    return Opp115(tmp_path / "opp", SEGMENTS)


def labels_of(folder: Path, unit: Any = "sentence") -> dict[str, tuple[str, ...]]:
    (policy,), _ = import_opp115(folder, unit=unit)
    return {c.text: c.labels for c in policy.clauses}


def test_segments_are_text_without_markup(opp115: Opp115) -> None:
    (policy,), _ = import_opp115(opp115.save(), unit="segment")
    assert rows(policy) == [
        (0, "sentence", "1. Heron Ferries"),
        (1, "sentence", "We collect names. We never sell them. Tea & cake are extra."),
        (2, "sentence", f"{LEAD_IN} printers; the harbour — at night."),
    ]


def test_a_category_of_a_segment_needs_two_of_three_annotators(opp115: Opp115) -> None:
    opp115.mark("ab", 1, FPC, NAMES)
    opp115.mark("a", 1, TPS, SELL)
    opp115.mark("aaa", 1, UCC, SELL)
    (policy,), _ = import_opp115(opp115.save(), unit="segment")
    clause = policy.clauses[1]
    assert clause.labels == (FPC,)
    assert clause.votes == {FPC: 0.667, UCC: 0.333, TPS: 0.333}
    assert policy.clauses[0].labels == ()


def test_the_primary_category_has_most_annotators_then_practices_then_characters(opp115: Opp115) -> None:
    opp115.mark("ab", 0, UCC, "1. Heron")
    opp115.mark("abc", 0, TPS, "Ferries")
    opp115.mark("ab", 1, TPS, NAMES)
    opp115.mark("aab", 1, UCC, "names")
    opp115.mark("ab", 2, TPS, "printers;")
    opp115.mark("ab", 2, UCC, "the harbour")
    found = labels_of(opp115.save(), "segment")
    assert list(found.values()) == [(TPS, UCC), (UCC, TPS), (UCC, TPS)]


def test_other_is_split_by_its_type_and_other_other_is_dropped(opp115: Opp115) -> None:
    opp115.mark("ab", 0, f"Other/Type {IG}", "Heron")
    opp115.mark("a", 1, f"Other/Type {PCI}", NAMES)
    opp115.mark("b", 1, f"Other/Type {PNC}", NAMES)
    opp115.mark("ab", 2, "Other/Type Other", "printers")
    policies, report = import_opp115(opp115.save(), unit="segment")
    assert [c.labels for c in policies[0].clauses] == [(IG,), (), ()]
    assert '2 practices "Other" of type "Other": dropped' in report


def test_sentences_keep_the_structure_of_the_page(opp115: Opp115) -> None:
    opp115.mark("a", 1, FPC, NAMES)
    (policy,), _ = import_opp115(opp115.save())
    assert rows(policy) == [
        (0, "heading", "1. Heron Ferries"),
        (1, "sentence", "We collect names."),
        (1, "sentence", "We never sell them."),
        (1, "sentence", "Tea & cake are extra."),
        (2, "sentence", LEAD_IN),
        (2, "item", "printers;"),
        (2, "item", "the harbour — at night."),
    ]
    assert policy.metadata["unit"] == "sentence"
    assert policy.metadata["partial"] is True
    assert policy.metadata["year"] == 2009
    assert policy.metadata["url"] == "http://heron.example"


def test_sentences_are_labelled_by_the_spans_in_them(opp115: Opp115) -> None:
    opp115.mark("abc", 1, FPC, "collect names")
    opp115.mark("ab", 1, TPS, "never sell")
    opp115.mark("a", 2, TPS, "printers")
    opp115.mark("b", 2, TPS, "harbour &mdash; at night")
    found = labels_of(opp115.save())
    assert found[NAMES] == (FPC,)
    assert found[SELL] == (TPS,)
    assert found["Tea & cake are extra."] == ()
    # Two annotators gave it to the segment, each marked another item, neither the lead-in.
    assert (found["printers;"], found["the harbour — at night."]) == ((TPS,), (TPS,))
    assert found[LEAD_IN] == ()


def test_what_the_majority_did_not_see_in_the_segment_is_no_label(opp115: Opp115) -> None:
    opp115.mark("a", 1, UCC, SELL)
    (policy,), _ = import_opp115(opp115.save())
    assert policy.clauses[2].labels == ()
    assert policy.clauses[2].votes == {UCC: 0.333}


def test_a_span_that_touches_the_next_sentence_by_a_letter_does_not_mark_it(opp115: Opp115) -> None:
    opp115.mark("abc", 1, FPC, f"{NAMES} We")
    assert labels_of(opp115.save())[SELL] == ()


def test_offsets_count_the_tags_and_entities_before_them(opp115: Opp115) -> None:
    opp115.mark("ab", 2, FPC, "night.")
    found = labels_of(opp115.save())
    assert [text for text, labels in found.items() if labels] == ["the harbour — at night."]


def test_a_practice_without_spans_speaks_for_its_segment(opp115: Opp115) -> None:
    opp115.mark("ab", 1, FPC)
    policies, report = import_opp115(opp115.save())
    assert [c.labels for c in policies[0].clauses[1:4]] == [(FPC,)] * 3
    assert "2 practices without spans: taken for the whole segment" in report


def test_a_practice_without_spans_yields_to_others_of_its_annotator(opp115: Opp115) -> None:
    opp115.mark("ab", 1, FPC)
    opp115.mark("ab", 1, FPC, NAMES)
    found = labels_of(opp115.save())
    assert (found[NAMES], found[SELL]) == ((FPC,), ())


def test_a_span_with_wrong_offsets_is_found_by_its_text(opp115: Opp115) -> None:
    opp115.mark("ab", 1, FPC, SELL, at=0)
    errant = opp115.root / "documentation/errant_span_indexes/errant_span_indexes_block_1.csv"
    errant.write_text("1,0_Mode\n2,0_Mode\n", encoding="utf-8")
    found = labels_of(opp115.save())
    assert (found[NAMES], found[SELL]) == ((), (FPC,))


def test_a_span_with_wrong_offsets_and_a_common_text_is_not_used(opp115: Opp115) -> None:
    opp115.mark("a", 1, FPC, "We", at=0)
    opp115.mark("b", 1, FPC, NAMES)
    errant = opp115.root / "documentation/errant_span_indexes/errant_span_indexes_block_1.csv"
    errant.write_text("1,0_Mode\n", encoding="utf-8")
    policies, report = import_opp115(opp115.save())
    assert policies[0].clauses[1].votes == {FPC: 0.667}
    assert policies[0].clauses[2].votes == {FPC: 0.333}
    assert "1 spans with wrong offsets and a text that is not unique: not used" in report


def test_a_sentence_never_crosses_a_segment(tmp_path: Path) -> None:
    folder = Opp115(tmp_path / "opp", ["We keep your name and", "your seat for a year."])
    folder.mark("ab", 1, FPC, "your seat")
    assert labels_of(folder.save()) == {"We keep your name and": (), "your seat for a year.": (FPC,)}


def test_segments_without_text_are_dropped_and_told(tmp_path: Path) -> None:
    policies, report = import_opp115(Opp115(tmp_path / "opp", [NAMES, " <br> "]).save(), unit="segment")
    assert len(policies[0].clauses) == 1
    assert "1 segments without text: dropped" in report


def test_what_is_not_opp115_is_refused(tmp_path: Path, opp115: Opp115) -> None:
    with pytest.raises(CorpusError, match="no folder annotations"):
        import_opp115(tmp_path)
    opp115.mark("a", 1, "Cookies", NAMES)
    with pytest.raises(CorpusError, match=r"7_heron\.example\.csv:1: .*unknown category 'Cookies'"):
        import_opp115(opp115.save())
    opp115.practices = [["1", "batch", "a", "7", "9", FPC, "{}"]]
    with pytest.raises(CorpusError, match="segment 9 of a policy of 3"):
        import_opp115(opp115.save())
    opp115.practices = [["1", "batch", "a", "7", "0", FPC, "{"]]
    with pytest.raises(CorpusError, match="not a practice"):
        import_opp115(opp115.save())
    opp115.practices = []
    opp115.mark("abcd", 1, FPC, NAMES)
    with pytest.raises(CorpusError, match="4 annotators, not 3"):
        import_opp115(opp115.save())


def test_imported_policies_keep_the_schema(opp115: Opp115, tmp_path: Path) -> None:
    opp115.mark("abc", 1, FPC, NAMES)
    units: tuple[Any, ...] = ("segment", "sentence")
    for unit in units:
        (policy,), _ = import_opp115(opp115.save(), unit=unit)
        write_policy(policy, tmp_path / f"{policy.id}.jsonl")
        assert read_corpus(tmp_path / f"{policy.id}.jsonl") == [policy]


def test_opp115_is_read_whole(shared: Path) -> None:
    policies, report = import_opp115(shared / "opp115", unit="segment")
    found = statistics(policies)
    assert (found["policies"], found["clauses"], found["unlabelled"]) == (85, 2841, 232)
    assert "17,477 practices" in report
    assert '554 practices "Other" of type "Other": dropped' in report
    sentences = statistics(import_opp115(shared / "opp115")[0])
    assert sentences["policies"] == 85
    assert sentences["clauses"] > 3 * found["clauses"]
    assert sentences["unlabelled"] < 0.25 * sentences["clauses"]


def test_segments_of_opp115_have_the_published_labels(shared: Path) -> None:
    ours: dict[str, list[set[str]]] = {}
    for policy in import_opp115(shared / "opp115", unit="segment")[0]:
        for clause in policy.clauses:
            ours.setdefault("".join(filter(str.isalnum, clause.text)), []).append(set(clause.labels))
    agree = Counter(
        any(set(clause.labels) == labels for labels in ours[key])
        for policy in import_mousavi(shared / "opp115/mousavi2020_majority")[0]
        for clause in policy.clauses
        if (key := "".join(filter(str.isalnum, clause.text))) in ours
    )
    assert agree.total() > 2000
    assert agree[True] / agree.total() > 0.995


# Mousavi Nejad et al. 2020 -------------------------------------------------------------------------


@pytest.fixture
def split(tmp_path: Path) -> Any:
    def write(rows: list[list[str]], name: str = "train_dataset.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


def test_rows_of_one_text_are_one_segment(split: Any) -> None:
    path = split([["Names,  kept. ", TPS], ["Other.", IG], ["Names, kept. ", FPC], ["Names, kept. ", TPS]])
    (policy,), report = import_mousavi(path)
    assert policy.id == "mousavi2020-train_dataset"
    assert [(c.text, c.labels) for c in policy.clauses] == [("Names, kept.", (TPS, FPC)), ("Other.", (IG,))]
    assert policy.metadata["unit"] == "segment"
    assert report == ["train_dataset.csv: 2 segments"]


def test_artefacts_of_spreadsheets_are_dropped_and_told(split: Any) -> None:
    policies, report = import_mousavi(split([["#NAME?", FPC], ["Names.", FPC], ["#NAME?", TPS], [" ", FPC]]))
    assert len(policies[0].clauses) == 1
    assert "train_dataset.csv: 2 rows with text '#NAME?': dropped" in report
    assert "train_dataset.csv: 1 rows with text '': dropped" in report


@pytest.mark.parametrize(
    ("row", "message"),
    [(["Names.", "Cookies"], "unknown category 'Cookies'"), (["Names."], "has 1 columns")],
)
def test_a_bad_row_is_named(split: Any, row: list[str], message: str) -> None:
    path = split([["Two\nlines.", FPC], row])
    with pytest.raises(CorpusError, match=message) as caught:
        import_mousavi(path)
    assert (caught.value.where, caught.value.line) == (path, 3)


def test_the_published_split_is_read_whole(shared: Path) -> None:
    policies, report = import_mousavi(shared / "opp115/mousavi2020_majority")
    assert [len(policy.clauses) for policy in policies] == [2184, 550]
    assert "train_dataset.csv: 1 rows with text '#NAME?': dropped" in report


# Any format ----------------------------------------------------------------------------------------


def test_the_format_is_recognised(opp115: Opp115, tsv: Any, split: Any) -> None:
    policies, report = import_corpus([tsv("H\tIG\tHeron\n"), opp115.save(), split([["Names.", FPC]])])
    assert [(p.id, p.metadata["unit"]) for p in policies] == [
        ("07-heron", "clause"),
        ("mousavi2020-train_dataset", "segment"),
        ("opp115-7_heron.example", "sentence"),
    ]
    assert "train_dataset.csv: 1 segments" in report
    assert import_corpus(opp115.root, unit="segment")[0][0].metadata["unit"] == "segment"


def test_a_folder_is_recognised_by_its_files(tsv: Any) -> None:
    assert import_corpus(tsv("H\tIG\tHeron\n").parent) == import_corpus(str(tsv("H\tIG\tHeron\n")))


def test_what_cannot_be_imported_is_refused(tsv: Any, tmp_path: Path) -> None:
    path = tsv("H\tIG\tHeron\n")
    with pytest.raises(CorpusError, match="tsv has no unit 'segment', only clause"):
        import_corpus(path, unit="segment")
    with pytest.raises(CorpusError, match="comes twice"):
        import_corpus([path, path])
    with pytest.raises(CorpusError, match="no such file"):
        import_corpus(tmp_path / "missing")
    with pytest.raises(CorpusError, match="no policies"):
        import_corpus([])
    (tmp_path / "notes.doc").write_bytes(b"x")
    with pytest.raises(CorpusError, match="no known format"):
        import_corpus(tmp_path / "notes.doc")
