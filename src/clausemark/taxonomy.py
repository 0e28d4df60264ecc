"""The twelve data-practice categories.

The scheme is that of OPP-115 (Wilson et al. 2016, "The Creation and Analysis of a Website
Privacy Policy Corpus", ACL) with its category "Other" split in three, as in Harkous et al. 2018
("Polisis", USENIX Security) and Mousavi Nejad et al. 2020 ("Establishing a Strong Baseline for
Privacy Policy Classification", IFIP SEC).
"""

from __future__ import annotations

from typing import Final

#: Code used in annotation files -> name as printed everywhere. The order is that of the model's
#: columns and never changes within a format version.
CODES: Final[dict[str, str]] = {
    "FPC": "First Party Collection/Use",
    "TPS": "Third Party Sharing/Collection",
    "UCC": "User Choice/Control",
    "UAE": "User Access, Edit and Deletion",
    "DR": "Data Retention",
    "DS": "Data Security",
    "PC": "Policy Change",
    "DNT": "Do Not Track",
    "ISA": "International and Specific Audiences",
    "IG": "Introductory/Generic",
    "PCI": "Privacy contact information",
    "PNC": "Practice not covered",
}

#: The twelve names, in the order of the model's columns.
CATEGORIES: Final[tuple[str, ...]] = tuple(CODES.values())

#: Name -> code.
CODE_OF: Final[dict[str, str]] = {name: code for code, name in CODES.items()}
