"""The command ``clausemark``: one readable function a subcommand.

Everything heavy is imported within the subcommand that needs it, so that ``--help`` is instant and
labeling needs no extra. Exit codes: 0 done, 1 failure, 2 bad usage or input.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clausemark import __version__
from clausemark.errors import ClausemarkError, InputError

if TYPE_CHECKING:
    from clausemark.corpus import Policy
    from clausemark.predict import LabeledPolicy, Labeler

FORMATS = ("table", "jsonl", "csv", "parquet", "html")
#: What a folder is searched for.
SUFFIXES = (".html", ".htm", ".xhtml", ".txt", ".md", ".markdown", ".pdf")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clausemark")
def app() -> None:
    """Mark every clause of a privacy policy with its data-practice categories."""


@app.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option(
    "--format", "-f", "formats", multiple=True, type=click.Choice(FORMATS),
    help="What to write; may be given several times.  [default: table]",
)  # fmt: skip
@click.option("--model", metavar="DIR", help="Model folder, or MLflow URI.  [default: the one that ships]")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="PATH",
    help="File, or folder for several files.  [default: the terminal; the current folder for html]",
)  # fmt: skip
@click.option(
    "--text-out", type=click.Path(path_type=Path), metavar="FILE",
    help="Write the extracted text that start and end refer to (a folder for several documents).",
)  # fmt: skip
@click.option("--any-language", is_flag=True, help="Label text that is not English all the same.")
def label(
    files: tuple[str, ...],
    formats: tuple[str, ...],
    model: str | None,
    out: Path | None,
    text_out: Path | None,
    any_language: bool,
) -> None:
    """Label policies: HTML, text, Markdown or PDF files, globs, folders, or - for standard input."""
    from clausemark.predict import Labeler

    formats = tuple(dict.fromkeys(formats)) or ("table",)
    names = list(find_documents(files))
    _check_outputs(names, formats, out, text_out)
    labeler = Labeler.load(model)
    policies: list[LabeledPolicy] = []
    failed = 0
    for name in _progress(names, "labeling"):
        try:
            source = sys.stdin.buffer.read() if name == "-" else Path(name)
            policies.append(labeler.label(source, name=name, any_language=any_language))
            _warn_if_other(policies[-1])
        except ClausemarkError as error:
            failed += 1
            complain(error)
    if policies:
        if text_out:
            _write_texts(policies, text_out)
        try:
            write(policies, formats, out, labeler)
            sys.stdout.flush()
        except BrokenPipeError:
            _hush()
    if failed:
        if len(names) > 1:
            click.echo(f"clausemark: {failed} of {len(names)} documents not labeled", err=True)
        sys.exit(2)


@app.command()
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Dataset.")
@click.option("--model", metavar="DIR", help="Model folder, or MLflow URI.  [default: the one that ships]")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: one a processor]"
)
@click.option("--no-text", is_flag=True, help="Leave out the text of the clauses.")
@click.option("--skip-non-policies", is_flag=True, help="Leave out clauses of pages that are no policies.")
@click.option("--any-language", is_flag=True, help="Label text that is not English all the same.")
@click.option(
    "--column", metavar="NAME", help="Of the pages, in tables and JSON lines.  [default: html, text, ...]"
)
@click.option("--url-column", metavar="NAME", help="Of their addresses.  [default: url, uri]")
@click.option("--source-column", metavar="NAME", help="Of their names.  [default: FILE#ROW]")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Take the first N pages.")
@click.option(
    "--time-limit", type=click.FloatRange(min=0, min_open=True), default=60, show_default=True, metavar="S",
    help="Seconds for a page.",
)  # fmt: skip
@click.option(
    "--memory-limit", type=click.IntRange(min=1), default=512, show_default=True, metavar="MB",
    help="Memory for a page.",
)  # fmt: skip
@click.option(
    "--shard-pages", type=click.IntRange(min=1), default=2000, show_default=True, metavar="N",
    help="Pages of a part of the dataset.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def batch(
    inputs: tuple[str, ...],
    out: Path,
    model: str | None,
    workers: int | None,
    no_text: bool,
    skip_non_policies: bool,
    any_language: bool,
    time_limit: float,
    memory_limit: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Label a crawl into a Parquet dataset; the same command goes on where it was stopped.

    INPUT is a folder, a glob, WARC, JSONL or Parquet files, a saved dataset, or - for a list of these on
    standard input.
    """
    from clausemark.batch import label_crawl
    from clausemark.progress import print_summary, show_progress
    from clausemark.workers import Settings

    settings = Settings(model, not no_text, any_language, skip_non_policies, time_limit, memory_limit)
    with show_progress(inputs, out) as progress:
        summary = label_crawl(inputs, out, settings=settings, workers=workers, progress=progress, **options)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=1, ensure_ascii=False))
    else:
        print_summary(summary)
    if summary.stopped:
        complain(f"{out}: stopped; the same command goes on")
        sys.exit(128 + summary.stopped)


