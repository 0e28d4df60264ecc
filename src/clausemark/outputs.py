"""Outputs: labeled policies as a table for the terminal, JSONL, CSV and Parquet."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from clausemark.predict import LabeledPolicy
from clausemark.taxonomy import CATEGORIES, CODE_OF

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

#: Opens a formula in spreadsheet programs, which pass over white space (OWASP, "CSV Injection").
_FORMULA: Final = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
#: Terminals of fewer columns have no room for names.
_NARROW: Final = 72
#: Line breaks that JSON leaves as they are and readers of lines may stop at.
_LINE_BREAK: Final = re.compile("[\x85\u2028\u2029]")
#: Colour of a category in the terminal, legible on dark and on light; the name is always there too.
COLORS: Final = dict(
    zip(
        CATEGORIES,
        (
            "color(33)", "color(160)", "color(34)", "color(37)", "color(136)", "color(98)", "color(162)",
            "color(64)", "color(166)", "default", "color(31)", "color(244)",
        ),
        strict=True,
    )
)  # fmt: skip


def write_jsonl(policies: Iterable[LabeledPolicy], stream: IO[str]) -> None:
    """Write a JSON object a clause and line.

    Parameters
    ----------
    policies : iterable of LabeledPolicy
    stream : text stream
        Keys: doc, index, kind, start, end, heading, text, primary, labels, scores, needs_review.
    """
    for policy in policies:
        for record in policy.to_records():
            line = json.dumps(record, ensure_ascii=False)
            stream.write(_LINE_BREAK.sub(lambda found: f"\\u{ord(found.group()):04x}", line) + "\n")


def write_csv(policies: Iterable[LabeledPolicy], stream: IO[str]) -> None:
    """Write a row a clause with a header; labels joined by " | ", a score column a category.

    Cells that a spreadsheet program would take for a formula get a leading apostrophe.

    Parameters
    ----------
    policies : iterable of LabeledPolicy
    stream : text stream
    """
    frame = to_frame(policies)
    frame["labels"] = frame["labels"].map(" | ".join)
    for column in ("doc", "heading", "text"):
        frame[column] = frame[column].map(_defuse)
    # All strings in quotes: a lone carriage return in a clause would end the row otherwise.
    frame.to_csv(stream, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def write_parquet(policies: Iterable[LabeledPolicy], stream: IO[bytes]) -> None:
    """Write a Parquet table, a row a clause (columns as `LabeledPolicy.to_frame`).

    Parameters
    ----------
    policies : iterable of LabeledPolicy
    stream : binary stream
    """
    to_frame(policies).to_parquet(stream, index=False, compression="zstd")


def to_frame(policies: Iterable[LabeledPolicy]) -> pd.DataFrame:
    """Put the tables of several policies below one another.

    Parameters
    ----------
    policies : iterable of LabeledPolicy

    Returns
    -------
    pandas.DataFrame
    """
    import pandas as pd

    frames = [policy.to_frame() for policy in policies]
    return pd.concat(frames, ignore_index=True)


def make_console(stream: IO[str]) -> Console:
    """Make a console for `print_table`; it leaves a broken pipe to its caller.

    Parameters
    ----------
    stream : text stream

    Returns
    -------
    rich.console.Console
    """
    from rich.console import Console

    class PipeConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PipeConsole(file=stream, highlight=False, emoji=False)


def print_table(policies: Sequence[LabeledPolicy], console: Console) -> None:
    """Print a policy as a table for people: a row a clause, then the sum of each category.

    A question mark stands where the model is not sure; narrow terminals get codes in place of names.

    Parameters
    ----------
    policies : sequence of LabeledPolicy
    console : rich.console.Console
        Width and colour are the console's; NO_COLOR and pipes are honoured by it.
    """
    from rich.table import Table
    from rich.text import Text

    for policy in policies:
        title = policy.document.title or policy.document.source
        table = Table(
            title=Text(f"{printable(title)}  ({len(policy.clauses)} clauses)"), title_justify="left",
            expand=True, pad_edge=False, box=None, header_style="bold",
        )  # fmt: skip
        table.add_column("#", justify="right", style="dim", no_wrap=True)
        narrow = console.width < _NARROW
        table.add_column("category", width=None if narrow else min(34, max(20, console.width // 4)))
        table.add_column("p", no_wrap=True)
        table.add_column("clause", ratio=1, overflow="fold")
        for clause in policy.clauses:
            labels = Text("\n").join(
                Text(CODE_OF[name] if narrow else name, style=COLORS[name]) for name in clause.labels
            )
            text = Text(printable(clause.text), style="bold" if clause.kind == "heading" else "")
            if clause.kind == "item":
                text = Text("• ") + text
            sure = f"{clause.scores[clause.primary]:.2f}{'?' if clause.needs_review else ''}"
            table.add_row(str(clause.index), labels, sure, text)
        console.print(table)
        console.print(_summary(policy))


def printable(text: str) -> str:
    """Make text of a document safe and short to print: one line, no control characters.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Control and bidirectional format characters become U+FFFD.
    """
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() or c == " " else "\ufffd" for c in joined)


def _summary(policy: LabeledPolicy) -> Any:
    from rich.text import Text

    counts = {name: sum(name in c.labels for c in policy.clauses) for name in CATEGORIES}
    line = Text("\n")
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        if count:
            line.append(f"{count:5d}  ").append(f"{CODE_OF[name]:3} {name}\n", style=COLORS[name])
    absent = [name for name, count in counts.items() if not count]
    if absent:
        line.append("   no clause on: " + ", ".join(absent) + "\n", style="dim")
    return line


def _defuse(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell
