"""The dataset card: what the corpus is, in prose, tables and pictures, made anew from the corpus itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from clausemark.agreement import SecondAnnotation, agreement
from clausemark.corpus import Policy, digest, laws_of, near_duplicates, split_of, statistics
from clausemark.errors import InputError
from clausemark.evaluation import Evaluation
from clausemark.plots import BLUE, ORANGE, drawing, plot_learning_curve, save
from clausemark.reference import profile
from clausemark.taxonomy import CATEGORIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LAW_FAMILIES", "plot_labels", "plot_lengths", "render_card", "write_card"]

#: Family of law -> the names that metadata use; what is in none counts as `ELSEWHERE`.
LAW_FAMILIES: Final[dict[str, frozenset[str]]] = {
    family: frozenset(" ".join(laws.split()).split("; "))
    for family, laws in {
        "US federal": """COPPA; HIPAA; GLBA; FERPA; FCRA; VPPA; CAN-SPAM; TCPA; CPNI; Cable Act; DPPA; ECPA;
            FOIA; PPRA; CIPSEA; Privacy Act 1974; E-Government Act; Regulation S-P; SHVERA""",
        "California to 2019": "CalOPPA; Shine the Light",
        "US states later": "CCPA; CPRA; US state laws; BIPA",
        "GDPR": "GDPR; UK GDPR",
        "national, Europe": """DPA 1998; DPA 2018; Directive 95/46; Irish DPA 1988; Irish DPA 2018; BDSG;
            DSG; FADP; Wbp; PUL; LOPDGDD; Loi Informatique et Libertés; Codice Privacy; Danish DPA;
            Finnish DPA; Norwegian DPA; Icelandic DPA; Polish DPA 1997""",
        "telecoms, Europe": """PECR; ePrivacy; RIPA; DRIPA; Data Retention Regulations; TKG; TTDSG; TMG;
            LSSI; LGT; LEK; CPCE; Ekomloven; Austrian TKG; Spanish Law 25/2007; eIDAS;
            Dutch Telecommunications Act; Polish Telecommunications Law;
            Belgian Electronic Communications Act; Icelandic Electronic Communications Act""",
        "transfer": "Safe Harbor; Privacy Shield; Data Privacy Framework",
        "Canada": """PIPEDA; CASL; BC PIPA; PHIPA; MFIPPA; Quebec Law 25; CRTC rules;
            CA Telecommunications Act""",
    }.items()
}
ELSEWHERE: Final = "elsewhere"
NONE: Final = "none"
#: Laws shown by fewer policies are listed without their number.
FEW: Final = 3
#: Test set of `clausemark.reference.measure` -> how the card calls it.
_TESTS: Final = {
    "sentences": "sentences of OPP-115 in context",
    "headings": "sentences and headings of OPP-115",
    "segments": "segments of OPP-115 alone",
}


def write_card(
    policies: Sequence[Policy],
    second: Sequence[SecondAnnotation],
    measured: Mapping[str, Any],
    out: str | Path,
) -> list[Path]:
    """Write the dataset card and its pictures; the same input always gives the same bytes.

    Parameters
    ----------
    policies : sequence of Policy
    second : sequence of SecondAnnotation
    measured : mapping
        As `clausemark.reference.measure` gives it.
    out : str or pathlib.Path
        The card, Markdown; its pictures go into the folder ``plots`` beside it.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    CorpusError
        If a clause was annotated a second time that is not in the corpus.
    InputError
        If `measured` lacks figures, or a file cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    out = Path(out)
    text = render_card(policies, second, measured)
    ours, real = profile(policies), measured["profile"]
    figures = {
        **{
            f"learning_curve_{name}": _learning_curve(measured, name, _TESTS[name])
            for name in _tests(measured)
        },
        "lengths": plot_lengths(ours, real),
        "labels": plot_labels(ours, real),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=out) from None
    return [out, *(save(figure, out.parent / "plots" / f"{name}.png") for name, figure in figures.items())]


