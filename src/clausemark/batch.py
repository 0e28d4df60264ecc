"""Batches: a whole crawl labeled into a Parquet dataset, by several processes, and able to go on.

The crawl is cut into tasks of some pages in its order. Workers do them in any order; they are written in the
order of the crawl, so the dataset does not depend on the workers. Names decide what is left to do: a
page that the dataset has is not labeled again, whoever ended the run before and however.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import joblib

from clausemark import __version__
from clausemark.crawl import Crawl, Failure, Page
from clausemark.dataset import Dataset, Totals
from clausemark.errors import ClausemarkError, InputError
from clausemark.workers import Death, Labeled, Pool, Settings

#: Pages and bytes of a task: enough that passing it on costs nothing beside the work.
TASK_PAGES: Final = 16
TASK_BYTES: Final = 2_000_000
#: Pages and bytes of a shard.
SHARD_PAGES: Final = 2_000
SHARD_BYTES: Final = 1_000_000_000
#: Tasks and bytes that may be under way: what a slow page may hold up.
AHEAD_TASKS: Final = 64
AHEAD_BYTES: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class _Duplicate:
    source: str
    url: str | None
    digest: str
    first: str


@dataclass(eq=False, slots=True)
class _Task:
    """Some pages in a row, with the duplicates and failures between them."""

    items: list[Page | _Duplicate | Failure] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    ends_shard: bool = False
    attempts: int = 0
    result: Labeled | None = None

    @property
    def pages(self) -> list[Page]:
        return [item for item in self.items if isinstance(item, Page)]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is.

    Attributes
    ----------
    pages, clauses, errors : int
        Of the dataset, with those of earlier runs.
    labeled : int
        Pages of this run.
    seconds : float
        Since this run began to label.
    bytes : int
        Of the inputs read.
    """

    pages: int
    clauses: int
    errors: int
    labeled: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch has come to.

    Attributes
    ----------
    totals : Totals
        Of the dataset.
    labeled, read : int
        Pages and bytes of content of this run.
    seconds : float
        That this run took.
    complete : bool
        Whether all inputs are done; not where it was stopped, or limited.
    stopped : int
        Number of the signal that stopped it, else 0.
    """

    totals: Totals
    labeled: int
    read: int
    seconds: float
    complete: bool
    stopped: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain types, with rates of this run and shares of clauses."""
        totals = self.totals.to_dict()
        clauses = max(1, totals["clauses"])
        return {
            "complete": self.complete,
            **totals,
            "label_shares": {name: round(count / clauses, 6) for name, count in totals["labels"].items()},
            "run": {
                "pages": self.labeled,
                "bytes": self.read,
                "seconds": round(self.seconds, 3),
                "pages_per_second": round(self.labeled / self.seconds, 3),
                "megabytes_per_second": round(self.read / 1e6 / self.seconds, 3),
            },
        }


