"""The dataset card: its figures are those of the corpus, and the same input gives the same bytes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clausemark.agreement import SecondAnnotation
from clausemark.card import LAW_FAMILIES, render_card, write_card
from clausemark.corpus import Policy, digest, laws_of, statistics
from clausemark.errors import InputError
from clausemark.reference import profile
from clausemark.taxonomy import CATEGORIES
from tiny import tiny_policies

ROW = {"top1_accuracy": 0.7, "precision_at_1": 0.75, "micro_f1": 0.6, "macro_f1": 0.5}
POINT = {**ROW, "intervals": {name: [value - 0.1, value + 0.1] for name, value in ROW.items()}}


def corpus() -> list[Policy]:
    facts = (
        {"sector": "banks", "country": "GB", "law": "GDPR, DPA 2018", "year": 2018},
        {"sector": "banks", "country": "US", "law": "COPPA, HIPAA, Law of the Sea", "year": 2009},
        {"sector": "games | apps", "country": "GB", "law": "none", "year": 2021},
        {},
    )
    return [
        replace(policy, metadata={**policy.metadata, **found})
        for policy, found in zip(tiny_policies("train", 4), facts, strict=True)
    ]


def second(policies: list[Policy]) -> list[SecondAnnotation]:
    labels = policies[0].clauses[0].labels
    return [
        SecondAnnotation(policies[0].id, 0, labels, labels),
        SecondAnnotation(policies[0].id, 1, policies[0].clauses[1].labels, ("Do Not Track", CATEGORIES[0])),
    ]


def measured(policies: list[Policy], **changes: Any) -> dict[str, Any]:
    return {
        "corpus": {"digest": digest(policies), "policies": 4, "clauses": 100},
        "reference": {"policies": 2, "sentences": 50, "headings": 60, "segments": 20},
        "joint": [{"policies": size, "clauses": 3000 * size, "headings": POINT} for size in (0, 1)],
        "curve": [
            {"policies": size, "clauses": 25 * size, "sentences": POINT, "headings": POINT, "segments": POINT}
            for size in (2, 4)
        ],
        "profile": profile(tiny_policies("test")),
        "originality": {"n": 9, "clauses": 3, "share": 0.03},
        **changes,
    }


@pytest.fixture(scope="module")
def card() -> str:
    policies = corpus()
    return render_card(policies, second(policies), measured(policies))


def rows(card: str, first: str) -> list[list[str]]:
    """Rows of the tables whose first cell is this."""
    found = (re.split(r"(?<!\\)\|", line)[1:-1] for line in card.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in cells] for cells in found if cells[0].strip() == first]


def test_it_opens_with_front_matter(card: str) -> None:
    front = card.split("---\n")[1]
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(front)
    assert found["license"] == "apache-2.0"
    assert found["language"] == ["en"]
    assert found["task_ids"] == ["multi-label-classification"]
    assert found["size_categories"] == ["n<1K"]
    assert card.startswith("---\n")


def test_it_counts(card: str) -> None:
    assert rows(card, "clauses") == [["clauses", "100"]]
    assert rows(card, "train") == [["train", "4", "100 (100.0 %)"]]
    assert ["Do Not Track", "8", "8"] in rows(card, "Do Not Track")


def test_what_real_policies_add_is_told(card: str) -> None:
    assert "on 1 others of them" in card
    assert any(row[1] == "3,000" for row in rows(card, "1"))


def test_gaps_of_the_coverage_are_dots(card: str) -> None:
    assert rows(card, "sector") == [["sector", "-", "2000s", "2010s", "2020s", "all"]]
    assert rows(card, "banks") == [["banks", "·", "1", "1", "·", "2"]]
    assert rows(card, r"games \| apps") == [[r"games \| apps", "·", "·", "·", "1", "1"]]


def test_laws_are_counted_by_family_once_a_policy(card: str) -> None:
    columns = ["country", *LAW_FAMILIES, "elsewhere", "none", "all"]
    assert rows(card, "country") == [columns]
    assert dict(zip(columns, rows(card, "GB")[0], strict=True)) == {
        **dict.fromkeys(columns, "·"),
        "country": "GB", "GDPR": "1", "national, Europe": "1", "none": "1", "all": "2",
    }  # fmt: skip
    america = dict(zip(columns, rows(card, "US")[0], strict=True))
    assert (america["US federal"], america["elsewhere"], america["all"]) == ("1", "1", "1")


def test_no_law_is_of_two_families() -> None:
    laws = [law for family in LAW_FAMILIES.values() for law in family]
    assert len(laws) == len(set(laws))


def test_agreement_and_curve_are_told(card: str) -> None:
    assert rows(card, "one primary category")[0][1] == "0.500"
    assert "the first reading in 1, the second in 0 and a third in 0" in card
    figures = [
        "0.700",
        "0.60 to 0.80",
        "0.750",
        "0.65 to 0.85",
        "0.600",
        "0.50 to 0.70",
        "0.500",
        "0.40 to 0.60",
    ]
    assert rows(card, "4") == [["4", "100", *figures]] * 3
    assert "3 clauses (3.00 %) share a run of 9 words" in card


def test_figures_of_an_older_corpus_are_called_so(card: str) -> None:
    policies = corpus()
    older = measured(policies, corpus={"digest": "0", "policies": 3, "clauses": 75})
    assert "earlier state" not in card
    assert "earlier state of the corpus: 3 policies, 75 clauses" in render_card(
        policies, second(policies), older
    )


def test_missing_figures_are_named() -> None:
    policies = corpus()
    with pytest.raises(InputError, match="lack 'curve'"):
        render_card(policies, second(policies), measured(policies, curve=[]))


def test_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    policies = corpus()
    arguments = policies, second(policies), measured(policies)
    first = write_card(*arguments, tmp_path / "a" / "README.md")
    again = write_card(*arguments, tmp_path / "b" / "README.md")
    assert [path.name for path in first] == [
        "README.md", "learning_curve_sentences.png", "learning_curve_headings.png",
        "learning_curve_segments.png", "lengths.png", "labels.png",
    ]  # fmt: skip
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    text = first[0].read_text(encoding="utf-8")
    assert all(f"plots/{path.name}" in text for path in first[1:])


def test_without_segments_there_is_one_curve(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    policies = corpus()
    figures = measured(policies, reference={"policies": 2, "sentences": 50, "headings": 60})
    written = write_card(policies, second(policies), figures, tmp_path / "README.md")
    assert "learning_curve_segments.png" not in [path.name for path in written]
    assert "segments of the validation part" not in written[0].read_text(encoding="utf-8")


def test_a_card_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    policies = corpus()
    with pytest.raises(InputError, match="cannot be written"):
        write_card(policies, second(policies), measured(policies), tmp_path)


# What the card and `corpus stats` share ----------------------------------------------------------


def test_statistics_count_single_laws_and_what_meets() -> None:
    found = statistics(corpus())
    laws = found["policies_by"]["law"]
    assert laws == {"-": 1, "COPPA": 1, "DPA 2018": 1, "GDPR": 1, "HIPAA": 1, "Law of the Sea": 1, "none": 1}
    assert found["sector_by_decade"] == {
        "-": {"-": 1}, "banks": {"2000s": 1, "2010s": 1}, "games | apps": {"2020s": 1},
    }  # fmt: skip
    assert found["country_by_law"]["GB"] == {"DPA 2018": 1, "GDPR": 1, "none": 1}


def test_laws_are_parted_by_commas_and_counted_once() -> None:
    assert laws_of(Policy("a", (), {"law": "GDPR,  PECR , GDPR,"})) == ("GDPR", "PECR")
    assert laws_of(Policy("a", (), {})) == ()