def render_card(
    policies: Sequence[Policy], second: Sequence[SecondAnnotation], measured: Mapping[str, Any]
) -> str:
    """Write the text of the dataset card.

    Parameters
    ----------
    policies : sequence of Policy
    second : sequence of SecondAnnotation
    measured : mapping
        As `clausemark.reference.measure` gives it.

    Returns
    -------
    str
        Markdown with the front matter of the Hugging Face hub.

    Raises
    ------
    CorpusError
        If a clause was annotated a second time that is not in the corpus.
    InputError
        If `measured` lacks figures.
    """
    for key in ("corpus", "reference", "curve", "joint", "profile", "originality"):
        if not measured.get(key):
            raise InputError(f"the measured figures lack {key!r}: run clausemark corpus measure anew")
    stats = statistics(policies)
    environment = Environment(
        loader=PackageLoader("clausemark"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    decades = sorted(stats["policies_by"]["decade"])
    laws = stats["policies_by"]["law"]
    fingerprint = digest(policies)
    return environment.get_template("dataset_card.md").render(
        stats=stats,
        size_category=_size_category(stats["clauses"]),
        sample=_sample(policies),
        splits={name: _split(policies, name) for name in ("train", "test")},
        sectors=_matrix(((p.metadata.get("sector", "-"), [_decade(p)]) for p in policies), decades),
        countries=_matrix(
            ((p.metadata.get("country", "-"), _families(p)) for p in policies),
            [*LAW_FAMILIES, ELSEWHERE, NONE],
        ),
        laws={name: count for name, count in laws.items() if count >= FEW},
        few=FEW,
        rare_laws=sorted(name for name, count in laws.items() if count < FEW and name not in ("-", NONE)),
        agreement=agreement(second, policies),
        measured=measured,
        stale=measured["corpus"]["digest"] != fingerprint,
        tests={name: _TESTS[name] for name in _tests(measured)},
        profile=profile(policies),
        duplicates=len(near_duplicates(policies)),
        digest=fingerprint,
    )


# Pictures ----------------------------------------------------------------------------------------


def plot_lengths(ours: Mapping[str, Any], real: Mapping[str, Any]) -> Figure:
    """Draw how long clauses are, here and in real policies.

    Parameters
    ----------
    ours, real : mapping
        As `clausemark.reference.profile` gives them.

    Returns
    -------
    matplotlib.figure.Figure
        Deciles of words a clause.
    """
    shares = np.arange(10, 100, 10)
    with drawing(4.2) as (figure, ax):
        ax.plot(shares, ours["words"]["deciles"], color=BLUE, marker="o", label="corpus")
        ax.plot(shares, real["words"]["deciles"], color=ORANGE, linestyle="--", marker="s", label="OPP-115")
        ax.set(xlabel="% of clauses that are not longer", ylabel="words a clause", xticks=shares)
        ax.set_ylim(bottom=0)
        ax.set_title("Length of clauses")
        ax.legend(loc="upper left")
    return figure


def plot_labels(ours: Mapping[str, Any], real: Mapping[str, Any]) -> Figure:
    """Draw what clauses state, here and in real policies.

    Parameters
    ----------
    ours, real : mapping
        As `clausemark.reference.profile` gives them.

    Returns
    -------
    matplotlib.figure.Figure
        Share of the sentences and items that state each category.
    """
    rows = np.arange(len(CATEGORIES))
    with drawing(5.6) as (figure, ax):
        for offset, name, found, colour in ((-0.2, "corpus", ours, BLUE), (0.2, "OPP-115", real, ORANGE)):
            shares = [100 * found["labels"][category] for category in CATEGORIES]
            ax.barh(rows + offset, shares, height=0.38, color=colour, label=name)
            for row, share in zip(rows, shares, strict=True):
                ax.text(share + 0.3, row + offset, f"{share:.1f}", va="center", fontsize=8)
        ax.set_yticks(rows, list(CATEGORIES))
        ax.invert_yaxis()
        ax.margins(x=0.08)  # room for the figures
        ax.set(xlabel="% of sentences and items that state it")
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
        ax.set_title("What clauses state")
        ax.legend(loc="lower right")
    return figure


def _learning_curve(measured: Mapping[str, Any], name: str, title: str) -> Figure:
    figure = plot_learning_curve(
        {
            point["policies"]: Evaluation(
                n=measured["reference"][name],
                policies=measured["reference"]["policies"],
                figures={key: value for key, value in point[name].items() if key != "intervals"},
                per_label={},
                intervals={key: _pair(value) for key, value in point[name]["intervals"].items()},
                label_intervals={},
            )
            for point in measured["curve"]
        }
    )
    figure.axes[0].set_title(f"Learning curve: {title}", loc="left")
    return figure


def _pair(interval: Sequence[float | None]) -> tuple[float, float]:
    low, high = (float("nan") if end is None else end for end in interval)
    return low, high


# What the template is given ----------------------------------------------------------------------


def _tests(measured: Mapping[str, Any]) -> list[str]:
    return [name for name in _TESTS if name in measured["reference"]]


def _size_category(clauses: int) -> str:
    """Size of a dataset in the words of the Hugging Face hub."""
    steps = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
    return next((name for most, name in steps if clauses < most), "100K<n<1M")


def _sample(policies: Sequence[Policy]) -> str:
    """The first clause with two labels, as its file has it: one line to show the format."""
    clauses = [(number, c) for policy in policies for number, c in enumerate(policy.clauses)]
    number, clause = next(((n, c) for n, c in clauses if len(c.labels) > 1), clauses[0])
    record = {"id": number, "kind": clause.kind, "paragraph": clause.paragraph, "text": clause.text}
    return json.dumps({**record, "labels": clause.labels}, ensure_ascii=False)


def _split(policies: Sequence[Policy], name: str) -> dict[str, int]:
    chosen = [policy for policy in policies if split_of(policy.id) == name]
    return {"policies": len(chosen), "clauses": sum(len(policy.clauses) for policy in chosen)}


def _decade(policy: Policy) -> str:
    return f"{policy.metadata['year'] // 10 * 10}s" if "year" in policy.metadata else "-"


def _families(policy: Policy) -> list[str]:
    """Families of law that a policy shows, each once."""
    laws = [law for law in laws_of(policy) if law != NONE]
    families = (
        next((family for family, names in LAW_FAMILIES.items() if law in names), ELSEWHERE) for law in laws
    )
    return list(dict.fromkeys(families)) or [NONE]


def _matrix(cases: Iterable[tuple[str, Sequence[str]]], columns: Sequence[str]) -> dict[str, Any]:
    """Count cases by row and column; rows in descending order of their cases."""
    every: Counter[str] = Counter()
    cells: Counter[tuple[str, str]] = Counter()
    for row, found in cases:
        every[row] += 1
        cells.update((row, column) for column in found)
    rows = [
        {"name": row, "counts": [cells[row, column] for column in columns], "all": count}
        for row, count in sorted(every.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {"columns": list(columns), "rows": rows}