@app.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--format", "-f", "form", type=click.Choice(["table", "html"]), default="table", show_default=True,
    help="What to write.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="File.  [default: the terminal; NEW.diff.html in the current folder for html]",
)  # fmt: skip
@click.option("--exit-code", is_flag=True, help="Exit with 1 if they differ.")
@click.option("--model", metavar="DIR", help="Model folder, or MLflow URI.  [default: the one that ships]")
@click.option("--any-language", is_flag=True, help="Compare text that is not English all the same.")
def diff(
    old: str,
    new: str,
    form: str,
    as_json: bool,
    out: Path | None,
    exit_code: bool,
    model: str | None,
    any_language: bool,
) -> None:
    """Compare two policies: clauses added, removed, reworded and moved, with their categories.

    OLD and NEW are HTML, text, Markdown or PDF files; one of them may be - for standard input.
    """
    from clausemark import diff as differences
    from clausemark import outputs
    from clausemark.predict import Labeler

    if old == new == "-":
        raise InputError("OLD and NEW cannot both be - (standard input)")
    if as_json and form == "html":
        raise InputError("--json and --format html exclude each other")
    labeler = Labeler.load(model)
    policies = []
    for name in (old, new):
        source = sys.stdin.buffer.read() if name == "-" else Path(name)
        policies.append(labeler.label(source, name=name, any_language=any_language))
        _warn_if_other(policies[-1])
    found = differences.compare(*policies)
    if form == "html":
        out = out or Path(f"{_unique_stems(policies[1:])[0]}.diff.html")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") if out else contextlib.nullcontext(sys.stdout) as stream:
        if form == "html":
            stream.write(differences.render_diff(found))
        elif as_json:
            stream.write(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        else:
            differences.print_diff(found, outputs.make_console(stream))
    if out:
        click.echo(f"wrote {out}", err=True)
    if exit_code and found.differs:
        sys.exit(1)


@app.command()
@click.argument("file", metavar="FILE")
@click.option("--clause", "index", type=int, metavar="N", help="Number in the table of label, from 0.")
@click.option("--category", metavar="NAME|CODE", help="Explain this one.  [default: each clause's primary]")
@click.option(
    "--top", type=click.IntRange(min=0), default=15, show_default=True, metavar="N",
    help="Contributions to print of a clause.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON; without --clause a line a clause.")
@click.option("--model", metavar="DIR", help="Model folder, or MLflow URI.  [default: the one that ships]")
@click.option("--any-language", is_flag=True, help="Explain text that is not English all the same.")
def explain(
    file: str,
    index: int | None,
    category: str | None,
    top: int,
    as_json: bool,
    model: str | None,
    any_language: bool,
) -> None:
    """Explain labels: what every word and context field adds to a score, - for standard input.

    Without --clause every clause gets a line with its three strongest reasons.
    """
    from clausemark import explain as reasons
    from clausemark.outputs import make_console
    from clausemark.predict import Labeler

    if category is not None:
        category = reasons.find_category(category)
    labeler = Labeler.load(model)
    source = sys.stdin.buffer.read() if file == "-" else Path(file)
    policy = labeler.label(source, name=file, any_language=any_language)
    console = make_console(sys.stdout)
    if index is not None:
        found = reasons.explain(labeler, policy, index, category)
        if as_json:
            record = found.strongest(top).to_dict()
            record["spans"] = [span._asdict() for span in reasons.spans(found)]
            click.echo(json.dumps(record, indent=1))
        else:
            reasons.render(found, console, top)
        return
    for found in reasons.explain_policy(labeler, policy, top if as_json else 3, category):
        if as_json:
            click.echo(json.dumps(found.to_dict()))
        elif console.is_terminal:
            console.print(reasons.render_line(found), no_wrap=True, overflow="ellipsis")
        else:
            console.print(reasons.render_line(found), soft_wrap=True)


@app.command()
@click.option("--corpus", "paths", multiple=True, required=True, metavar="PATH", help="File or folder.")
@click.option("--model", "folder", required=True, type=click.Path(path_type=Path), metavar="DIR")
@click.option("--params", type=click.Path(path_type=Path), metavar="FILE", help="YAML; section train.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter, over the file.")
@click.option("--split", type=click.Choice(["all", "train", "test"]), default="all", show_default=True)
@click.option("--experiment", default="clausemark", show_default=True, help="Of MLflow.")
@click.option("--track/--no-track", default=True, show_default=True, help="Log the run to MLflow.")
def train(
    paths: tuple[str, ...],
    folder: Path,
    params: Path | None,
    settings: tuple[str, ...],
    split: str,
    experiment: str,
    track: bool,
) -> None:
    """Train a model on annotated policies and save it to a folder."""
    from clausemark.parameters import read_parameters
    from clausemark.pipeline import make_model

    parameters = read_parameters(params, settings)
    policies = _read_split(paths, split)
    with _status(f"training on {len(policies)} policies"):
        classifier, info = make_model(policies, parameters, folder)
    click.echo(f"{folder}: model {info['digest'][:12]} from {len(policies)} policies", err=True)
    _say_metrics(info["metrics"])
    if track and importlib.util.find_spec("mlflow") is None:
        click.echo("not tracked: pip install 'clausemark[train]' logs trainings to MLflow", err=True)
    elif track:
        from clausemark import tracking

        with _status("logging the run to MLflow"):
            run = tracking.track(folder, classifier, policies, experiment=experiment)
        click.echo(f"MLflow run {run}", err=True)
        _register(folder, paths, policies)


@app.command()
@click.option("--model", required=True, metavar="DIR", help="Model folder, or MLflow URI.")
@click.option("--corpus", "paths", multiple=True, required=True, metavar="PATH", help="File or folder.")
@click.option("--split", type=click.Choice(["all", "train", "test"]), default="all", show_default=True)
@click.option("--baseline", metavar="DIR", help="Compare with this model by a paired bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the JSON there too.")
@click.option("--plots", type=click.Path(path_type=Path), metavar="DIR", help="Draw pictures there.")
def evaluate(
    model: str,
    paths: tuple[str, ...],
    split: str,
    baseline: str | None,
    as_json: bool,
    out: Path | None,
    plots: Path | None,
) -> None:
    """Measure a model on annotated policies, with 95 % intervals bootstrapped by policy."""
    from clausemark import evaluation
    from clausemark.predict import Labeler

    policies = _read_split(paths, split)
    labeler = Labeler.load(model)
    with _status(f"evaluating on {len(policies)} policies"):
        found = evaluation.predictions(labeler, policies)
        result = evaluation.evaluate(found)
        report = result.to_dict()
        if baseline:
            other = evaluation.predictions(Labeler.load(baseline), policies)
            report["comparison"] = evaluation.compare(other, found).to_dict()
    if plots:
        from clausemark.plots import draw_evaluation

        draw_evaluation(found, result, labeler.model.thresholds, plots)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        click.echo(evaluation.render(report, evaluation.confusions(found)))


@app.group()
def corpus() -> None:
    """Check, count, import and prepare annotated policies."""


@corpus.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def validate(paths: tuple[str, ...]) -> None:
    """Check corpus files against the schema; name every bad line."""
    from clausemark.corpus import read_corpus
    from clausemark.corpus import validate as check

    problems = check(list(paths))
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        raise InputError(f"{len(problems)} problems in the corpus")
    policies = read_corpus(list(paths))
    click.echo(f"{len(policies)} policies, {sum(len(p.clauses) for p in policies)} clauses: all good")


@corpus.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(paths: tuple[str, ...], as_json: bool) -> None:
    """Count policies, clauses and categories."""
    from clausemark.corpus import read_corpus, statistics

    counts = statistics(read_corpus(list(paths)))
    if as_json:
        click.echo(json.dumps(counts, indent=1, ensure_ascii=False))
        return
    for name, value in counts.items():
        if isinstance(value, dict):
            click.echo(f"\n{name}")
            width = max((len(str(key)) for key in value), default=0)
            for key, count in value.items():
                click.echo(
                    f"  {key!s:{width}}  {count}"
                    if not isinstance(count, dict)
                    else f"  {key!s:{width}}  " + "  ".join(f"{k} {v}" for k, v in count.items())
                )
        else:
            click.echo(f"{name}: {value:.2f}" if isinstance(value, float) else f"{name}: {value}")


@corpus.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR")
@click.option("--unit", type=click.Choice(["clause", "sentence", "segment"]), help="What a line shall be.")
def import_(paths: tuple[str, ...], out: Path, unit: Any) -> None:
    """Import OPP-115, the split of Mousavi Nejad et al. 2020, or TSV files as JSONL."""
    from clausemark.corpus import write_policy
    from clausemark.importers import import_corpus

    policies, report = import_corpus([Path(p) for p in paths], unit=unit)
    out.mkdir(parents=True, exist_ok=True)
    for policy in policies:
        write_policy(policy, out / f"{policy.id}.jsonl")
    for line in report:
        click.echo(f"  {line}", err=True)
    click.echo(f"{out}: {len(policies)} policies, {sum(len(p.clauses) for p in policies)} clauses")


@corpus.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR")
def prepare(paths: tuple[str, ...], out: Path) -> None:
    """Write the corpus as Parquet, a file a split, with its statistics."""
    from clausemark.pipeline import prepare as write_tables

    for path in write_tables(list(paths), out):
        click.echo(f"wrote {path}", err=True)


@corpus.command()
@click.argument("table", type=click.Path(path_type=Path), metavar="TSV")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE")
def second(table: Path, out: Path) -> None:
    """Import second annotations: policy, clause, first codes, second codes."""
    from clausemark.agreement import import_second, write_second

    records = import_second(table)
    write_second(records, out)
    click.echo(f"{out}: {len(records)} clauses annotated twice")


@corpus.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--reference", required=True, metavar="DIR", help="Your copy of OPP-115.")
@click.option("--params", type=click.Path(path_type=Path), metavar="FILE", help="YAML; section train.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter, over the file.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE")
def measure(
    paths: tuple[str, ...], reference: str, params: Path | None, settings: tuple[str, ...], out: Path
) -> None:
    """Measure the corpus against real policies: learning curve, distributions, originality."""
    from clausemark.corpus import read_corpus
    from clausemark.parameters import read_parameters
    from clausemark.reference import measure as compare
    from clausemark.reference import write_measured

    found = compare(
        read_corpus(list(paths)),
        Path(reference),
        parameters=read_parameters(params, settings),
        progress=lambda doing: click.echo(f"{doing} ...", err=True),
    )
    write_measured(found, out)
    click.echo(f"wrote {out}", err=True)


@corpus.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--second", "annotations", required=True, type=click.Path(path_type=Path), metavar="FILE")
@click.option("--measured", "figures", required=True, type=click.Path(path_type=Path), metavar="FILE")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE")
def card(paths: tuple[str, ...], annotations: Path, figures: Path, out: Path) -> None:
    """Write the dataset card with its tables and plots."""
    from clausemark.agreement import read_second
    from clausemark.card import write_card
    from clausemark.corpus import read_corpus
    from clausemark.reference import read_measured

    for path in write_card(read_corpus(list(paths)), read_second(annotations), read_measured(figures), out):
        click.echo(f"wrote {path}", err=True)


@app.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="DIR",
    help="Folder for the pages.  [default: report within DIR]",
)  # fmt: skip
@click.option(
    "--model", metavar="DIR", help="The one that labeled, for reasons.  [default: the one that ships]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON; write no page.")
