"""The scorecard of a model: its evaluation as a page and as Markdown."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clausemark import Labeler
from clausemark.cli import main
from clausemark.corpus import AnnotatedClause
from clausemark.documents import parse_document
from clausemark.errors import InputError
from clausemark.evaluation import confusions, evaluate, predictions
from clausemark.explain import explain
from clausemark.scorecard import acquaintance, render_scorecard, top_terms, write_scorecard
from clausemark.taxonomy import CATEGORIES, CODES
from tiny import BLIND, tiny_model, tiny_policies, write_tiny_corpus

ROOT = Path(__file__).parents[1]
FIGURES = {"top1_accuracy": 0.5, "micro_f1": 0.55, "macro_f1": 0.45}
MEASURED = {
    "curve": [
        {
            "policies": size,
            "clauses": 90 * size,
            "sentences": {k: v + size / 1000 for k, v in FIGURES.items()},
        }
        for size in (25, 50, 123)
    ]
}


@pytest.fixture(scope="module")
def labeler(tiny_model: Path) -> Labeler:
    return Labeler.load(tiny_model)


@pytest.fixture(scope="module")
def written(labeler: Labeler, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Markdown and page of the tiny model."""
    folder = tmp_path_factory.mktemp("scorecard")
    (folder / "plots").mkdir()
    (folder / "plots" / "calibration.png").write_bytes(b"")
    markdown, page = write_scorecard(
        labeler, tiny_policies("test"), folder / "out" / "reports", how="which it has not seen",
        plots=folder / "plots", measured=MEASURED,
    )  # fmt: skip
    return markdown.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<body")[2]).replace("\u200b", "").split())


def test_it_has_the_figures_of_evaluate_with_their_intervals(
    labeler: Labeler, written: tuple[str, str]
) -> None:
    result = evaluate(predictions(labeler, tiny_policies("test")))
    markdown, page = written
    low, high = result.intervals["micro_f1"]
    assert f"| micro F1 | {result.figures['micro_f1']:.3f} | [{low:.3f}, {high:.3f}] |" in markdown
    assert f"{low:.3f} to {high:.3f}" in page
    for name in CATEGORIES:
        row, (low, high) = result.per_label[name], result.label_intervals[name]
        assert f"| {name} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} |" in markdown
        assert f"{name} {row['precision']:.3f} {row['recall']:.3f} {row['f1']:.3f}" in text_of(page)
        assert f"[{low:.3f}, {high:.3f}] | {row['support']} |" in markdown
    assert "which it has not seen" in markdown
    assert "which it has not seen" in page


def test_the_markdown_shows_the_pictures_and_the_page_draws_its_own(written: tuple[str, str]) -> None:
    markdown, page = written
    assert "![calibration](../../plots/calibration.png)" in markdown
    assert "<img" not in page
    assert page.count('role="img"') == 3


def test_tables_of_the_markdown_are_tables(written: tuple[str, str]) -> None:
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    shown = markdown.render(written[0])
    assert shown.count("<table>") == written[0].count("\n|---")
    assert "|" not in re.sub(r"<[^>]+>", "", shown)


def test_the_learning_curve_is_shown_where_it_was_measured(
    labeler: Labeler, written: tuple[str, str], tmp_path: Path
) -> None:
    assert "| 123 | 0.623 | 0.673 | 0.573 |" in written[0]
    assert "Learning curve: sentences of OPP-115" in written[1]
    assert "segments" not in written[1]
    _, page = write_scorecard(labeler, tiny_policies("test"), tmp_path)
    assert "Learning curve" not in page.read_text(encoding="utf-8")


def test_mistakes_are_shown_with_the_clauses_that_were_mistaken(tmp_path: Path) -> None:
    tiny_model(tmp_path / "blind", tiny_policies("train"), **BLIND)
    labeler = Labeler.load(tmp_path / "blind")
    found = predictions(labeler, tiny_policies("test"))
    hostile = '<script>alert("|")</script>'
    found = replace(found, texts=[hostile] * len(found.texts))
    page = render_scorecard(labeler.model, found, evaluate(found))
    mistake = confusions(found, 1)[0]
    assert f"{mistake.annotated} taken for" in text_of(page)
    assert mistake.examples[0][0] in page
    assert hostile not in page
    assert "&lt;script&gt;" in page
    assert "script-src 'none'" in page
    assert "The words that speak for a category" not in page, "it looks at no words"


