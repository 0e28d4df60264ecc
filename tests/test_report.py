"""The report of a crawl: right sums, few of memory, one page whatever the dataset holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from clausemark import report as module
from clausemark.cli import main
from clausemark.dataset import FORMAT, clause_batch
from clausemark.documents import parse_document
from clausemark.errors import InputError
from clausemark.explain import reasons
from clausemark.page import render_page
from clausemark.predict import LabeledPolicy, Labeler
from clausemark.report import read_crawl, write_report
from clausemark.taxonomy import CODES
from crawls import clauses, document, write_crawl
from tiny import THINGS

SHOP = clauses("shop", [("FPC", "We collect names."), ("FPC TPS", "We share names."), ("IG", "Hello.")])
BANK = clauses("bank", [("DS", "Names are locked away."), ("FPC", "We collect emails.")])
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202eabc\x00"


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """Two policies, a copy, a shop window, and three documents that could not be read."""
    return write_crawl(
        tmp_path / "crawl",
        [[*SHOP, *BANK], [*clauses("copy", [("FPC", "We collect names.")])]],
        [
            document("shop", words=100, title="Shop: privacy"),
            document("bank", words=300, language="", url="https://bank.example/privacy"),
            document("copy", duplicate_of="shop"),
            document("window", is_policy=False, policy_score=0.31),
        ],
        [("a", "read", "is empty"), ("b", "read", "is empty"), ("c", "language", "is not in English")],
    )


def view_of(listed: Any, folder: Path) -> str:
    return (folder / "report" / listed.page).read_text(encoding="utf-8")


# Figures -------------------------------------------------------------------------------------------


def test_clauses_and_policies_are_counted_by_category(crawl: Path) -> None:
    found = read_crawl(crawl)
    assert (found.policies, found.clauses, found.uncertain) == (2, 5, 0)
    assert found.categories[CODES["FPC"]] == {
        "clauses": 3, "primary": 3, "uncertain": 0, "policies": 2, "lacking": 0,
    }  # fmt: skip
    assert found.categories[CODES["TPS"]] == {
        "clauses": 1, "primary": 0, "uncertain": 0, "policies": 1, "lacking": 1,
    }  # fmt: skip
    assert found.categories[CODES["DNT"]]["lacking"] == 2
    assert found.touched == [0, 0, 1, 1, *[0] * 9]


def test_copies_and_what_is_no_policy_count_as_such_only(crawl: Path) -> None:
    found = read_crawl(crawl)
    assert (found.documents, found.duplicates, found.not_policies) == (4, 1, 1)
    assert [(listed.doc, listed.value, listed.title) for listed in found.copied] == [
        ("shop", 1, "Shop: privacy")
    ]
    assert [(listed.doc, listed.note) for listed in found.strays] == [("window", "0.31")]
    assert "copy" not in {listed.doc for kind in found.outliers.values() for listed in kind}
    assert found.languages == {"": 1, "en": 1}
    assert found.words["quartiles"] == [100, 100, 300]
    assert sum(bar[2] for bar in found.words["histogram"]) == 2


def test_errors_are_counted_by_stage_and_message(crawl: Path) -> None:
    found = read_crawl(crawl)
    assert found.failed == 3
    assert [(error.stage, error.count, error.messages) for error in found.errors] == [
        ("read", 2, [("is empty", 2, "a")]),
        ("language", 1, [("is not in English", 1, "c")]),
    ]


@pytest.mark.parametrize("split", [1, 2, 3, 4, 5])
def test_the_figures_are_those_of_the_policies_however_files_and_batches_part_them(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: int
) -> None:
    rows = [*SHOP, *BANK]
    known = [document("shop", words=100), document("bank", words=300, language="")]
    whole = read_crawl(write_crawl(tmp_path / "whole", [rows], known)).to_dict()
    monkeypatch.setattr(module, "_ROWS", 2)
    parted = write_crawl(tmp_path / "parted", [rows[:split], [], rows[split:]], known, row_group=3)
    assert read_crawl(parted).to_dict() == whole
    write_report(parted)
    for listed, own, other in zip(
        read_crawl(parted).outliers["longest"], (SHOP, BANK), (BANK, SHOP), strict=True
    ):
        view = view_of(listed, parted)
        assert all(row["text"] in view for row in own)
        assert not any(row["text"] in view for row in other)


def test_a_clause_is_uncertain_where_the_model_asks_for_a_review(tmp_path: Path) -> None:
    rows = [SHOP[0], SHOP[1] | {"needs_review": True}, SHOP[2] | {"needs_review": None}]
    found = read_crawl(write_crawl(tmp_path, [rows], [document("shop")]))
    assert found.uncertain == 1
    assert found.categories[CODES["TPS"]]["uncertain"] == 1
    assert found.categories[CODES["IG"]]["uncertain"] == 0


def test_outliers_are_the_policies_that_stand_out(tmp_path: Path) -> None:
    usual = [("FPC", "We collect."), ("TPS", "We share."), ("IG", "Hello.")]
    rows = [row for number in range(20) for row in clauses(f"usual-{number:02}", usual * 12)]
    rows += clauses("odd", [("DNT", "Signals."), ("FPC", "We collect."), ("IG", "Hello.")] * 12)
    rows += clauses("unsure", usual * 11, review=True)
    rows += clauses("long", usual * 40)
    rows += clauses("single", [("IG", "Hello.")] * 36)
    rows += clauses("short", [("PC", "Changes.")])
    found = read_crawl(write_crawl(tmp_path, [rows], [])).outliers
    assert found["longest"][0].doc == "long"
    assert found["longest"][0].note == "120 clauses"
    assert found["uncertain"][0].doc == "unsure"
    assert found["uncertain"][0].note == "100 % of 33 clauses"
    assert {listed.doc for listed in found["unlike"][:2]} == {"odd", "single"}
    assert found["silent"][0].doc == "single"
    assert [len(listed) for listed in found.values()] == [8] * 4
    assert "short" not in {listed.doc for kind in ("unlike", "silent") for listed in found[kind]}
    assert [listed.doc for listed in found["longest"][1:3]] == ["odd", "single"], "ties go by name"


# Pages ---------------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_a_link_of_an_outlier_opens_its_reading_view(crawl: Path) -> None:
    index, *views = write_report(crawl)
    assert index == crawl / "report" / "index.html"
    links = {attributes["href"] for tag, attributes in read(index).tags if tag == "a"}
    assert links == {view.name for view in views}
    assert len(views) == 2
    shop = next(view for view in views if "We share names." in view.read_text(encoding="utf-8"))
    assert "Shop: privacy" in shop.read_text(encoding="utf-8")


def test_a_reading_view_keeps_sentences_together_and_paragraphs_and_items_apart(tmp_path: Path) -> None:
    rows = clauses("shop", [("IG", "One."), ("IG", "Two."), ("IG", "Three."), ("IG", "Four.")])
    rows[2] |= {"paragraph": 1}
    rows[3] |= {"paragraph": 1, "start": 2_000_000_000, "end": 2_000_000_005, "kind": "item"}
    _, view = write_report(write_crawl(tmp_path, [rows], [document("shop")]))
    tags = [tag for tag, _ in read(view).tags]
    body = view.read_text(encoding="utf-8")
    assert re.search(r"<p><span[^>]*>One\.</span> <span[^>]*>Two\.</span>\s*</p>", body)
    assert re.search(r"<p><span[^>]*>Three\.</span>\s*</p>", body)
    assert re.search(r"<li><span class=\"marker\">•</span><span[^>]*>Four\.</span>\s*</li>", body)
    assert len(body) < 1_000_000
    assert "main" in tags


POLICY = """Cookies and names