def report(folder: Path, out: Path | None, model: str | None, as_json: bool) -> None:
    """Report on a crawl: what the policies say that batch has labeled into DIR."""
    from clausemark.predict import Labeler
    from clausemark.report import labeled_by, read_crawl, write_report

    with _status("adding up"):
        if as_json:
            found = read_crawl(folder).to_dict()
        else:
            labeler = Labeler.load(model)
            known = labeled_by(folder, labeler)
            index, *views = write_report(folder, out, labeler if known else None)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        click.echo(
            f"wrote {index}" + (f" and {len(views)} reading views beside it" if views else ""), err=True
        )
        if views and not known:
            complain("the reading views explain nothing: name the model that labeled the crawl with --model")


@app.command("card")
@click.option("--model", required=True, metavar="DIR", help="Model folder, or MLflow URI.")
@click.option("--corpus", "paths", multiple=True, required=True, metavar="PATH", help="File or folder.")
@click.option("--split", type=click.Choice(["all", "train", "test"]), default="test", show_default=True)
@click.option(
    "--plots", type=click.Path(path_type=Path), metavar="DIR", help="Pictures of evaluate, for the Markdown."
)
@click.option("--measured", type=click.Path(path_type=Path), metavar="FILE", help="For the learning curve.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR")
def model_card(
    model: str,
    paths: tuple[str, ...],
    split: str,
    plots: Path | None,
    measured: Path | None,
    out: Path,
) -> None:
    """Write how good a model is as a page: Markdown and HTML."""
    from clausemark.corpus import read_corpus
    from clausemark.predict import Labeler
    from clausemark.reference import read_measured
    from clausemark.scorecard import acquaintance, write_scorecard

    policies = _read_split(paths, split)
    labeler = Labeler.load(model)
    curve = read_measured(measured) if measured else None
    how = acquaintance(labeler.model.info, read_corpus(list(paths)), policies)
    with _status(f"evaluating on {len(policies)} policies"):
        written = write_scorecard(labeler, policies, out, how=how, plots=plots, measured=curve)
    for path in written:
        click.echo(f"wrote {path}", err=True)


