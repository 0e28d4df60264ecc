"""Pictures: they show the figures, fit their frame, and come out the same every time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from clausemark.errors import InputError, MissingExtraError
from clausemark.evaluation import evaluate
from clausemark.plots import (
    draw_evaluation,
    plot_calibration,
    plot_categories,
    plot_confusion,
    plot_coverage,
    plot_learning_curve,
    plot_thresholds,
    save,
)
from clausemark.taxonomy import CATEGORIES, CODES
from test_evaluation import some_predictions

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("matplotlib.image")

PREDICTIONS = some_predictions(policies=10, size=40)
EVALUATION = evaluate(PREDICTIONS, resamples=50)
THRESHOLDS = np.linspace(0.1, 0.9, 12)
PICTURES: dict[str, Any] = {
    "calibration": lambda: plot_calibration(PREDICTIONS),
    "thresholds": lambda: plot_thresholds(PREDICTIONS, THRESHOLDS),
    "confusion": lambda: plot_confusion(PREDICTIONS),
    "coverage": lambda: plot_coverage(PREDICTIONS),
    "models": lambda: plot_coverage({"words": some_predictions(skill=0.5), "context": PREDICTIONS}),
    "categories": lambda: plot_categories(EVALUATION),
    "learning": lambda: plot_learning_curve(
        {n: evaluate(some_predictions(skill=s), resamples=50) for n, s in ((20, 0.5), (40, 1.0), (80, 2.0))}
    ),
}
every_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


def texts(figure: Any) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text()]


@every_picture
def test_a_picture_is_800_pixels_wide_and_nothing_is_cut_off(draw: Any, tmp_path: Path) -> None:
    pixels = matplotlib.image.imread(save(draw(), tmp_path / "picture.png"))
    assert pixels.shape[1] == 800
    assert pixels[2:-2, 2:-2].min() < 0.2
    # What goes over the edge leaves ink on it.
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert edge.min() == 1


@every_picture
def test_no_text_is_smaller_than_can_be_read(draw: Any) -> None:
    sizes = [t.get_fontsize() for t in draw().findobj(matplotlib.text.Text) if t.get_text()]
    assert min(sizes) >= 9


@every_picture
def test_the_same_figures_give_the_same_bytes_whatever_the_users_settings(draw: Any, tmp_path: Path) -> None:
    first = save(draw(), tmp_path / "first.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 31, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        second = save(draw(), tmp_path / "second.svg").read_bytes()
        assert matplotlib.rcParams["font.size"] == 31
    assert first == second


def test_a_picture_names_neither_its_day_nor_its_maker(tmp_path: Path) -> None:
    figure = plot_categories(EVALUATION)
    svg, png = (save(figure, tmp_path / f"plot{suffix}").read_bytes() for suffix in (".svg", ".png"))
    assert b"date" not in svg
    assert b"Matplotlib" not in svg
    assert b"Software" not in png
    with matplotlib.rc_context({"savefig.dpi": 7, "savefig.facecolor": "red"}):
        assert save(figure, tmp_path / "again.png").read_bytes() == png


def test_an_evaluation_is_drawn_into_a_folder(tmp_path: Path) -> None:
    drawn = draw_evaluation(PREDICTIONS, EVALUATION, THRESHOLDS, tmp_path / "deep" / "plots")
    assert [path.name for path in drawn] == [
        "calibration.png", "categories.png", "confusion.png", "coverage.png", "thresholds.png",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plot\.pdf: pictures are \.png or \.svg"):
        save(plot_coverage(PREDICTIONS), tmp_path / "plot.pdf")


def test_a_folder_that_is_a_file_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save(plot_coverage(PREDICTIONS), tmp_path / "file" / "plot.png")


# What they show ------------------------------------------------------------------------------------


def test_thresholds_in_use_are_marked_where_the_f1_is_theirs() -> None:
    figure = plot_thresholds(PREDICTIONS, THRESHOLDS)
    for k, ax in enumerate(figure.axes[:11]):
        assert ax.get_title(loc="left") == CATEGORIES[k]
        ((x, y),) = next(line for line in ax.lines if line.get_marker() == "o").get_xydata()
        given = PREDICTIONS.probabilities[:, k] >= THRESHOLDS[k]
        assert x == THRESHOLDS[k]
        assert y == pytest.approx(f1_score(PREDICTIONS.targets[:, k], given))


def test_categories_that_do_not_occur_are_said_to() -> None:
    assert "does not occur" in texts(plot_categories(EVALUATION))
    assert "does not occur" in texts(plot_thresholds(PREDICTIONS, THRESHOLDS))
    assert "Practice not covered  PNC\nnone" in texts(plot_confusion(PREDICTIONS))


def test_the_confusion_matrix_tells_shares_of_each_annotated_category() -> None:
    figure = plot_confusion(PREDICTIONS)
    shares = figure.axes[0].images[0].get_array()
    assert np.asarray(shares).sum(axis=1)[:11] == pytest.approx(np.ones(11))
    for k in range(11):
        assert shares[k, k] == pytest.approx(PREDICTIONS.right[PREDICTIONS.primary == k].mean())
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == list(CODES)


def test_the_reliability_diagram_shows_the_share_of_each_bin() -> None:
    figure = plot_calibration(PREDICTIONS)
    line = next(x for x in figure.axes[0].lines if x.get_label() == "primary category is right")
    last = PREDICTIONS.confidence * 15 >= 14
    assert line.get_xydata()[-1] == pytest.approx(
        [PREDICTIONS.confidence[last].mean(), PREDICTIONS.right[last].mean()]
    )
    assert figure.axes[1].patches[0].get_data().values.sum() == len(PREDICTIONS.primary)


def test_bars_carry_the_f1_of_their_category() -> None:
    figure = plot_categories(EVALUATION)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == [EVALUATION.per_label[name]["f1"] for name in CATEGORIES[:11]]


def test_one_policy_is_drawn_without_intervals() -> None:
    alone = evaluate(some_predictions(policies=1))
    bars = plot_categories(alone).axes[0]
    assert [line for line in bars.lines if line.get_marker() == "|"] == []
    plot_learning_curve({1: alone}).draw_without_rendering()


def test_a_handful_of_clauses_can_be_drawn() -> None:
    few = some_predictions(policies=1, size=3)
    for draw in (plot_calibration, plot_coverage, plot_confusion):
        draw(few).draw_without_rendering()
    plot_thresholds(few, [0.5] * 12).draw_without_rendering()


def test_points_of_the_coverage_curve_are_told_in_words() -> None:
    sure = replace(PREDICTIONS, probabilities=np.eye(12)[PREDICTIONS.primary] * 0.95)
    assert "probability ≥ 0.9: 100% right of 100% of clauses" in texts(plot_coverage(sure))


@pytest.mark.parametrize("models", [{}, {str(n): PREDICTIONS for n in range(6)}], ids=["none", "six"])
def test_a_coverage_picture_takes_a_few_models(models: Any) -> None:
    with pytest.raises(InputError, match="1 to 5 models"):
        plot_coverage(models)


def test_a_learning_curve_needs_points() -> None:
    with pytest.raises(InputError, match="at least one"):
        plot_learning_curve({})


# matplotlib is optional ----------------------------------------------------------------------------


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"plots needs an extra: pip install 'clausemark\[train\]'"):
        plot_coverage(PREDICTIONS)


def test_importing_the_module_loads_no_matplotlib_and_drawing_no_pyplot() -> None:
    program = """
import sys, clausemark.plots as plots
assert "matplotlib" not in sys.modules
with plots.drawing(1.0):
    assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
