"""What people see of a batch: progress while it runs, and what it has come to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from clausemark.crawl import Crawl

if TYPE_CHECKING:
    from clausemark.batch import Progress, Summary


@contextmanager
def show_progress(inputs: Sequence[str], out: Path) -> Iterator[Callable[[Progress], None]]:
    """Show pages, clauses, rate, errors and time left on standard error, if that is a terminal.

    Parameters
    ----------
    inputs : sequence of str
        Their sizes are summed up beside the work, for the time left.
    out : pathlib.Path
        Folder that does not count.

    Yields
    ------
    callable
        Takes a `Progress`.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: None
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    crawl = Crawl(inputs, exclude=out)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task("starting", total=None)
        threading.Thread(target=lambda: bar.update(task, total=crawl.size()), daemon=True).start()

        def update(progress: Progress) -> None:
            rate = progress.labeled / max(progress.seconds, 1e-9)
            bar.update(
                task,
                completed=progress.bytes,
                description=f"{progress.pages:,} pages  {progress.clauses:,} clauses  {rate:,.1f} pages/s"
                f"  {progress.errors:,} errors",
            )

        yield update


def print_summary(summary: Summary) -> None:
    """Print what a batch has come to, for people.

    Parameters
    ----------
    summary : Summary
    """
    found = summary.to_dict()
    run = found["run"]
    print = Console(highlight=False, emoji=False, markup=False, soft_wrap=True).print
    print(
        f"{found['pages']:,} pages: {found['documents']:,} documents ({found['policies']:,} policies,"
        f" {found['duplicates']:,} duplicates), {found['errors']:,} errors; {found['clauses']:,} clauses"
    )
    print(
        f"this run: {run['pages']:,} pages in {run['seconds']:,.1f} s, {run['pages_per_second']:,.1f}"
        f" pages/s, {run['megabytes_per_second']:,.1f} MB/s"
    )
    for stage, count in found["stages"].items():
        print(f"{count:9,}  errors in stage {stage}")
    for name, count in found["labels"].items():
        print(f"{count:9,}  {found['label_shares'][name]:6.1%}  {name}")