@app.command()
@click.option(
    "--model", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Tracked before."
)
@click.option(
    "--corpus", "paths", multiple=True, required=True, metavar="PATH", help="Its test policies count."
)
def register(model: Path, paths: tuple[str, ...]) -> None:
    """Register a tracked model: champion if it beats the champion on the test policies, else challenger."""
    from clausemark import tracking
    from clausemark.corpus import read_corpus

    policies = read_corpus(list(paths))
    with _status("comparing with the champion"):
        result = tracking.register(model, policies)
    click.echo(str(result))


@app.group()
def experiments() -> None:
    """Compare changes of parameters."""


@experiments.command("run")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--corpus", "paths", multiple=True, default=("data/corpus",), show_default=True, metavar="PATH")
@click.option(
    "--params", type=click.Path(path_type=Path), default="params.yaml", show_default=True, metavar="FILE"
)
@click.option("--split", type=click.Choice(["all", "train"]), default="train", show_default=True)
@click.option("--judge", metavar="SOURCE", help="Measure on the policies of this source only, as opp115.")
@click.option("--track/--no-track", default=False, show_default=True, help="Log each to MLflow.")
def run_experiments_(
    folder: Path, paths: tuple[str, ...], params: Path, split: str, judge: str | None, track: bool
) -> None:
    """Run every experiment of a folder and write the table RESULTS.md there."""
    from clausemark import experiments as lab
    from clausemark.parameters import read_parameters

    found = lab.read_experiments(folder)
    policies = _read_split(paths, split)
    results = lab.run_experiments(
        found,
        policies,
        read_parameters(params),
        judge=judge,
        track=track,
        progress=lambda experiment: click.echo(f"{experiment.name} ...", err=True),
    )
    click.echo(lab.write_results(results, policies, folder, judge=judge), nl=False)