def test_the_words_that_speak_for_a_category_are_those_it_alone_has(labeler: Labeler) -> None:
    terms = top_terms(labeler.model, 8)
    assert list(terms) == list(CATEGORIES)
    assert {"advertisers", "share"} & {term for term, _ in terms[CODES["TPS"]]}
    assert "encryption" in {term for term, _ in terms[CODES["DS"]]}
    for words in terms.values():
        weights = [weight for _, weight in words]
        assert len(words) <= 8
        assert weights == sorted(weights, reverse=True)
        assert min(weights) > 0


def test_a_weight_is_what_one_unit_of_a_word_adds_to_the_score_of_a_clause_in_context(
    labeler: Labeler,
) -> None:
    document = parse_document("Welcome, and read on.\n\nEncryption protects your photos.", media="text")
    contributions = explain(labeler, document, 1, "DS").contributions
    added = next(c.value for c in contributions if (c.block, c.term) == ("words", "encryption"))
    _, indices, data = labeler.scorer.features(["Encryption protects your photos."])
    term = labeler.model.blocks["words"].terms.index("encryption")
    (value,) = data[indices == term]
    assert dict(top_terms(labeler.model, 8)[CODES["DS"]])["encryption"] == pytest.approx(
        added / value, rel=1e-4
    )


def test_it_is_said_whether_the_model_has_seen_what_it_is_measured_on(tmp_path: Path) -> None:
    train, test = tiny_policies("train", 3), tiny_policies("test", 2)
    corpus = [*train, *test]
    tiny_model(tmp_path / "some", train)
    tiny_model(tmp_path / "all", corpus)
    some, everything = (Labeler.load(tmp_path / name).model.info for name in ("some", "all"))
    assert acquaintance(some, corpus, test) == "which it has not seen"
    assert "flatter" in acquaintance(everything, corpus, test)
    assert "flatter" in acquaintance(some, corpus, train)
    assert "may have" in acquaintance(some, corpus[1:], test)


def test_a_category_that_does_not_occur_has_no_figures(labeler: Labeler, tmp_path: Path) -> None:
    (policy,) = tiny_policies("test", 1)
    kept = tuple(clause for clause in policy.clauses if clause.labels[0] != CODES["DNT"])
    markdown, page = write_scorecard(labeler, [replace(policy, clauses=kept)], tmp_path)
    assert "Do Not Track – – – –" in text_of(page.read_text(encoding="utf-8"))
    assert "nan" not in markdown.read_text(encoding="utf-8")


def test_a_mistake_is_shown_by_an_example_on_one_line_of_its_table(labeler: Labeler, tmp_path: Path) -> None:
    (policy, *_) = tiny_policies("test")
    said = "We share <b>names</b> | orders\u202e with\nadvertisers."
    wrong = AnnotatedClause(said, "sentence", 99, (CODES["DNT"],))
    markdown, page = write_scorecard(labeler, [replace(policy, clauses=(*policy.clauses, wrong))], tmp_path)
    shown = html.escape("We share <b>names</b> | orders\ufffd with advertisers.")
    row = "| Do Not Track | Third Party Sharing/Collection | 1 |"
    (line,) = (x for x in markdown.read_text(encoding="utf-8").splitlines() if x.startswith(row))
    assert line.endswith("| {} |".format(shown.replace("|", "\\|")))
    assert shown in page.read_text(encoding="utf-8")


def test_the_same_model_gives_the_same_bytes(labeler: Labeler, tmp_path: Path) -> None:
    first, second = (write_scorecard(labeler, tiny_policies("test"), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_folder_that_cannot_be_made_is_named(labeler: Labeler, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.reports: cannot be written"):
        write_scorecard(labeler, tiny_policies("test"), tmp_path / "file" / "reports")


def test_the_command_writes_both(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_tiny_corpus(tmp_path / "corpus")
    arguments = ["card", "--model", tiny_model, "--corpus", corpus, "--out", tmp_path / "reports"]
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments), "--measured", str(ROOT / "data" / "measured.json")])
    assert not stop.value.code, capsys.readouterr().err
    assert "which it has not seen" in (tmp_path / "reports" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_the_page_fits_its_window_and_an_accessibility_scan_finds_nothing(
    open_tab: Any, scan: Any, written: tuple[str, str], tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "index.html"
    file.write_text(written[1], encoding="utf-8")
    tab = open_tab(file, width, scheme)
    for summary in tab.locator("summary").all():
        summary.click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    scan(tab)
