"""A tiny corpus that a model learns in a second: every category has words of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from clausemark.corpus import AnnotatedClause, Policy, Split, split_of, write_policy
from clausemark.model import save_model
from clausemark.taxonomy import CATEGORIES
from clausemark.training import describe, train

SENTENCES = dict(
    zip(
        CATEGORIES,
        (
            ("We collect your {0} when you sign up.", "We use {0} to bill you."),
            ("We share {0} with advertisers.", "Our partners receive {0} from us."),
            ("You can opt out of {0} at any time.", "Tick the box if you do not want {0}."),
            ("You may correct or delete your {0}.", "Ask us for a copy of your {0}."),
            ("We keep {0} for two years.", "After that {0} is erased."),
            ("Encryption protects your {0}.", "Firewalls guard {0} against theft."),
            ("We may change what we say about {0}.", "This version on {0} took effect in May."),
            ("Do Not Track signals about {0} are ignored.", "Browsers send Do Not Track for {0}."),
            ("Children under 13 must not send {0}.", "In California {0} has rules of its own."),
            ("This notice explains {0}.", "Welcome, and read on about {0}."),
            ("Write to our officer about {0}.", "Our address for {0} is Mill Lane 3."),
            ("The law of Wales governs {0}.", "Our shop is no judge of {0}."),
        ),
        strict=True,
    )
)
THINGS = ("names", "addresses", "cookies", "payments", "locations", "emails", "photos", "orders")
#: The words of a clause and nothing else: enough here, and fast.
WORDS = {"words": 1.0, "chars": 0.0}
#: Parameters of a model that reads nothing: no n-gram is frequent enough, and neighbours do not count.
BLIND: dict[str, Any] = {"weights": {"words": 0.0, "chars": 1.0}, "min_df": 10_000, "context_C": 0}


def tiny_policy(name: str) -> Policy:
    """Write a policy: each category in two sentences, in an order of its own. None announces another."""
    random = Random(name)
    clauses = [AnnotatedClause("Privacy", "heading", 0, (CATEGORIES[9],))]
    pairs = [(sentence, label) for label, sentences in SENTENCES.items() for sentence in sentences]
    for number, (sentence, label) in enumerate(random.sample(pairs, len(pairs))):
        text = sentence.format(random.choice(THINGS))
        clauses.append(AnnotatedClause(text, "sentence", 1 + number // 2, (label,)))
    metadata = {"name": name, "unit": "clause", "source": "written", "license": "Apache-2.0"}
    return Policy(name, tuple(clauses), metadata)


def tiny_policies(split: Split, count: int = 4) -> list[Policy]:
    """Write policies whose ids are of a split."""
    names = (f"tiny-{number:03}" for number in range(1000))
    return [tiny_policy(name) for name in names if split_of(name) == split][:count]


def write_tiny_corpus(folder: Path) -> Path:
    """Write training and test policies to a folder."""
    folder.mkdir(parents=True)
    for policy in tiny_policies("train") + tiny_policies("test"):
        write_policy(policy, folder / f"{policy.id}.jsonl")
    return folder


def tiny_model(folder: Path, policies: Sequence[Policy], **parameters: Any) -> Any:
    """Train on policies, save the model, and give the classifier."""
    classifier = train(policies, {"weights": WORDS, **parameters})
    save_model(classifier, folder, corpus=describe(policies))
    return classifier
