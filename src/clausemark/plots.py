"""Pictures of an evaluation: static, the same bytes from the same figures, readable at 800 pixels.

Every ``plot_x(data)`` returns a figure that is attached to no screen; `save` writes it, and
`draw_evaluation` writes all that one evaluation gives. matplotlib comes with the extra ``train`` and
is imported when the first picture is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clausemark.errors import InputError, MissingExtraError
from clausemark.evaluation import BINS, Evaluation, Predictions, coverage_curve
from clausemark.taxonomy import CATEGORIES, CODES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_evaluation",
    "drawing",
    "plot_calibration",
    "plot_categories",
    "plot_confusion",
    "plot_coverage",
    "plot_learning_curve",
    "plot_thresholds",
    "save",
]

#: Colours that colour-blind readers tell apart (Okabe and Ito 2008, "Color Universal Design").
BLUE, ORANGE, GREEN, PURPLE, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"
_SERIES: Final = (BLUE, ORANGE, GREEN, PURPLE, BLACK)
#: Told apart also in print without colours.
_DASHES: Final = ("-", "--", "-.", ":", "-")
GREY: Final = "#767676"
#: Inches, at `DPI` 800 pixels.
WIDTH: Final = 8.0
DPI: Final = 100
_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: no machine draws another
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "clausemark",  # ids in an SVG are random otherwise
    "svg.fonttype": "path",
}
_FORMATS: Final[dict[str, dict[str, None]]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}


def draw_evaluation(
    predictions: Predictions, evaluation: Evaluation, thresholds: ArrayLike, folder: str | Path
) -> list[Path]:
    """Draw and write every picture of one evaluation.

    Parameters
    ----------
    predictions : Predictions
    evaluation : Evaluation
        Of these predictions.
    thresholds : array-like of shape (12,)
        Of the model, to mark.
    folder : str or pathlib.Path
        Made if missing.

    Returns
    -------
    list of pathlib.Path
        calibration.png, categories.png, confusion.png, coverage.png, thresholds.png.

    Raises
    ------
    InputError
        If the pictures cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    folder = Path(folder)
    return [
        save(plot_calibration(predictions), folder / "calibration.png"),
        save(plot_categories(evaluation), folder / "categories.png"),
        save(plot_confusion(predictions), folder / "confusion.png"),
        save(plot_coverage(predictions), folder / "coverage.png"),
        save(plot_thresholds(predictions, thresholds), folder / "thresholds.png"),
    ]


def save(figure: Figure, path: str | Path) -> Path:
    """Write a picture; the same figure always gives the same bytes with one version of matplotlib.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or pathlib.Path
        Ends in .png or .svg; its folder is made if missing.

    Returns
    -------
    pathlib.Path
        Of the file written.

    Raises
    ------
    InputError
        If the path ends in anything else or cannot be written.
    """
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise InputError("pictures are .png or .svg: name it so", where=path)
    with _style():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=DPI, facecolor="white", metadata=_FORMATS[path.suffix])
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}", where=path) from None
    return path


