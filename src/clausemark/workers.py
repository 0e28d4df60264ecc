"""Workers: processes that label pages, and may die of one without harm to the others.

A worker that hangs in a page is ended by the alarm that it has set itself, one that takes too much
memory by a limit of the system; a native crash ends it anyway. The `Pool` sees the closed pipe, knows
from shared memory which page it was, and starts another worker.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clausemark.crawl import Failure, Page, Stage
from clausemark.errors import ClausemarkError, InputError, LanguageError, ModelError

if TYPE_CHECKING:
    import pyarrow as pa

    from clausemark.clauses import Clause
    from clausemark.documents import Document
    from clausemark.predict import Labeler, Labels

    #: Position of a page, and what has been read of it.
    _Read = tuple[int, Document, list[Clause]]

#: What a worker writes into shared memory: position of the page in its task, and the stage.
_IDLE: Final = (-1, 0)
_STAGES: Final[tuple[Stage, ...]] = ("read", "extract", "label")
#: Tasks that a worker has at most: one in hand, one waiting, so that it need not wait for the next.
_OUTSTANDING: Final = 2
#: What every worker has from the start; pyarrow imports pandas for the first list that it is given.
_PRELOADED: Final = (
    *(f"clausemark.{name}" for name in ("dataset", "predict", "scorer", "screening", "stops")),
    "pandas",
)
#: Characters of pages from which on they are scored.
GROUP_CHARS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Settings:
    """How pages are labeled.

    Attributes
    ----------
    model : str or None
        Model folder or MLflow URI; None for the one that ships.
    text : bool
        Keep the text of clauses.
    any_language : bool
        Label pages that are not in English all the same.
    skip_non_policies : bool
        Leave out the clauses of pages that are no privacy policies.
    time_limit : float
        Seconds for a page.
    memory_limit : int
        MB for a page, on top of what a worker has anyway.
    """

    model: str | None = None
    text: bool = True
    any_language: bool = False
    skip_non_policies: bool = False
    time_limit: float = 60.0
    memory_limit: int = 512


@dataclass(frozen=True, slots=True)
class Labeled:
    """What became of some pages.

    Attributes
    ----------
    clauses : pyarrow.RecordBatch
        Of those that are labeled, in order.
    outcomes : list of dict or Failure
        For each page its row of documents (without digest and duplicate_of), or why there is none.
    """

    clauses: pa.RecordBatch
    outcomes: list[dict[str, Any] | Failure]


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a worker in the middle of a task.

    Attributes
    ----------
    position : int
        The page that it had in hand, -1 for none.
    stage : {"read", "extract", "label"}
    overtime : bool
        Ended by its alarm.
    message : str
    """

    position: int
    stage: Stage
    overtime: bool
    message: str


def label_pages(
    labeler: Labeler,
    pages: Sequence[Page],
    settings: Settings,
    *,
    mark: Callable[[int, int], None] = lambda position, stage: None,
) -> Labeled:
    """Label pages in this process, without limits.

    Parameters
    ----------
    labeler : Labeler
    pages : sequence of Page
    settings : Settings
        Of which limits do not count here.
    mark : callable, optional
        Told the position of each page as it is begun, and 1 or 2 for extracting or labeling; -1 at
        the end.

    Returns
    -------
    Labeled
    """
    from clausemark.dataset import clause_batch
    from clausemark.documents import parse_document

    outcomes: list[dict[str, Any] | Failure | None] = [None] * len(pages)
    found: list[Labels] = []
    read: list[_Read] = []

    def label(group: Sequence[_Read]) -> None:
        """Score pages together; where that fails, each apart, so that it costs one."""
        try:
            labeled = labeler.label_clauses([(document, clauses) for _, document, clauses in group])
            rows = [_row(pages[place], each) for (place, *_), each in zip(group, labeled, strict=True)]
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    label([one])
            else:
                position = group[0][0]
                outcomes[position] = _failure(pages[position], 2, error, settings)
            return
        for (position, *_), labels, row in zip(group, labeled, rows, strict=True):
            if settings.skip_non_policies and not row["is_policy"]:
                row["clauses"] = 0
            else:
                found.append(labels)
            outcomes[position] = row

    for position, page in enumerate(pages):
        stage = 1
        try:
            mark(position, stage)
            document = parse_document(page.content, name=page.source, media=page.media)
            stage = 2
            mark(position, stage)
            try:
                clauses = labeler.segment(document, any_language=settings.any_language)
            except LanguageError:
                clauses = []
            read.append((position, document, clauses))
        except Exception as error:
            outcomes[position] = _failure(page, stage, error, settings)
        # A large page ends its group, so that the time and the memory that it takes count as its own.
        last = position + 1 == len(pages)
        if read and (last or sum(len(document.text) for _, document, _ in read) >= GROUP_CHARS):
            label(read)
            read = []
    labeled = Labeled(clause_batch(found, text=settings.text), [o for o in outcomes if o is not None])
    mark(*_IDLE)
    return labeled