def label_crawl(
    inputs: Sequence[str],
    out: str | Path,
    *,
    settings: Settings | None = None,
    workers: int | None = None,
    column: str | None = None,
    url_column: str | None = None,
    source_column: str | None = None,
    limit: int | None = None,
    shard_pages: int = SHARD_PAGES,
    listing: Iterable[str] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Label all pages of some inputs into a Parquet dataset, or go on with it.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs; ``-`` for a list of them.
    out : str or pathlib.Path
        Folder of the dataset.
    settings : Settings, optional
    workers : int, optional
        Processes; one for each processor by default. The dataset does not depend on them.
    column, url_column, source_column, listing
        As for `clausemark.crawl.Crawl`.
    limit : int, optional
        Take only so many of the first pages.
    shard_pages : int
        Most pages of a part.
    progress : callable, optional
        Told how far it is, several times a second.

    Returns
    -------
    Summary

    Raises
    ------
    InputError
        If inputs are missing, or the folder holds something else or another kind of dataset.
    ModelError
        If the model cannot be loaded.
    ClausemarkError
        If the dataset is in use, cannot be written, or workers cannot start.
    """
    if os.name != "posix":
        raise ClausemarkError("batch needs Linux or macOS (on Windows, WSL)")
    settings = settings or Settings()
    out = Path(out)
    columns = {"column": column, "url_column": url_column, "source_column": source_column}
    start = time.perf_counter()
    crawl = Crawl(
        inputs,
        column=column,
        url_column=url_column,
        source_column=source_column,
        exclude=out,
        listing=listing,
    )
    kept = ("text", "any_language", "skip_non_policies")
    parameters = {name: value for name, value in asdict(settings).items() if name in kept} | columns
    with _Stop() as stop, Pool(workers or joblib.cpu_count(), settings) as pool:
        manifest = {
            "version": __version__,
            "model": pool.digest,
            "parameters": parameters,
            "inputs": list(crawl.inputs),
        }
        try:
            with Dataset(out, manifest) as dataset:
                crawl.claim = dataset.index.claim
                before = dataset.totals.to_dict()
                complete = _run(crawl, dataset, pool, stop, limit, shard_pages, progress)
                totals = dataset.totals
        except (OSError, sqlite3.OperationalError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise ClausemarkError(
                f"{reason}: what is there is whole, and the same command goes on", where=out
            ) from None
    return Summary(
        totals,
        totals.pages - before["pages"],
        totals.bytes - before["bytes"],
        time.perf_counter() - start,
        complete,
        stop.signal,
    )


def _run(
    crawl: Crawl, dataset: Dataset, pool: Pool, stop: _Stop, limit: int | None, shard_pages: int,
    progress: Callable[[Progress], None],
) -> bool:  # fmt: skip
    """Keep the pool busy and write what it has done, in the order of the crawl."""
    cutter = _Cutter(crawl, dataset, limit, shard_pages)
    tasks: Iterator[_Task] | None = iter(cutter)
    order: deque[_Task] = deque()
    start = time.perf_counter()
    while True:
        if stop.signal and tasks is not None:
            tasks = None
            _cut(order, pool)
        while (
            tasks is not None
            and pool.has_room
            and len(order) < AHEAD_TASKS
            and (not order or sum(task.bytes for task in order) < AHEAD_BYTES)
        ):
            task = next(tasks, None)
            if task is None:
                tasks = None
                break
            order.append(task)
            if task.pages:
                pool.give(task)
            else:
                task.result = Labeled(None, [])
        while order and order[0].result is not None:
            _write(order.popleft(), dataset)
        totals, pending = dataset.totals, dataset.pending
        progress(
            Progress(
                totals.pages + pending.pages,
                totals.clauses + pending.clauses,
                totals.errors + pending.errors,
                cutter.pages,
                time.perf_counter() - start,
                crawl.position,
            )
        )
        if not order:
            if tasks is None:
                break
            continue
        for task, result in pool.wait(0.2):
            if task not in order:  # given up after a signal
                continue
            if isinstance(result, Labeled):
                task.result, task.bytes = result, 0
            else:
                _divide(task, result, order, pool)
    dataset.commit()
    complete = not stop.signal and not cutter.limited
    if complete and not dataset.totals.pages:
        raise InputError("holds no pages", where=" ".join(crawl.inputs))
    if complete:
        dataset.finish()
    return complete


def _write(task: _Task, dataset: Dataset) -> None:
    assert task.result is not None
    labeled = iter(task.result.outcomes)
    outcomes: list[dict[str, Any] | Failure] = []
    for item in task.items:
        if isinstance(item, Page):
            outcome = next(labeled)
            digest = task.digests[item.source]
            if not isinstance(outcome, Failure):
                outcome = {**outcome, "digest": digest, "duplicate_of": None}
            dataset.index.settle(digest, outcome)
            outcomes.append(outcome)
        elif isinstance(item, Failure):
            outcomes.append(item)
        else:
            known = dataset.index.outcome(item.digest)
            if "stage" in known:  # the first could not be labeled, so this one cannot
                outcomes.append(Failure(**{**known, "source": item.source}))
            else:
                outcomes.append({**known, "source": item.source, "url": item.url, "duplicate_of": item.first})
    dataset.write([] if task.result.clauses is None else [task.result.clauses], outcomes)
    if task.ends_shard:
        dataset.commit()


def _divide(task: _Task, death: Death, order: deque[_Task], pool: Pool) -> None:
    """Settle the page that a worker died of, and give the others of its task to a new worker."""
    task.attempts += 1
    position = death.position
    if position < 0 and task.attempts < 3:  # between pages: whoever killed it, it was no page
        pool.give(task)
        return
    pages = task.pages
    culprit = pages[max(position, 0)]
    at = task.items.index(culprit)
    # A crash may be the system's fault, so the page gets a second chance, alone; a hanging page none.
    alone = _Task([culprit], task.digests, attempts=task.attempts)
    if death.overtime or (len(pages) == 1 and task.attempts > 1):
        failure = Failure(culprit.source, death.stage, death.message)
        alone.result = Labeled(None, [failure])
    parts = [
        _Task(task.items[:at], task.digests),
        alone,
        _Task(task.items[at + 1 :], task.digests, ends_shard=task.ends_shard),
    ]
    place = order.index(task)
    del order[place]
    for part in reversed(parts):
        order.insert(place, part)
    for part in parts:
        if part.result is None and part.pages:
            pool.give(part)
        elif part.result is None:
            part.result = Labeled(None, [])


def _cut(order: deque[_Task], pool: Pool) -> None:
    """Give up what no worker has begun, and all that comes after it."""
    waiting = pool.waiting
    for task in waiting:
        pool.drop(task)
    first = next((i for i, task in enumerate(order) if task in waiting), len(order))
    while len(order) > first:
        order.pop()


class _Cutter:
    """Cuts a crawl into tasks and shards, and finds content that was there before."""

    def __init__(self, crawl: Crawl, dataset: Dataset, limit: int | None, shard_pages: int) -> None:
        self.crawl, self.dataset, self.shard_pages = crawl, dataset, shard_pages
        self.room = None if limit is None else limit - dataset.totals.pages
        self.pages = 0
        self.limited = False

    def __iter__(self) -> Iterator[_Task]:
        task = _Task()
        shard_count = shard_bytes = 0
        items = iter(self.crawl)
        while True:
            item = next(items, None)
            if item is None:
                break
            if self.room is not None and self.pages >= self.room:
                self.limited = True
                break
            self.pages += 1
            if isinstance(item, Page):
                digest = hashlib.sha256(item.content).hexdigest()
                first = self.dataset.index.first(digest, item.source)
                if first == item.source:
                    task.items.append(item)
                    task.digests[item.source] = digest
                    task.bytes += len(item.content)
                    shard_bytes += len(item.content)
                else:
                    task.items.append(_Duplicate(item.source, item.url, digest, first))
            else:
                task.items.append(item)
            shard_count += 1
            task.ends_shard = shard_count >= self.shard_pages or shard_bytes >= SHARD_BYTES
            if task.ends_shard:
                shard_count = shard_bytes = 0
            if task.ends_shard or len(task.items) >= TASK_PAGES or task.bytes >= TASK_BYTES:
                yield task
                task = _Task()
        if task.items:
            yield task


class _Stop:
    """Takes SIGINT and SIGTERM: the first ends the work in order, the second at once."""

    def __init__(self) -> None:
        self.signal = 0

    def __enter__(self) -> _Stop:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: object) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
