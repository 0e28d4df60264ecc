"""The corpus in data/: what it promises, checked on every change."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from clausemark.agreement import SecondAnnotation, agreement, read_second
from clausemark.card import render_card
from clausemark.corpus import (
    NearDuplicate,
    Policy,
    near_duplicates,
    read_corpus,
    shared_runs,
    split_of,
    validate,
    words,
)
from clausemark.importers import import_opp115
from clausemark.reference import RUN, profile, read_measured
from clausemark.taxonomy import CATEGORIES

pytestmark = pytest.mark.xdist_group("corpus")  # read once

DATA = Path(__file__).parents[1] / "data"

#: Wording that US law prescribes to the letter: the model form of the Gramm-Leach-Bliley Act.
PRESCRIBED = re.compile(
    r"(Why\? )?Financial companies choose how they share your personal information"
    r"|For (our|joint|nonaffiliates)\b.*\b(marketing|market to you|everyday business purposes)",
    re.I,
)
#: Domains that nobody can register (RFC 2606, RFC 6761).
RESERVED = re.compile(r"(.+\.)?(example|invalid|test|localhost|example\.(com|net|org))", re.I)
HOST = re.compile(
    r"(?<![\w.-])((?:[a-z0-9-]+\.)+"
    r"(?:com|org|net|info|biz|int|gov|edu|mil|eu|uk|ie|fr|de|nl|be|se|dk|no|fi|is|ee|es|it|pl|ch|at|cy|us|ca|mx|br"
    r"|au|nz|in|sg|hk|jp|kr|cn|vn|ph|pa|za|ng|ke|ae|il|tr|io|co|ai|app|dev|me|tv|fm|cloud|exchange|shop|online"
    r"|site|bank|health))(?![\w@-]|\.\w)",
    re.I,
)
#: Real third parties that policies send their readers to: authorities, opt-out pages, arbiters, and
#: companies named as recipients. The fictional organisations themselves have reserved domains.
THIRD_PARTIES = frozenset(
    """aboutads.info aboutcookies.org adr.org aepd.es aki.ee amazon.com apd-gba.be applovin.com atg.wa.gov
    begambleaware.org bloctel.gouv.fr bsp.gov.ph ccts-cprst.ca cnil.fr dataprotection.ie
    datatilsynet.dk dsb.gv.at export.gov fda.gov google.com googleadservices.com gpdp.it ico.gov.uk
    ico.org.uk inai.org.mx jamsadr.com kisa.or.kr kopico.go.kr listarobinson.es
    networkadvertising.org nhs.uk nsw.gov.au oaic.gov.au pay.gov personuvernd.is plaid.com
    police.go.kr privacy.gov.ph privacy.org.nz privacyshield.gov quantcast.com rbi.org.in schufa.de
    spo.go.kr startapp.com thenai.org tio.com.au truste.com truste.org usa.gov youradchoices.ca
    youradchoices.com youronlinechoices.co.uk youronlinechoices.com youronlinechoices.com.au
    youronlinechoices.eu""".split()
)


@pytest.fixture(scope="module")
def policies() -> list[Policy]:
    return read_corpus(DATA / "corpus")


@pytest.fixture(scope="module")
def clauses(policies: list[Policy]) -> int:
    return sum(len(policy.clauses) for policy in policies)


@pytest.fixture(scope="module")
def alike(policies: list[Policy]) -> list[NearDuplicate]:
    """Pairs of clauses of at least 8 words that resemble each other.

    But for what law prescribes, and for headings: "How we respond to Do Not Track signals" is how
    such sections are called.
    """
    by_id = {policy.id: policy for policy in policies}
    return [
        pair
        for pair in near_duplicates(policies, threshold=0.6, min_words=8)
        if by_id[pair.policy].clauses[pair.clause].kind != "heading"
        and not PRESCRIBED.match(by_id[pair.policy].clauses[pair.clause].text)
    ]


@pytest.fixture(scope="module")
def second() -> list[SecondAnnotation]:
    return read_second(DATA / "second.jsonl")


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return read_measured(DATA / "measured.json")


def listed(findings: list[str]) -> str:
    return "\n".join([f"{len(findings)} findings:", *findings])


# Schema and size -----------------------------------------------------------------------------------


def test_every_file_keeps_to_the_schema() -> None:
    problems = validate(DATA / "corpus")
    assert not problems, listed(list(map(str, problems)))


def test_every_clause_has_labels_of_the_twelve(policies: list[Policy]) -> None:
    bad = [
        f"{policy.id}:{number} {clause.labels}"
        for policy in policies
        for number, clause in enumerate(policy.clauses)
        if not clause.labels or not set(clause.labels) <= set(CATEGORIES)
    ]
    assert not bad, listed(bad)


def test_every_policy_is_described(policies: list[Policy]) -> None:
    keys = ("sector", "country", "law", "year", "tone", "structure")
    bad = [f"{policy.id} lacks {key}" for policy in policies for key in keys if key not in policy.metadata]
    bad += [
        f"{policy.id} is under {policy.metadata['license']}"
        for policy in policies
        if policy.metadata["license"] != "Apache-2.0"
    ]
    bad += [policy.id for policy in policies if not 2003 <= policy.metadata.get("year", 2003) <= 2026]
    assert not bad, listed(bad)


def test_policies_are_of_sane_size(policies: list[Policy]) -> None:
    bad = [
        f"{policy.id} has {len(policy.clauses)} clauses"
        for policy in policies
        if not 20 <= len(policy.clauses) <= 200
    ]
    assert not bad, listed(bad)


def test_there_is_enough(policies: list[Policy], clauses: int) -> None:
    assert len(policies) >= 300
    assert clauses >= 25_000


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_is_stated_often_enough(policies: list[Policy], category: str) -> None:
    stating = sum(category in clause.labels for policy in policies for clause in policy.clauses)
    assert stating >= (300 if category == "Do Not Track" else 500)


def test_policies_have_headings_or_say_that_they_have_none(policies: list[Policy]) -> None:
    bad = [
        policy.id
        for policy in policies
        if policy.metadata.get("structure") != "no headings"
        and all(clause.kind != "heading" for clause in policy.clauses)
    ]
    assert not bad, listed(bad)


def test_about_a_fifth_is_the_test_split(policies: list[Policy], clauses: int) -> None:
    chosen = [policy for policy in policies if split_of(policy.id) == "test"]
    assert 0.15 <= len(chosen) / len(policies) <= 0.25
    assert 0.15 <= sum(len(policy.clauses) for policy in chosen) / clauses <= 0.25


# Variety and originality -----------------------------------------------------------------------------


def shown(pair: NearDuplicate, policies: list[Policy]) -> str:
    text = next(p for p in policies if p.id == pair.policy).clauses[pair.clause].text
    places = f"{pair.policy}:{pair.clause} and {pair.other_policy}:{pair.other_clause}"
    return f"{pair.similarity:.2f} {places}: {text}"


def test_no_two_policies_say_a_thing_in_the_same_words(
    policies: list[Policy], alike: list[NearDuplicate]
) -> None:
    bad = [shown(pair, policies) for pair in alike if pair.similarity >= 0.8]
    assert not bad, listed(bad)


def test_hardly_two_policies_say_a_thing_in_similar_words(
    policies: list[Policy], alike: list[NearDuplicate], clauses: int
) -> None:
    found = {place for p in alike for place in ((p.policy, p.clause), (p.other_policy, p.other_clause))}
    assert len(found) / clauses < 0.002, listed([shown(pair, policies) for pair in alike])


def test_only_short_furniture_is_repeated(policies: list[Policy]) -> None:
    places = defaultdict(set)
    for policy in policies:
        for clause in policy.clauses:
            places[clause.text].add(policy.id)
    bad = [
        f"{len(found)} times: {text}"
        for text, found in places.items()
        if len(found) > 2 and len(words(text)) > 8 and not PRESCRIBED.match(text)
    ]
    assert not bad, listed(bad)


def test_clauses_are_not_taken_from_real_policies(policies: list[Policy], clauses: int, shared: Path) -> None:
    if not (shared / "opp115").is_dir():
        pytest.skip("no ../shared/opp115 beside the repository")
    real, _ = import_opp115(shared / "opp115", unit="segment")
    found = shared_runs(policies, (policy.text for policy in real), RUN)
    assert len(found) / clauses < 0.015, listed([f"{run.policy}:{run.clause} {run.run}" for run in found])


# Nobody real is addressed ----------------------------------------------------------------------------


def is_fictional(host: str) -> bool:
    return RESERVED.fullmatch(host) is not None


def is_third_party(host: str) -> bool:
    parts = host.lower().split(".")
    return any(".".join(parts[start:]) in THIRD_PARTIES for start in range(len(parts)))


@pytest.mark.parametrize(
    ("host", "fictional", "third_party"),
    [
        ("shop.harbour.example", True, False),
        ("example.org", True, False),
        ("www.ico.org.uk", False, True),
        ("harbour.com", False, False),
        ("notgoogle.com", False, False),
        ("example.shop", False, False),
    ],
)
def test_domains_are_told_apart(host: str, fictional: bool, third_party: bool) -> None:
    assert (is_fictional(host), is_third_party(host)) == (fictional, third_party)


def test_addresses_are_fictional_or_of_known_third_parties(policies: list[Policy]) -> None:
    bad = [
        f"{policy.id}:{number} {host}"
        for policy in policies
        for number, clause in enumerate(policy.clauses)
        for host in re.findall(r"@((?:[\w-]+\.)+[\w-]+)", clause.text) + HOST.findall(clause.text)
        if not is_fictional(host) and not is_third_party(host)
    ]
    assert not bad, listed(list(dict.fromkeys(bad)))


# Annotation ----------------------------------------------------------------------------------------------


def test_policies_annotated_twice_are_whole(policies: list[Policy], second: list[SecondAnnotation]) -> None:
    sizes = {policy.id: len(policy.clauses) for policy in policies}
    numbers = defaultdict(list)
    for record in second:
        numbers[record.policy].append(record.id)
    bad = [name for name, found in numbers.items() if found != list(range(sizes.get(name, 0)))]
    assert not bad, listed(bad)


def test_two_annotations_agree_on_enough_clauses(
    policies: list[Policy], second: list[SecondAnnotation]
) -> None:
    found = agreement(second, policies)
    assert found["share"] >= 0.15
    assert found["kappa"] >= 0.9
    low = {name: row["kappa"] for name, row in found["categories"].items() if row["kappa"] < 0.8}
    assert not low


# Beside real policies --------------------------------------------------------------------------------


def test_clauses_are_as_long_as_real_ones(policies: list[Policy], measured: dict[str, Any]) -> None:
    ours, real = profile(policies), measured["profile"]
    assert 15 <= ours["words"]["mean"] <= 30
    assert ours["words"]["mean"] == pytest.approx(real["words"]["mean"], rel=0.25)
    assert ours["words"]["deciles"] == pytest.approx(real["words"]["deciles"], rel=0.25, abs=3)
    assert 0.08 <= ours["kinds"]["item"] <= 0.25


def test_practices_come_about_as_often_as_in_real_policies(
    policies: list[Policy], measured: dict[str, Any]
) -> None:
    assert profile(policies)["labels"] == pytest.approx(measured["profile"]["labels"], abs=0.1)


def test_the_dataset_card_is_that_of_the_corpus(
    policies: list[Policy], second: list[SecondAnnotation], measured: dict[str, Any]
) -> None:
    card = (DATA / "README.md").read_text(encoding="utf-8")
    assert card == render_card(policies, second, measured), "make it anew: clausemark corpus card"


def test_the_dataset_card_links_to_what_is_there() -> None:
    card = (DATA / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", card) if "://" not in link]
    assert "plots/labels.png" in links
    missing = [link for link in links if not (DATA / link).exists()]
    assert not missing, listed(missing)