def count_words(text: str) -> int:
    """Count what white space parts, as ``len(text.split())`` does, in a fraction of its time.

    Parameters
    ----------
    text : str

    Returns
    -------
    int
    """
    from clausemark.scorer import SPACE

    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
    space = SPACE[np.minimum(codes, len(SPACE) - 1)]
    return int(np.count_nonzero(space[:-1] & ~space[1:])) + bool(len(space) and not space[0])


def _row(page: Page, labels: Labels) -> dict[str, Any]:
    """Make a page's row of documents."""
    from clausemark.screening import POLICY_SCORE, policy_score

    document, score = labels.document, policy_score(labels)
    return {
        "source": page.source,
        "url": page.url,
        "language": document.language,
        "title": document.title,
        "bytes": len(page.content),
        "clauses": len(labels.clauses),
        "words": count_words(document.text),
        "is_policy": score >= POLICY_SCORE,
        "policy_score": score,
    }


def _failure(page: Page, stage: int, error: Exception, settings: Settings) -> Failure:
    """Say why a page has no labels."""
    if isinstance(error, InputError):
        message = error.message
    elif isinstance(error, MemoryError):
        gc.collect()
        message = f"needs more than {settings.memory_limit} MB of memory"
    else:  # a fault of ours, and no reason to lose the other pages
        message = f"{type(error).__name__}: {error}"
    return Failure(page.source, _STAGES[stage], message)


# The worker's side --------------------------------------------------------------------------------


def _work(pipe: Connection, place: MutableSequence[int], settings: Settings) -> None:
    """Label what comes through the pipe until it closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to stop
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        from clausemark.predict import Labeler

        labeler = Labeler.load(settings.model)
        labeler.scorer  # noqa: B018 (made now, not in the time of the first page)
    except ClausemarkError as error:
        pipe.send(str(error))
        return
    pipe.send((labeler.model.digest,))
    inbox: queue.SimpleQueue[list[Page]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, inbox), daemon=True).start()

    def mark(position: int, stage: int) -> None:
        place[0], place[1] = position, stage
        if stage == 1:
            _limit_memory(settings.memory_limit)
            # Unhandled, it ends the process whatever it is doing, also in native code.
            signal.setitimer(signal.ITIMER_REAL, settings.time_limit)
        elif position < 0:
            signal.setitimer(signal.ITIMER_REAL, 0)
            _limit_memory(None)

    # Pages leave hardly a cycle; looking for some amid all that is loaded took a twentieth of the time.
    gc.freeze()
    gc.disable()
    while True:
        pages = inbox.get()
        pipe.send(label_pages(labeler, pages, settings, mark=mark))
        gc.collect()


def _receive(pipe: Connection, inbox: queue.SimpleQueue[list[Page]]) -> None:
    """Take tasks from the pipe at once, so that the parent never waits to send; end with the parent."""
    try:
        while True:
            inbox.put(pipe.recv())
    finally:
        os._exit(1)


def _limit_memory(megabytes: int | None) -> None:
    """Limit what this process may take from now on, where the system tells what it has (Linux)."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if megabytes is None:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
        return
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[5])
    except (OSError, IndexError):
        return
    limit = pages * resource.getpagesize() + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