@contextmanager
def drawing(height: float, rows: int = 1, columns: int = 1, **layout: Any) -> Iterator[tuple[Figure, Any]]:
    """Make a figure to draw on, in the look that all pictures have; at the end it is laid out.

    Parameters
    ----------
    height : float
        Inches; the width is `WIDTH`.
    rows, columns : int
        Of axes.
    **layout
        As for `matplotlib.figure.Figure.subplots`.

    Yields
    ------
    matplotlib.figure.Figure
    matplotlib.axes.Axes, or ndarray of them
        One, or as many as asked for.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    with _style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        yield figure, figure.subplots(rows, columns, **layout)
        # Once and for all: constrained layout moves a little at every drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


# Pictures ----------------------------------------------------------------------------------------


def plot_calibration(predictions: Predictions) -> Figure:
    """Draw how often what is said with some probability is so, and how often it is said.

    Parameters
    ----------
    predictions : Predictions

    Returns
    -------
    matplotlib.figure.Figure
        Reliability diagram in 15 bins, of the primary category and of all twelve probabilities of
        every clause, over a histogram of both. Marks of fewer than 10 cases are hollow.
    """
    series = (
        ("primary category is right", predictions.confidence, predictions.right, BLUE, "o", "-"),
        (
            "any category is annotated",
            predictions.probabilities.ravel(),
            predictions.targets.ravel(),
            ORANGE,
            "s",
            "--",
        ),
    )
    edges = np.linspace(0, 1, BINS + 1)
    with drawing(7.0, rows=2, sharex=True, height_ratios=[3, 1]) as (figure, (top, bottom)):
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfectly calibrated")
        for name, chances, truth, colour, mark, dash in series:
            bins = np.minimum((chances * BINS).astype(int), BINS - 1)
            counts = np.bincount(bins, minlength=BINS)
            some = counts > 0
            x = np.bincount(bins, chances, minlength=BINS)[some] / counts[some]
            y = np.bincount(bins, truth, minlength=BINS)[some] / counts[some]
            few = counts[some] < 10
            top.plot(x, y, color=colour, linestyle=dash, marker=mark, markersize=6, label=name)
            top.plot(x[few], y[few], mark, color=colour, markerfacecolor="white", markersize=6)
            bottom.stairs(counts, edges, color=colour, linestyle=dash, linewidth=1.8)
        top.set(title="Calibration", ylabel="share that is so", ylim=(-0.02, 1.02), xlim=(0, 1))
        top.legend(loc="upper left")
        bottom.set(xlabel="probability given", ylabel="cases", yscale="log")
        bottom.set_ylim(bottom=0.8)
    return figure


def plot_thresholds(predictions: Predictions, thresholds: ArrayLike) -> Figure:
    """Draw the F1 of every category against its threshold.

    Parameters
    ----------
    predictions : Predictions
        Best those out of fold that the thresholds were chosen on, and those of unseen policies.
    thresholds : array-like of shape (12,)
        The thresholds in use, which are marked.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a category, with precision and recall. They are those of the threshold alone; a model
        also gives its most probable category below the threshold, so `evaluate` differs a little.
    """
    cuts = np.asarray(thresholds, dtype=float)
    grid = np.linspace(0, 1, 201)
    with drawing(8.6, rows=4, columns=3, sharex=True, sharey=True) as (figure, axes):
        for k, (ax, name) in enumerate(zip(axes.flat, CATEGORIES, strict=True)):
            truth = predictions.targets[:, k]
            ax.set_title(name, fontsize=9, pad=4)
            ax.axvline(cuts[k], color=BLACK, linewidth=1, linestyle=":")
            if not truth.any():
                ax.text(0.5, 0.5, "does not occur", ha="center", va="center", color=GREY, fontsize=9)
                continue
            chances = predictions.probabilities[:, k]
            precision, recall, f1 = _curve(chances, truth, grid)
            ax.plot(grid, precision, color=ORANGE, linewidth=1, linestyle="--", label="precision")
            ax.plot(grid, recall, color=GREEN, linewidth=1, linestyle="-.", label="recall")
            ax.plot(grid, f1, color=BLUE, linewidth=2, label="F1")
            here = float(_curve(chances, truth, cuts[[k]])[2][0])
            ax.plot(cuts[k], here, "o", color=BLACK, markersize=5, label="threshold in use")
            side, gap = ("right", -6) if cuts[k] > 0.5 else ("left", 6)
            note = ax.annotate(
                f"{here:.2f} at {cuts[k]:.2f}", (cuts[k], 0.05), (gap, 0), textcoords="offset points", ha=side
            )
            note.set(fontsize=9)
            note.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
        axes[0, 0].set(xlim=(0, 1), ylim=(0, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        figure.supxlabel("threshold on the probability", fontsize=10)
        legends = [ax.get_legend_handles_labels() for ax in axes.flat]
        figure.legend(*max(legends, key=lambda legend: len(legend[1])), loc="outside upper center", ncols=4)
    return figure


def plot_confusion(predictions: Predictions) -> Figure:
    """Draw which primary categories are taken for which.

    Parameters
    ----------
    predictions : Predictions

    Returns
    -------
    matplotlib.figure.Figure
        Shares of the clauses of each annotated category, in per cent, and their number; 0 is left
        blank.
    """
    size = len(CATEGORIES)
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (predictions.primary, predictions.predicted), 1)
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, None]
    with drawing(7.4) as (figure, ax):
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        ax.grid(False)
        ax.spines[:].set_visible(False)
        for i, j in zip(*np.nonzero(counts), strict=True):
            dark = shares[i, j] > 0.5
            per_cent = f"{100 * shares[i, j]:.0f}" if shares[i, j] > 0.005 else "<1"
            weight = "bold" if i == j else "normal"
            ax.text(j, i, per_cent, ha="center", va="center", color="white" if dark else BLACK, weight=weight)
        ax.set_xticks(range(size), list(CODES))
        labels = [
            f"{name}  {code}\n{count:,} clauses" if count else f"{name}  {code}\nnone"
            for (code, name), count in zip(CODES.items(), support, strict=True)
        ]
        ax.set_yticks(range(size), labels, fontsize=9)
        ax.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        ax.grid(True, which="minor", color="white", linewidth=2)
        ax.tick_params(which="both", length=0)
        ax.set(xlabel="primary category given by the model")
        _title(figure, "What the clauses of each annotated category are taken for (% of a row)")
    return figure


def plot_coverage(predictions: Predictions | Mapping[str, Predictions]) -> Figure:
    """Draw accuracy against the share of clauses kept, the most certain first.

    Parameters
    ----------
    predictions : Predictions, or mapping of str to Predictions
        Of one model, or of up to five by name.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there are none or more than five.
    """
    several = {"": predictions} if isinstance(predictions, Predictions) else dict(predictions)
    if not 1 <= len(several) <= len(_SERIES):
        raise InputError(f"a picture takes 1 to {len(_SERIES)} models, not {len(several)}")
    lowest = 1.0
    with drawing(5.0) as (figure, ax):
        for (name, found), colour, dash in zip(several.items(), _SERIES, _DASHES, strict=False):
            curve = coverage_curve(found)
            # The first few are right or wrong by chance: the curve begins where 20 and 1 % are kept.
            start = max(20 / len(found.primary), 0.01)
            shown = curve.coverage >= min(start, 1.0)
            coverage, accuracy = curve.coverage[shown], curve.accuracy[shown]
            ax.plot(coverage, accuracy, color=colour, linestyle=dash, label=name or None)
            lowest = min(lowest, float(accuracy.min()))
            if name:
                continue
            for level, mark in ((0.9, "o"), (0.7, "s"), (0.5, "^")):
                at = int((curve.confidence[shown] >= level).sum()) - 1
                if at >= 0:
                    told = f"probability ≥ {level}: {accuracy[at]:.0%} right of {coverage[at]:.0%} of clauses"
                    ax.plot(coverage[at], accuracy[at], mark, color=BLACK, markersize=7, label=told)
        ax.set(xlim=(0, 1.005), ylim=(max(0, np.floor(lowest * 10) / 10 - 0.1), 1.01))
        ax.set(xlabel="share of clauses kept, the most certain first", ylabel="top-1 accuracy of these")
        ax.set_title("Accuracy against coverage")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")
        if ax.get_legend_handles_labels()[1]:
            ax.legend(loc="lower left")
    return figure


def plot_categories(evaluation: Evaluation) -> Figure:
    """Draw the F1 of every category with its 95 % interval.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    matplotlib.figure.Figure
        Bars in the order of the categories; what does not occur has none.
    """
    with drawing(5.6) as (figure, ax):
        for k, name in enumerate(CATEGORIES):
            row, (low, high) = evaluation.per_label[name], evaluation.label_intervals[name]
            if not row["support"]:
                ax.text(0.01, k, "does not occur", va="center", color=GREY)
                continue
            ax.barh(k, row["f1"], height=0.66, color=BLUE)
            if not np.isnan(low):
                ax.plot([low, high], [k, k], color=BLACK, linewidth=1.4, marker="|", markersize=9)
            ax.text(1.04, k, f"{row['f1']:.2f}", va="center")
        mean = evaluation.figures["macro_f1"]
        ax.axvline(mean, color=ORANGE, linestyle="--", linewidth=1.4, zorder=0.9)
        ax.annotate(f"mean {mean:.2f}", (mean, -0.75), (4, 0), textcoords="offset points", color=ORANGE)
        labels = [f"{name} ({int(evaluation.per_label[name]['support']):,})" for name in CATEGORIES]
        ax.set_yticks(range(len(CATEGORIES)), labels)
        ax.set(xlim=(0, 1.1), ylim=(len(CATEGORIES) - 0.4, -1.1), xlabel="F1, with 95 % intervals by policy")
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
        _title(figure, "F1 of each category (and the clauses that have it)")
    return figure


def plot_learning_curve(evaluations: Mapping[int, Evaluation]) -> Figure:
    """Draw what more training policies bring.

    Parameters
    ----------
    evaluations : mapping of int to Evaluation
        Number of training policies -> figures of the model trained on them, on the same clauses.

    Returns
    -------
    matplotlib.figure.Figure
        Top-1 accuracy, micro and macro F1 with 95 % intervals.

    Raises
    ------
    InputError
        If there is no point to draw.
    """
    if not evaluations:
        raise InputError("a learning curve needs evaluations of at least one model")
    sizes = sorted(evaluations)
    names = {"top1_accuracy": "top-1 accuracy", "micro_f1": "micro F1", "macro_f1": "macro F1"}
    with drawing(5.0) as (figure, ax):
        for (key, name), colour, dash, mark in zip(names.items(), _SERIES, _DASHES, "os^", strict=False):
            values = [evaluations[size].figures[key] for size in sizes]
            low, high = np.array([evaluations[size].intervals[key] for size in sizes]).T
            ax.fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)
            ax.plot(sizes, values, color=colour, linestyle=dash, marker=mark, markersize=5, label=name)
        ax.set(xlabel="policies trained on", ylabel="on unseen policies, with 95 % intervals")
        ax.set_title("Learning curve")
        ax.set_xlim(left=0)
        ax.legend(loc="lower right")
    return figure


# Parts -------------------------------------------------------------------------------------------


def _curve(
    chances: NDArray[np.float64], truth: NDArray[np.int64], cuts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Precision (NaN where nothing is given), recall and F1 at each cut."""
    order = np.argsort(chances, kind="stable")
    below = np.searchsorted(chances[order], cuts, side="left")
    given = len(chances) - below
    hits = truth.sum() - np.concatenate([[0], np.cumsum(truth[order])])[below]
    precision = np.divide(hits, given, out=np.full(len(cuts), np.nan), where=given > 0)
    return precision, hits / truth.sum(), 2 * hits / (given + truth.sum())


def _title(figure: Figure, text: str) -> None:
    """Set a title over the labels of the axis too, where they take much of the width."""
    figure.suptitle(text, fontsize=12, x=0.01, ha="left")


def _style() -> AbstractContextManager[None]:
    """Set the look for the time that a figure is drawn; the user's own settings stay as they are."""
    try:
        from matplotlib import style
    except ImportError:
        raise MissingExtraError("plots", "train") from None
    return style.context(["default", _STYLE])