We collect your names when you sign up. We share names with advertisers:
* names of photos
* addresses

You may correct or delete your photos.

Our partners receive photos from us. We keep photos for two years.

After that photos are erased. We  may change what we say.  Welcome, and read on:
1. We use orders to bill you. Firewalls guard orders. Our address is Mill Lane 3! Ask us for a copy.
2. You can opt out.

Our shop
12 Mill Lane
Wales

""" + " ".join(f"We share {thing} of kind {kind} with advertisers." for kind in range(9) for thing in THINGS)


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found.group(1))


@pytest.fixture
def explained(tiny_model: Path, tmp_path: Path) -> tuple[Path, Labeler, LabeledPolicy]:
    """A crawl of one policy, who labeled it, and the policy."""
    labeler = Labeler.load(tiny_model)
    read = parse_document(POLICY, name="shop")
    (labels,) = labeler.label_clauses([(read, labeler.segment(read))])
    policy = labels.policy()
    assert len(policy.clauses) > 80
    rows = clause_batch([labels]).to_pylist()
    folder = write_crawl(tmp_path / "crawl", [rows], [document("shop")], model=labeler.model.digest)
    return folder, labeler, policy


def test_a_reading_view_has_reasons_for_every_clause_and_what_that_of_label_has(
    explained: tuple[Path, Labeler, LabeledPolicy], tiny_model: Path
) -> None:
    folder, labeler, policy = explained
    with pytest.raises(SystemExit) as stop:
        main(["report", str(folder), "--model", str(tiny_model)])
    assert not stop.value.code
    view = view_of(read_crawl(folder).outliers["longest"][0], folder)
    page = render_page(policy, thresholds=labeler.thresholds, explanations=reasons(labeler, policy))
    assert data_of(view) == data_of(page)
    assert sorted(map(int, data_of(view)["explanations"])) == list(range(len(policy.clauses)))
    marks = r'<span id="c.*?</span>'
    assert re.findall(marks, view, re.S) == re.findall(marks, page, re.S)


def test_another_model_explains_nothing(
    explained: tuple[Path, Labeler, LabeledPolicy], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = explained[0]
    with pytest.raises(SystemExit) as stop:
        main(["report", str(folder)])
    assert not stop.value.code
    assert "--model" in capsys.readouterr().err
    data = data_of(view_of(read_crawl(folder).outliers["longest"][0], folder))
    assert (data["thresholds"], data["explanations"]) == (None, {})


def test_folders_of_a_machine_are_not_shown(tmp_path: Path) -> None:
    rows = [row | {"doc": "/home/somebody/crawl/shop.html"} for row in SHOP]
    known = [document("/home/somebody/crawl/shop.html")]
    for path in write_report(write_crawl(tmp_path, [rows], known)):
        text = path.read_text(encoding="utf-8")
        assert "shop.html" in text
        assert "somebody" not in text


@pytest.mark.parametrize(("complete", "said"), [(False, True), (True, False), (None, False)])
def test_a_batch_that_was_stopped_is_said_to_be(crawl: Path, complete: bool | None, said: bool) -> None:
    (crawl / "manifest.json").write_text(
        json.dumps({"format": FORMAT, "complete": complete}), encoding="utf-8"
    )
    page = write_report(crawl)[0].read_text(encoding="utf-8")
    assert ("stopped before its end" in page) is said


def test_without_text_nothing_is_linked(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path, [SHOP], [document("shop")], without=["text"])
    (index,) = write_report(folder)
    found = read(index)
    assert not [tag for tag, _ in found.tags if tag == "a"]
    assert "--no-text" in "".join(found.text)


def test_hostile_strings_show_as_text_and_fetch_nothing(tmp_path: Path) -> None:
    rows = [row | {"doc": HOSTILE, "heading": HOSTILE, "text": HOSTILE} for row in SHOP]
    folder = write_crawl(
        tmp_path,
        [rows],
        [
            document(HOSTILE, title=HOSTILE, language=HOSTILE, url="javascript:alert(1)"),
            document("copy", duplicate_of=HOSTILE),
            document("x" * 5_000, title="w" * 10_000, is_policy=False),
        ],
        [(HOSTILE, HOSTILE, HOSTILE)],
    )
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, "model": HOSTILE}), encoding="utf-8")
    index, view = write_report(folder)
    for path in (index, view):
        found = read(path)
        text = "".join(found.text)
        assert "<script>alert(1)</script>" in text
        assert "{{ 7 * 7 }}" in text
        assert "\u202e" not in text
        assert not [tag for tag, _ in found.tags if tag == "img"]
        assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
        (policy,) = (a["content"] for _, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert "default-src 'none'" in (policy or "")
    assert "script-src 'none'" in index.read_text(encoding="utf-8")
    assert "<script" not in index.read_text(encoding="utf-8").replace("&lt;", "")
    assert {a["href"] for tag, a in read(index).tags if tag == "a"} == {view.name}
    assert len(index.read_text(encoding="utf-8")) < 60_000


def test_charts_are_told_in_words_and_their_numbers_stand_beside(crawl: Path) -> None:
    found = read(write_report(crawl)[0])
    pictures = [a for tag, a in found.tags if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) == 3
    ids = {a["id"] for _, a in found.tags if "id" in a}
    assert all(set((a["aria-labelledby"] or "").split()) <= ids for a in pictures)
    assert all("role" in a or a.get("aria-hidden") == "true" for tag, a in found.tags if tag == "svg")
    assert [tag for tag, _ in found.tags].count("details") == 3


def test_the_same_dataset_gives_the_same_pages(crawl: Path, tmp_path: Path) -> None:
    first, second = write_report(crawl, tmp_path / "a"), write_report(crawl, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


# Datasets that are not as they should be -----------------------------------------------------------


def test_an_empty_dataset_gives_a_page_that_says_so(tmp_path: Path) -> None:
    for folder in (
        write_crawl(tmp_path / "rows", [[]], []),
        write_crawl(tmp_path / "errors", [], [], [("a", "read", "is empty")]),
    ):
        (index,) = write_report(folder)
        assert "No policy" in index.read_text(encoding="utf-8")
        assert read_crawl(folder).policies == 0


def test_a_folder_without_a_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clausemark batch"):
        read_crawl(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_crawl(tmp_path / "nowhere")


@pytest.mark.parametrize("column", ["doc", "labels", "needs_review"])
def test_a_missing_column_is_named_with_its_file(tmp_path: Path, column: str) -> None:
    folder = write_crawl(tmp_path, [SHOP], [document("shop")], without=[column])
    with pytest.raises(InputError, match=rf"part-00000\.parquet: has no column '{re.escape(column)}'"):
        read_crawl(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"primary": "Cookies"}, "'Cookies' is none of the twelve categories"),
        ({"labels": ["Cookies"]}, "'Cookies' is none of the twelve categories"),
        ({"primary": None}, "null is none of the twelve categories"),
    ],
)
def test_unknown_categories_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_crawl(write_crawl(tmp_path, [[SHOP[0] | change]], [document("shop")]))


def test_what_is_not_known_of_a_clause_or_document_is_borne(tmp_path: Path) -> None:
    row = SHOP[0] | {
        "labels": None,
        "paragraph": None,
        "start": None,
        "end": None,
        "heading": None,
        "text": None,
    }
    row |= {CODES["DNT"]: None}
    nothing = dict.fromkeys(document(""), None) | {"source": "shop"}
    folder = write_crawl(tmp_path, [[row]], [nothing])
    assert read_crawl(folder).categories[CODES["FPC"]]["clauses"] == 1
    assert len(write_report(folder)) == 2


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"PAR1\x00\x00PAR1"])
@pytest.mark.parametrize("table", ["clauses", "documents", "errors"])
def test_a_broken_file_is_named(crawl: Path, table: str, content: bytes) -> None:
    (crawl / table / "part-00000.parquet").write_bytes(content)
    with pytest.raises(InputError, match=rf"{table}.part-00000\.parquet: cannot be read as Parquet"):
        read_crawl(crawl)


def test_a_file_that_was_cut_within_is_named(crawl: Path) -> None:
    path = crawl / "clauses" / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"part-00000\.parquet: cannot be read as Parquet"):
        read_crawl(crawl)


def test_columns_of_another_type_are_refused_in_one_line(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path, [SHOP], [document("shop")])
    path = folder / "clauses" / "part-00000.parquet"
    table = module.pq.read_table(path)
    strange = table.set_column(table.schema.get_field_index("labels"), "labels", pa.array([1.5] * len(SHOP)))
    module.pq.write_table(strange, path)
    with pytest.raises(InputError, match="cannot be read as Parquet") as caught:
        read_crawl(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[", "[]", "{}", '{"format": 1}', '{"format": "other/1"}', "\xff"])
def test_a_broken_manifest_is_named(crawl: Path, content: str) -> None:
    (crawl / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"manifest\.json: is no manifest of a batch"):
        read_crawl(crawl)


def test_a_dataset_of_an_older_clausemark_is_to_be_made_again(crawl: Path) -> None:
    (crawl / "manifest.json").write_text('{"format": "clausemark-batch/1"}')
    for read in (read_crawl, write_report):
        with pytest.raises(InputError, match=r"clausemark-batch/1.*run clausemark batch again") as caught:
            read(crawl)
        assert "\n" not in str(caught.value)


def test_a_reading_view_asks_for_the_paragraphs(tmp_path: Path) -> None:
    folder = write_crawl(tmp_path, [SHOP], [document("shop")], without=["paragraph"])
    with pytest.raises(InputError, match=r"no column 'paragraph': run clausemark batch again"):
        write_report(folder)


# The command ---------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["report", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def test_the_command_writes_the_page_or_prints_json(crawl: Path, tmp_path: Path, run: Any) -> None:
    code, out, err = run(crawl, "--out", tmp_path / "pages")
    assert (code, out) == (0, ""), err
    assert f"wrote {tmp_path / 'pages' / 'index.html'} and 2 reading views" in err
    code, out, _ = run(crawl, "--json")
    assert json.loads(out) == json.loads(json.dumps(read_crawl(crawl).to_dict()))
    assert not (crawl / "report").exists()


def test_what_is_wrong_is_one_line_and_exit_code_2(tmp_path: Path, run: Any) -> None:
    code, out, err = run(tmp_path)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"clausemark: {tmp_path}: holds neither")