# The parent's side --------------------------------------------------------------------------------


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    place: MutableSequence[int]
    ready: bool = False
    tasks: deque[Any] = field(default_factory=deque)


class Pool:
    """A number of workers; a context manager.

    Tasks are objects with an attribute ``pages``, a list of `Page`.

    Parameters
    ----------
    count : int
        Workers.
    settings : Settings

    Attributes
    ----------
    digest : str
        Of the model that they have loaded.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    ClausemarkError
        If a worker dies before its first page.
    """

    def __init__(self, count: int, settings: Settings) -> None:
        # Not fork: it copies threads' locks. Of this server every worker is a cheap copy.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*_PRELOADED])
        self._settings = settings
        self._workers: list[_Worker] = []
        self._backlog: deque[Any] = deque()
        self.digest = ""
        try:
            for _ in range(count):
                self._workers.append(self._start())
            while not self.digest:
                self.wait(None)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    @property
    def has_room(self) -> bool:
        """Whether a task given now would not have to wait long."""
        return len(self._backlog) < len(self._workers)

    @property
    def waiting(self) -> list[Any]:
        """Tasks that no worker has yet."""
        return list(self._backlog)

    def give(self, task: Any) -> None:
        """Give the pool a task to do."""
        self._backlog.append(task)
        self._send()

    def drop(self, task: Any) -> None:
        """Take back a task that no worker has yet."""
        self._backlog.remove(task)

    def wait(self, timeout: float | None) -> list[tuple[Any, Labeled | Death]]:
        """Wait until a worker has something to say.

        Parameters
        ----------
        timeout : float or None
            Seconds.

        Returns
        -------
        list of (task, Labeled or Death)
        """
        found: list[tuple[Any, Labeled | Death]] = []
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), timeout):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                found += self._bury(worker)
                continue
            if isinstance(message, Labeled):
                found.append((worker.tasks.popleft(), message))
            else:
                self._greet(worker, message)
        self._send()
        return found

    def _send(self) -> None:
        for depth in range(_OUTSTANDING):  # all workers get one before any gets two
            for worker in self._workers:
                if self._backlog and worker.ready and len(worker.tasks) == depth:
                    task = self._backlog.popleft()
                    worker.tasks.append(task)
                    with contextlib.suppress(OSError):  # dead: wait() finds the pipe closed
                        worker.pipe.send(task.pages)

    def _start(self) -> _Worker:
        here, there = self._context.Pipe()
        place = self._context.RawArray("i", _IDLE)
        process = self._context.Process(target=_work, args=(there, place, self._settings), daemon=True)
        process.start()
        there.close()
        return _Worker(process, here, place)

    def _greet(self, worker: _Worker, message: Any) -> None:
        if isinstance(message, str):
            raise ModelError(message)
        if self.digest and message[0] != self.digest:
            raise ModelError("has been changed while it is used", where=self._settings.model)
        self.digest = message[0]
        worker.ready = True

    def _bury(self, worker: _Worker) -> list[tuple[Any, Death]]:
        """Replace a dead worker; tell what it died of, and give others what it had not begun."""
        worker.process.join()
        code = worker.process.exitcode
        worker.pipe.close()
        position, stage = worker.place
        if not worker.ready:
            raise ClausemarkError(f"a worker died as it started ({_cause(code)}): is there enough memory?")
        self._workers[self._workers.index(worker)] = self._start()
        if not worker.tasks:
            return []
        task = worker.tasks.popleft()
        self._backlog.extendleft(reversed(worker.tasks))
        overtime = code == -signal.SIGALRM
        message = (
            f"takes longer than {self._settings.time_limit:g} s" if overtime
            else f"makes the worker crash ({_cause(code)})"
        )  # fmt: skip
        return [(task, Death(position, _STAGES[stage], overtime, message))]


def _cause(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
