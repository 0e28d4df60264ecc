"""Clauses: what holds for any text, and how sentences, lists and headings are told apart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import escape
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clausemark import clauses as module
from clausemark.clauses import MAX_CHARS, Clause, contexts, segment, split_sentences
from clausemark.documents import Document, parse_document
from clausemark.documents.lines import BULLETS
from clausemark.errors import InputError
from clausemark.stops import find_stops

# What clauses need not hold: white space, and the marks that open list items.
BULLET = r"[•◦▪▫‣⁃●○■□◆◇➢➤►▶✓✔❖·∙*+–—‐‑−-]|o(?=\s)"
ENUMERATOR = r"\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)](?=\s)|\(\d{1,3}\)(?=\s)"
GAP = re.compile(rf"(?:\s|{BULLET}|{ENUMERATOR})*")

WORDS = (
    "we", "We", "You", "share", "your", "data", "with", "Acme", "Inc.", "e.g.", "U.S.", "Art.", "6", "No.",
    "5", "3.5", "J.", "etc.", "privacy@example.com", "https://example.com/a.b?c=d.", "PRIVACY", "Über",
    "数据", "🍪", "cookies;", "and", "or,", "names,", "following:", "why?", "yes!", "end.", "“end.”", "(a)",
    "…", "....",
    "w" * 80, "a.b.c", "\u00a0", "\u200b", "e\u0301", "<b>", "&", "|", "=", "_", "\\",
)  # fmt: skip
MARKS = (
    "• ",
    "- ",
    "* ",
    "– ",
    "o ",
    "1. ",
    "2) ",
    "(a) ",
    "iv) ",
    "B. ",
    "(12) ",
    "•",
    "-",
    "1.",
    "====",
    "",
)
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
BREAKS = (
    "\n",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    "\x85",
    " ",
    "\t",
    " \n ",
)


@st.composite
def policy_texts(draw: st.DrawFn) -> str:
    """Text as policies have it: marked lines of words, punctuation and odd line breaks."""
    lines = draw(
        st.lists(
            st.tuples(
                st.sampled_from(MARKS),
                st.lists(st.sampled_from(WORDS) | st.text(CHARACTERS, max_size=5), max_size=12),
                st.sampled_from(BREAKS),
            ),
            max_size=14,
        )
    )
    return "".join(mark + " ".join(words) + after for mark, words, after in lines)


def check_contract(document: Document, clauses: list[Clause]) -> None:
    text, position = document.text, 0
    for clause in clauses:
        assert text[clause.start : clause.end] == clause.text
        assert clause.text
        assert clause.text == clause.text.strip()
        assert clause.start >= position
        assert GAP.fullmatch(text[position : clause.start]), text[position : clause.start]
        assert len(clause.text) <= MAX_CHARS
        position = clause.end
    assert GAP.fullmatch(text[position:]), text[position:]
    assert [c.paragraph for c in clauses] == sorted(c.paragraph for c in clauses)


def check_contexts(clauses: list[Clause]) -> None:
    found = contexts(clauses)
    assert len(found) == len(clauses)
    for i, (clause, context) in enumerate(zip(clauses, found, strict=True)):
        assert -1 <= context.section < i
        assert -1 <= context.heading < i
        assert -1 <= context.lead_in < i
        assert context.heading < 0 or clauses[context.heading].kind == "heading"
        assert context.lead_in < 0 or (clauses[context.lead_in].kind, clause.kind) == ("sentence", "item")
        assert context.previous == i - 1
        assert context.next == (i + 1 if i + 1 < len(clauses) else -1)
        assert context.first <= i <= context.last < len(clauses)
        assert {clauses[k].paragraph for k in range(context.first, context.last + 1)} == {clause.paragraph}


def read(text: str, media: str = "text") -> tuple[Document, list[Clause]]:
    document = parse_document(text, media=media)  # type: ignore[arg-type]
    return document, segment(document)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policy_texts())
@example("We share:\n•\nnames\n1.\nScope\n")
@example("x" * (MAX_CHARS + 1) + ". " + "y " * MAX_CHARS)
@example("a.\u2028 b. \x1c c")
@example("• \x85• \x85• we\x85")
def test_plain_text_keeps_the_contract(text: str) -> None:
    try:
        document, clauses = read(text)
    except InputError:
        assert GAP.fullmatch(text)
        return
    assert document.text == text
    check_contract(document, clauses)
    check_contexts(clauses)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_any_text_keeps_the_contract(text: str) -> None:
    try:
        document, clauses = read(text)
    except InputError:
        return  # empty, or control characters
    assert document.text == text
    check_contract(document, clauses)


TAGS = ("p", "li", "ul", "h2", "div", "td", "tr", "table", "b", "a", "span", "nav", "dt", "dd", "pre", "ol")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            policy_texts().map(escape),
            st.sampled_from([f"<{end}{tag}>" for tag in TAGS for end in ("", "/")] + ["<br>", "<a href=x>"]),
        ),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_pages_keep_the_contract(page: str) -> None:
    try:
        document, clauses = read(page, "html")
    except InputError:
        return  # no text, or control characters
    check_contract(document, clauses)
    check_contexts(clauses)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policy_texts())
def test_markdown_keeps_the_contract(text: str) -> None:
    try:
        document, clauses = read(text, "markdown")
    except InputError:
        return
    check_contract(document, clauses)


def test_a_clause_that_comes_alone_has_no_context() -> None:
    (context,) = contexts(segment("We collect names."))
    assert (context.heading, context.section, context.lead_in, context.previous, context.next) == (-1,) * 5
    assert (context.first, context.last) == (0, 0)
    assert contexts([]) == []
    assert segment(" \n ") == []


# Sentences ---------------------------------------------------------------------------------------


def texts(source: str, media: str = "text") -> list[str]:
    return [" ".join(clause.text.split()) for clause in read(source, media)[1]]


def outline(source: str, media: str = "text") -> list[str]:
    """Clauses as "H heading", "S sentence", "I item"."""
    return [f"{c.kind[0].upper()} {' '.join(c.text.split())}" for c in read(source, media)[1]]


@pytest.mark.parametrize(
    "sentence",
    [
        "We share data, e.g. your name, i.e. what you told us.",
        "We share it with Acme Inc. and Foo Ltd. for billing.",
        "We share it with Acme Inc. Legal Department.",
        "We process it under Art. 6 GDPR and Sec. 5 of the Act.",
        "See No. 5 and Vol. 2 for more.",
        "We are in the U.S. and the U.K. only.",
        "Ask J. R. Smith or Dr. Jones about it.",
        "It costs 3.5 percent, or $1.50 a month.",
        "Go to https://example.com/a.b?c=d.e for details.",
        "Write to privacy.team@example.co.uk about it.",
        "We ask for your name (first, last, etc.) when you join.",
        "We use Yahoo! and other tools.",
        "Call us from 9 a.m. to 5 p.m. on weekdays.",
    ],
)
def test_these_stops_end_no_sentence(sentence: str) -> None:
    assert texts(f"{sentence} We mean it.") == [sentence, "We mean it."]


@pytest.mark.parametrize(
    "first",
    [
        "We are in the U.S.",
        "The seller is Acme Inc.",
        "We keep names, addresses, etc.",
        "Do we sell data?",
        "We never sell data!",
        "It says “never.”",
        "(This is an aside.)",
        "Visit www.example.com.",
        "We keep it for 10 years.",
        "Most browsers accept cookies.",
    ],
)
def test_these_stops_end_a_sentence(first: str) -> None:
    assert texts(f"{first} We keep no other data.") == [first, "We keep no other data."]


ENDS = ("data.", "viii.", "Approx.", "approx.", "gmbh.", "GmbH.", "The", "Acme")


@settings(deadline=None)
@given(st.lists(st.sampled_from((*WORDS, *ENDS)), max_size=30))
def test_the_short_way_to_sure_stops_gives_the_same_sentences(words: list[str]) -> None:
    text = " ".join(words)
    short = find_stops(text)
    long = short._replace(sure=[0] * len(short.sure))
    found = module._sentences(text, 0, len(text), short)
    assert module._sentences(text, 0, len(text), long) == found
    assert split_sentences(f"No. {text} No", 4, 4 + len(text)) == [
        (start + 4, end + 4) for start, end in found
    ]


@settings(deadline=None)
@given(policy_texts() | st.text(st.sampled_from('a. !?…"”)\n\u2028\u00a0•\x1cB')))
def test_stops_and_bullets_are_those_that_white_space_is_next_to(text: str) -> None:
    stops = find_stops(text)
    expected = [m.span() for m in re.finditer(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)", text)]
    assert list(zip(stops.begins, stops.ends, strict=True))[:-1] == expected
    assert stops.bullets[:-1] == [m.end() - 1 for m in re.finditer(rf"\s[{BULLETS}]", text)]
    assert len(stops.sure) == len(expected)


def test_text_without_capitals_has_sentences_too() -> None:
    assert texts("we are small. we collect names, e.g. yours.") == [
        "we are small.",
        "we collect names, e.g. yours.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "Legal requests: We may disclose data to courts.",
        "Legal requests. We may disclose data to courts.",
        "1. We may disclose data to courts.",
        "2.1 Legal Requests. We may disclose data to courts.",
    ],
)
def test_a_run_in_heading_stays_with_its_sentence(sentence: str) -> None:
    assert outline(f"{sentence} We tell you.") == [f"S {sentence}", "S We tell you."]


def test_bold_at_the_start_of_a_paragraph_is_a_run_in_heading() -> None:
    page = (
        "<p><b>What we do with your data when courts ask.</b> We may disclose it. We tell you.</p><p>Bye.</p>"
    )
    assert texts(page, "html")[0] == "What we do with your data when courts ask. We may disclose it."


def test_a_sentence_without_end_is_cut_at_spaces() -> None:
    clauses = segment("word " * 5_000)
    assert len(clauses) > 1
    assert all(MAX_CHARS - 10 < len(c.text) <= MAX_CHARS for c in clauses[:-1])
    assert " ".join(c.text for c in clauses) == ("word " * 5_000).strip()


def test_a_word_without_end_is_cut_too() -> None:
    assert [len(c.text) for c in segment("w" * (2 * MAX_CHARS + 7))] == [MAX_CHARS, MAX_CHARS, 7]


# Headings ----------------------------------------------------------------------------------------


def test_headings_of_plain_text() -> None:
    text = (
        "PRIVACY POLICY\n==============\n\nWe value it.\n\n1. WHO WE ARE\nWe are Acme.\n\n"
        "What do we collect?\n\nWe collect names.\n"
    )
    assert outline(text) == [
        "H PRIVACY POLICY ==============",
        "S We value it.",
        "H 1. WHO WE ARE",
        "S We are Acme.",
        "H What do we collect?",
        "S We collect names.",
    ]


def test_rules_belong_to_what_stands_above_them() -> None:
    text = (
        "We share:\n\t•\tnames\n\t2)\tCookies\n\nHOW WE SHARE\n------------\n"
        "We share with care. We do.\n\n*   *   *\nCONTACT US\n==========\nWrite to us.\n---\n"
    )
    assert outline(text) == [
        "S We share:",
        "I names",
        "I Cookies",
        "H HOW WE SHARE ------------",
        "S We share with care.",
        "S We do. * * *",
        "H CONTACT US ==========",
        "S Write to us. ---",
    ]


def test_a_numbered_title_near_a_list_goes_on_with_it_and_one_apart_does_not() -> None:
    listed = "We share:\n\n• names\n• addresses\n"
    assert outline(f"{listed}3. Cookies\n\nWe care.")[-2:] == ["I Cookies", "S We care."]
    assert outline(f"{listed}\n3. Cookies\n\nWe care.")[-2:] == ["H 3. Cookies", "S We care."]


def test_clauses_know_their_heading_and_its_section() -> None:
    _, clauses = read(
        "<h1>Notice</h1><h2>Sharing</h2><p>We share names.</p><h2>Use</h2><p>We use names.</p>", "html"
    )
    found = {c.text: x for c, x in zip(clauses, contexts(clauses), strict=True)}
    assert clauses[found["We share names."].heading].text == "Sharing"
    assert clauses[found["We share names."].section].text == "Notice"
    assert clauses[found["We use names."].heading].text == "Use"
    assert found["Notice"].heading == -1


def test_addresses_are_no_headings() -> None:
    address = "Acme Holdings\n235 Second Street\nSan Francisco, CA 94105"
    text = f"Contact\n\nYou can write to us.\n\n{address}\n\nWe answer."
    assert [line for line in outline(text) if line.startswith("H")] == ["H Contact"]


def test_rows_of_titles_are_a_menu_not_headings() -> None:
    found = outline("Home\nProducts\nSupport\nAbout\nPrivacy Policy\nWe collect names when you join.")
    assert [line for line in found if line.startswith("H")] == ["H Privacy Policy"]


# Lists -------------------------------------------------------------------------------------------

ITEMS = ["S We share data with:", "I advertisers;", "I partners; and", "I others."]


@pytest.mark.parametrize(
    "text",
    [
        "We share data with:\n• advertisers;\n• partners; and\n• others.\n",
        "We share data with:\n\n- advertisers;\n\n- partners; and\n\n- others.\n",
        "We share data with:\n1. advertisers;\n2. partners; and\n3. others.\n",
        "We share data with:\r\n(a) advertisers;\r\n(b) partners; and\r\n(c) others.\r\n",
        "We share data with:\ni) advertisers;\nii) partners; and\niii) others.\n",
        "We share data with:\nadvertisers;\npartners; and\nothers.\n",
        "We share data with:\n\nadvertisers;\n\npartners; and\n\nothers.\n",
        "We share data with:\n•\nadvertisers;\n•\npartners; and\n•\nothers.\n",
        "We share data with: • advertisers; • partners; and • others.\n",
    ],
)
def test_lists_in_plain_text(text: str) -> None:
    _, clauses = read(f"{text}\nWe keep data.")
    assert [f"{c.kind[0].upper()} {c.text}" for c in clauses] == [*ITEMS, "S We keep data."]
    assert [context.lead_in for context in contexts(clauses)] == [-1, 0, 0, 0, -1]
    assert [clause.paragraph for clause in clauses] == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "page",
    [
        "<p>We share data with:</p><ul><li>advertisers;<li>partners; and<li>others.</ul>",
        "<p><b>We share data with:</b></p><ol><li><p>advertisers;<li><p>partners; and<li>others.</ol>",
        "<p>We share data with:</p><p>• advertisers;</p><p>• partners; and</p><p>• others.</p>",
        "<p>We share data with:<br>- advertisers;<br>- partners; and<br>- others.</p>",
        "<div>We share data with:</div><ul><li>• advertisers;<li>• partners; and<li>• others.</ul>",
    ],
)
def test_lists_in_pages(page: str) -> None:
    _, clauses = read(f"<body>{page}<p>We keep data.</p>", "html")
    assert [f"{c.kind[0].upper()} {c.text}" for c in clauses] == [*ITEMS, "S We keep data."]
    assert [context.lead_in for context in contexts(clauses)] == [-1, 0, 0, 0, -1]
    assert [clause.paragraph for clause in clauses] == [0, 0, 0, 0, 1]


def test_short_lines_under_a_lead_in_are_its_items() -> None:
    text = "We collect the following:\nName\nPostal address\nPhone number\n\nHow we use it\n\nWe use it well."
    assert outline(text) == [
        "S We collect the following:",
        "I Name",
        "I Postal address",
        "I Phone number",
        "H How we use it",
        "S We use it well.",
    ]


def test_items_of_a_nested_list_come_one_by_one() -> None:
    page = "<p>We collect:</p><ul><li>contact data:<ul><li>name<li>phone</ul><li>cookies</ul>"
    assert outline(page, "html") == ["S We collect:", "I contact data:", "I name", "I phone", "I cookies"]


def test_numbered_sections_are_no_items_even_where_a_page_marks_them_so() -> None:
    prose = "We collect what you tell us when you join, and we keep it safe. " * 4
    page = f"<ol><li>Collection<p>{prose}<p>{prose}</li><li>Security<p>{prose}<p>{prose}</ol>"
    found = outline(page, "html")
    assert [line for line in found if line.startswith("H")] == ["H Collection", "H Security"]
    assert not [line for line in found if line.startswith("I")]


def test_a_list_of_many_items_is_several_paragraphs_with_one_lead_in() -> None:
    clauses = segment("We collect:\n" + "- names\n" * 200)
    around = contexts(clauses)
    assert {context.lead_in for context in around[1:]} == {0}
    assert max(context.last - context.first for context in around) < 50


# Layout ------------------------------------------------------------------------------------------


def test_wrapped_lines_are_one_paragraph() -> None:
    text = (
        "We collect the personal information that you give to us when you open an\n"
        "account, when you place an order, or when you write to our support team,\n"
        "Acme Care. We also collect the pages that you look at. None of this is\n"
        "sold to anybody.\n\nWe share data with:\n\n"
        "  * companies that deliver parcels for us and need your address so that\n"
        "    they can find you, and\n"
        "  * banks.\n\nTHE END OF IT\n\n"
        "We keep everything for as long as the law tells us to keep it, and\nnot longer.\n"
    )
    for source in (text, text.replace("\n", "\r\n")):
        assert [line[:32] for line in outline(source)] == [
            "S We collect the personal inform",
            "S We also collect the pages that",
            "S None of this is sold to anybod",
            "S We share data with:",
            "I companies that deliver parcels",
            "I banks.",
            "H THE END OF IT",
            "S We keep everything for as long",
        ]


def test_lines_that_are_paragraphs_stay_apart() -> None:
    text = (
        "We collect names and addresses of those who join.\nWe sell nothing to anybody at all.\nBye for now."
    )
    assert len({clause.paragraph for clause in segment(text)}) == 3


def test_markdown() -> None:
    text = (
        "# Privacy\n\nWe *collect*:\n\n* name\n* `address`\n\n## Why\n\n"
        "| What | Why |\n|---|---|\n| Name | To bill |\n\n1. First we ask.\n2. Then we keep.\n"
    )
    assert outline(text, "markdown") == [
        "H Privacy",
        "S We collect:",
        "I name",
        "I address",
        "H Why",
        "I What | Why",
        "I Name | To bill",
        "I First we ask.",
        "I Then we keep.",
    ]


# Time --------------------------------------------------------------------------------------------


def seconds(run: Callable[[], object]) -> float:
    """Shortest processor time of two runs."""
    found = []
    for _ in range(2):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


@pytest.mark.parametrize(
    ("media", "make"),
    [
        pytest.param("text", lambda n: "a." * 20 * n, id="a.a.a."),
        pytest.param("text", lambda n: "a. " * n, id="a. a. a."),
        pytest.param("text", lambda n: "x" + "." * 100 * n + "x", id="dots"),
        pytest.param("text", lambda n: "a." + '"' * 100 * n + "b", id="quotes"),
        pytest.param("text", lambda n: "1." * 20 * n + " x. Y", id="1.1.1."),
        pytest.param("text", lambda n: "• x " * n, id="bullets in a line"),
        pytest.param("text", lambda n: "• x\n" * n, id="bullets"),
        pytest.param("text", lambda n: "We do:\n" * n, id="lead-ins"),
        pytest.param("text", lambda n: "Ab\n" * n, id="short lines"),
        pytest.param("text", lambda n: "x;\n" * n, id="semicolons"),
        pytest.param("text", lambda n: "word " * 20 * n, id="one line"),
        pytest.param("text", lambda n: "w" * 200 * n, id="one word"),
        pytest.param("text", lambda n: "a" + " " * 200 * n + "b", id="spaces"),
        pytest.param("text", lambda n: "a" + "\n" * 200 * n + "b", id="blank lines"),
        pytest.param("html", lambda n: "<p>" + "x<br>" * n, id="br"),
        pytest.param("html", lambda n: "<p><b>x" * n, id="unclosed b"),
        pytest.param("html", lambda n: "<p>x" * n, id="unclosed p"),
        pytest.param("html", lambda n: "<ul>" + "<li>x" * n, id="unclosed li"),
        pytest.param("html", lambda n: "<table>" + "<tr><td>a<td>b" * n, id="rows"),
        pytest.param("html", lambda n: "<table><tr>" + "<td>x" * n, id="cells"),
        pytest.param("html", lambda n: "<div>" * 400 + "<p>x</p>" * n, id="deep"),
        pytest.param("html", lambda n: "<p>" + "a < " * 20 * n, id="stray <"),
        pytest.param("html", lambda n: "<p>x" + "<!-- <p> -->y" * n, id="comments"),
        pytest.param("html", lambda n: "<p>x" + "<script>a</b</script>" * n, id="scripts"),
        pytest.param("html", lambda n: "<p>x<script>" + "<!-- <script>" * n, id="a script without end"),
        pytest.param(
            "html", lambda n: "<p>x" + "<svg><style>&lt;</style></svg>y" * n, id="styles in drawings"
        ),
        pytest.param("html", lambda n: "<p>x" + "<xmp></p></xmp>" * n, id="text as it is"),
        pytest.param("html", lambda n: "<p>x" + "<i title='" + "a-b " * 20 * n + "'>y", id="a long value"),
        pytest.param("html", lambda n: "<div class='" + "cookie-" * 20 * n + "'>y", id="a long class"),
        pytest.param("markdown", lambda n: "[" * n, id="brackets"),
        pytest.param("markdown", lambda n: "**a* " * n, id="stars"),
    ],
)
def test_time_is_linear(media: str, make: Callable[[int], str]) -> None:
    """Eight times the input may take three times eight as long, not eight times eight."""
    small, large = make(1_000), make(8_000)

    def run(text: str) -> None:
        contexts(read(text, media)[1])

    run(small)
    assert seconds(lambda: run(large)) < 24 * max(seconds(lambda: run(small)), 0.004)


def test_clauses_are_in_order_on_real_pages(shared) -> None:  # type: ignore[no-untyped-def]
    from clausemark.documents import read_document

    for path in sorted((shared / "opp115" / "original_policies").iterdir())[:12]:
        document = read_document(path)
        clauses = segment(document)
        check_contract(document, clauses)
        check_contexts(clauses)
        assert all(a.end <= b.start for a, b in pairwise(clauses))