def find_documents(files: Sequence[str]) -> Iterator[str]:
    """Expand globs and folders.

    Parameters
    ----------
    files : sequence of str
        ``-`` is standard input.

    Yields
    ------
    str
        Paths, sorted within a folder or glob.

    Raises
    ------
    InputError
        If nothing is named, or a folder or glob holds no document.
    """
    if not files:
        raise InputError("name files to label, or - for standard input")
    for name in files:
        if name == "-":
            yield name
        elif not name or "\0" in name or len(os.fsencode(name)) > 4096:
            raise InputError("is not a file name", where=name[:60] or "''")
        elif Path(name).is_dir():
            found = sorted(
                str(p) for p in Path(name).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
            if not found:
                raise InputError(f"holds no policies ({', '.join(SUFFIXES)})", where=name)
            yield from found
        elif glob.has_magic(name) and not Path(name).exists():
            found = sorted(p for p in glob.iglob(name, recursive=True) if Path(p).is_file())  # noqa: PTH207
            if not found:
                raise InputError("no file fits this pattern", where=name)
            yield from found
        else:
            yield name


def write(
    policies: Sequence[LabeledPolicy],
    formats: Sequence[str],
    out: Path | None,
    labeler: Labeler,
) -> None:
    """Write labeled policies in one or more formats.

    Parameters
    ----------
    policies : sequence of LabeledPolicy
    formats : sequence of str
        Of `FORMATS`.
    out : pathlib.Path, optional
        File or folder; the terminal (the current folder for html) by default.
    labeler : Labeler
        Who labeled them, for the reasons on the page.
    """
    from clausemark import outputs

    folder = _out_folder(out, formats, len(policies))
    names = _unique_stems(policies)
    for form in formats:
        if form == "html":
            from clausemark.explain import reasons
            from clausemark.page import render_page

            for name, policy in zip(names, policies, strict=True):
                path = out if out and not folder else (folder or Path()) / f"{name}.labels.html"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(
                    render_page(policy, thresholds=labeler.thresholds, explanations=reasons(labeler, policy)),
                    encoding="utf-8",
                    newline="",
                )
                click.echo(f"wrote {path}", err=True)
            continue
        target = folder / f"labels.{form}" if folder else out
        if form == "table" and (folder or len(formats) > 1):
            target = None  # a table beside other formats is for the terminal
        if target:
            target.parent.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            with target.open("wb") if target else contextlib.nullcontext(sys.stdout.buffer) as binary:
                outputs.write_parquet(policies, binary)
            continue
        with (
            target.open("w", encoding="utf-8", newline="") if target else contextlib.nullcontext(sys.stdout)
        ) as stream:
            if form == "table":
                outputs.print_table(policies, outputs.make_console(stream))
            elif form == "jsonl":
                outputs.write_jsonl(policies, stream)
            else:
                outputs.write_csv(policies, stream)


def _out_folder(out: Path | None, formats: Sequence[str], documents: int) -> Path | None:
    files = [form for form in formats if form != "table"]
    if out and (out.is_dir() or not out.suffix or len(files) > 1 or ("html" in files and documents > 1)):
        return out
    return None


def _unique_stems(policies: Sequence[LabeledPolicy]) -> list[str]:
    """Name outputs after their documents; a second ``privacy.html`` becomes ``privacy-2``."""
    names: dict[str, None] = {}
    for policy in policies:
        source = policy.document.source
        stem = "policy" if source == "-" else Path(source).stem
        name, number = stem, 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names[name] = None
    return list(names)


def _check_outputs(
    names: Sequence[str], formats: Sequence[str], out: Path | None, text_out: Path | None
) -> None:
    """Say what cannot work before the work is done."""
    if "parquet" in formats and out is None and sys.stdout.isatty():
        raise InputError("Parquet is binary: name a file with --out")
    if text_out and len(names) > 1 and text_out.suffix and not text_out.is_dir():
        raise InputError("several documents: --text-out must be a folder", where=text_out)
    for path in (out, text_out):
        above = next((p for p in path.parents if p.exists()), None) if path else None
        if above and not above.is_dir():
            raise InputError("is a file, not a folder", where=above)
    folder = _out_folder(out, formats, len(names))
    if folder and folder.is_file():
        raise InputError("is a file; several outputs need a folder", where=folder)


def _write_texts(policies: Sequence[LabeledPolicy], target: Path) -> None:
    single = len(policies) == 1 and not target.is_dir()
    if not single:
        target.mkdir(parents=True, exist_ok=True)
    for name, policy in zip(_unique_stems(policies), policies, strict=True):
        path = target if single else target / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(policy.document.text.encode("utf-8"))


def _say_metrics(metrics: Mapping[str, Any], indent: str = "  ") -> None:
    """Print what was measured out of fold, of all and of each corpus if there are several."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            click.echo(f"{indent}{name}", err=True)
            _say_metrics(value, indent + "  ")
        else:
            click.echo(
                f"{indent}{name:34} {value:.4f}"
                if isinstance(value, float)
                else f"{indent}{name:34} {value}",
                err=True,
            )


def _register(folder: Path, paths: Iterable[str], policies: Sequence[Policy]) -> None:
    """Register a model that was just trained, where the test policies can judge it."""
    from clausemark import tracking
    from clausemark.corpus import read_corpus, split_of

    if any(split_of(policy.id) == "test" for policy in policies):
        click.echo("not registered: it has learnt from test policies (use --split train)", err=True)
        return
    everything = read_corpus(list(paths))
    if not any(split_of(policy.id) == "test" for policy in everything):
        click.echo("not registered: the corpus has no test policies to judge it by", err=True)
        return
    click.echo(str(tracking.register(folder, everything)), err=True)


def _read_split(paths: Iterable[str], split: str) -> list[Policy]:
    from clausemark.corpus import read_corpus, split_of

    policies = read_corpus(list(paths))
    chosen = policies if split == "all" else [p for p in policies if split_of(p.id) == split]
    if not chosen:
        raise InputError(f"none of the {len(policies)} policies is in the split {split!r}")
    return chosen


def _progress(names: Sequence[str], doing: str) -> Iterable[str]:
    """Show progress of more than a few documents, where somebody looks."""
    if len(names) < 5 or not sys.stderr.isatty():
        return names
    from rich.console import Console
    from rich.progress import track

    return track(names, doing, console=Console(stderr=True), transient=True)


@contextlib.contextmanager
def _status(doing: str) -> Iterator[None]:
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(doing):
            yield
    else:
        click.echo(f"{doing} ...", err=True)
        yield


def _warn_if_other(policy: LabeledPolicy) -> None:
    """Say in a line that a page, labeled all the same, does not look like a privacy policy."""
    from clausemark.screening import POLICY_SCORE, policy_score

    score = policy_score(policy)
    if score < POLICY_SCORE:
        complain(f"{policy.document.source}: does not look like a privacy policy (score {score:.2f})")


def _hush() -> None:
    """Say nothing more, also not at shutdown: the reader of a pipe has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(error: Exception | str) -> None:
    """Print one line about an error to standard error."""
    from clausemark.outputs import printable

    click.echo(f"clausemark: {printable(str(error))}", err=True)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; errors become one line and an exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal cannot show is replaced; what goes into a file or pipe is UTF-8.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    try:
        result = app.main(args=arguments, prog_name="clausemark", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except ClausemarkError as error:
        complain(error)
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "clausemark"
        complain(f"{error.format_message()} (see {command} --help)")
        sys.exit(2)
    except click.ClickException as error:
        complain(error.format_message())
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        _hush()
        sys.exit(0)
    except (OSError, MemoryError) as error:
        where = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        complain(f"{where}: {reason}" if where else reason)
        sys.exit(1)


if __name__ == "__main__":
    main()
