"""The command ``clausemark label``: formats, files, and one line for whatever is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from clausemark import __version__
from clausemark.cli import find_documents, main
from clausemark.errors import InputError

SENTENCE = "We share photos with advertisers."
PAGE = f"<html><h1>Sharing</h1><p>{SENTENCE}</p><p>You can opt out of photos at any time.</p></html>"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(tiny_model: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run ``clausemark label``; give exit code, output and errors."""

    def label(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["label", "--model", str(tiny_model), *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return label


def save(name: str, content: str | bytes = PAGE) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(out: str) -> list[str]:
    return [json.loads(line)["text"] for line in out.splitlines()]


# Formats -----------------------------------------------------------------------------------------


def test_the_table_is_the_default(run) -> None:  # type: ignore[no-untyped-def]
    code, out, err = run(save("p.html"))
    assert (code, err) == (0, "")
    assert "Third Party Sharing/Collection" in out
    assert SENTENCE in out


def test_jsonl_to_the_terminal(run) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("--format", "jsonl", save("p.html"))
    assert code == 0
    assert texts(out) == ["Sharing", SENTENCE, "You can opt out of photos at any time."]


@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "parquet", "html"])
def test_every_format_to_a_file(run, form: str) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("--format", form, "--out", f"new/here.{form}", save("p.html"))
    assert (code, out) == (0, "")
    assert [str(path) for path in Path("new").iterdir()] == [f"new/here.{form}"]
    content = Path(f"new/here.{form}").read_bytes()
    assert content.startswith(b"PAR1") if form == "parquet" else SENTENCE.encode() in content


def test_every_format_to_a_folder_at_once(run) -> None:  # type: ignore[no-untyped-def]
    forms = [part for form in ("table", "jsonl", "csv", "parquet", "html") for part in ("--format", form)]
    code, out, _ = run(*forms, "--out", "labels", save("p.html"))
    assert code == 0
    assert SENTENCE in out  # the table
    names = {"labels.jsonl", "labels.csv", "labels.parquet", "p.labels.html"}
    assert {path.name for path in Path("labels").iterdir()} == names
    assert len(pd.read_parquet("labels/labels.parquet")) == len(pd.read_csv("labels/labels.csv")) == 3


def test_a_table_beside_a_file_goes_to_the_terminal(run) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("--format", "table", "--format", "jsonl", "--out", "x.jsonl", save("p.html"))
    assert code == 0
    assert "category" in out
    assert len(texts(Path("x.jsonl").read_text(encoding="utf-8"))) == 3


def test_pages_of_files_with_one_name_do_not_overwrite_one_another(run) -> None:  # type: ignore[no-untyped-def]
    files = [save("a/privacy.html"), save("b/privacy.html"), save("c/privacy.txt", SENTENCE)]
    code, _, _ = run("--format", "html", "--out", "pages", "--text-out", "texts", *files)
    assert code == 0
    assert {path.name for path in Path("pages").iterdir()} == {
        "privacy.labels.html",
        "privacy-2.labels.html",
        "privacy-3.labels.html",
    }
    assert {path.name for path in Path("texts").iterdir()} == {
        "privacy.txt",
        "privacy-2.txt",
        "privacy-3.txt",
    }


@pytest.mark.parametrize("content", [PAGE, f"  {SENTENCE}\r\n\r\n• Photos;\r\n• ümläuts.\r\n"])
def test_text_out_holds_the_text_that_offsets_refer_to(run, content: str) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("--format", "jsonl", "--text-out", "deep/text.txt", save("p", content))
    assert code == 0
    text = Path("deep/text.txt").read_bytes().decode("utf-8")
    for record in map(json.loads, out.splitlines()):
        assert text[record["start"] : record["end"]] == record["text"]
    if content != PAGE:
        assert text == content


# Inputs ------------------------------------------------------------------------------------------


def test_standard_input(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PAGE.encode())))
    code, out, _ = run("--format", "jsonl", "-")
    assert code == 0
    assert json.loads(out.splitlines()[0])["doc"] == "-"


def test_globs_and_folders(run) -> None:  # type: ignore[no-untyped-def]
    for name in ("in/a.html", "in/b.txt", "in/deep/c.md", "in/logo.png"):
        save(name, PAGE if name.endswith("html") else SENTENCE)
    assert [Path(name).name for name in find_documents(["in"])] == ["a.html", "b.txt", "c.md"]
    assert [Path(name).name for name in find_documents(["in/*.html", "in/**/*.md"])] == ["a.html", "c.md"]
    code, out, _ = run("--format", "jsonl", "in")
    assert code == 0
    assert len({json.loads(line)["doc"] for line in out.splitlines()}) == 3


def test_a_file_may_be_named_like_a_glob(run) -> None:  # type: ignore[no-untyped-def]
    assert run(save("what[1].html"))[0] == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "name files to label"),
        (["gone.html"], "gone.html: no such file"),
        (["*.nothing"], "*.nothing: no file fits this pattern"),
        (["empty-folder"], "empty-folder: holds no policies"),
        (["empty.txt"], "empty.txt: is empty"),
        (["blank.txt"], "blank.txt: is empty"),
        (["junk.bin"], "junk.bin: is binary"),
        (["no-text.html"], "no-text.html: holds no text"),
        (["broken.pdf"], "broken.pdf: "),
        (["nested.html"], "nested.html: nests its tags"),
        (["french.html"], "french.html: is not in English"),
        (["x" * 5000], "is not a file name"),
        ([""], "is not a file name"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, files: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    Path("empty-folder").mkdir()
    save("empty.txt", "")
    save("blank.txt", " \n\t")
    save("junk.bin", bytes(range(256)) * 50)
    save("no-text.html", "<html><body></body></html>")
    save("broken.pdf", b"%PDF-1.4\nnothing")
    save("nested.html", "<div>" * 100_000 + SENTENCE)
    french = "Nous recueillons votre nom et votre adresse quand vous ouvrez un compte, et nous les gardons."
    save("french.html", f"<p>{french}</p>" * 5)
    code, out, err = run(*files)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert "Traceback" not in err


def test_good_files_are_labeled_and_bad_ones_listed(run) -> None:  # type: ignore[no-untyped-def]
    code, out, err = run("--format", "jsonl", save("a.html"), save("bad.txt", ""), "gone.md", save("b.html"))
    assert code == 2
    assert len(texts(out)) == 6
    assert err.splitlines() == [
        "clausemark: bad.txt: is empty",
        "clausemark: gone.md: no such file",
        "clausemark: 2 of 4 documents not labeled",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xml", "p.html"], "'xml' is not one of"),
        (["--no-such", "p.html"], "--no-such"),
        (["--model", "nowhere", "p.html"], "nowhere: no model here"),
        (["--out", "p.html/x.jsonl", "p.html"], "p.html: is a file, not a folder"),
        (["--out", "p.html/x/y.jsonl", "p.html"], "p.html: is a file, not a folder"),
        (["-f", "csv", "-f", "jsonl", "--out", "p.html", "p.html"], "p.html: is a file; several outputs"),
        (["--text-out", "all.txt", "p.html", "p.html"], "--text-out must be a folder"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(run, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    save("p.html")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert Path("p.html").read_text(encoding="utf-8") == PAGE


def test_names_cannot_write_to_the_terminal(run) -> None:  # type: ignore[no-untyped-def]
    _, _, err = run("evil\x1b[31m\nname.html")
    assert "\x1b" not in err
    assert err.count("\n") == 1


def test_a_folder_without_a_policy_raises() -> None:
    with pytest.raises(InputError):
        list(find_documents([]))


# As a process ------------------------------------------------------------------------------------


def command(
    *arguments: str | Path, module: str = "clausemark", **environment: str
) -> subprocess.Popen[bytes]:
    import clausemark

    source = str(Path(clausemark.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source, **environment},
    )


def test_version() -> None:
    out, _ = command("--version").communicate()
    assert out.decode().split()[-1] == __version__


def test_predict_as_a_module_writes_jsonl(tiny_model: Path) -> None:
    out, err = command("--model", tiny_model, save("p.html"), module="clausemark.predict").communicate()
    assert err == b""
    assert len(texts(out.decode())) == 3


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
def test_a_reader_that_has_seen_enough_is_no_error(tiny_model: Path, form: str) -> None:
    process = command("label", "--model", tiny_model, "--format", form, save("p.html", PAGE * 200))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_output_is_utf_8_whatever_the_locale(tiny_model: Path) -> None:
    page = save("p.html", "<p>We share “photos” – 数据.</p>")
    process = command(
        "label", "--model", tiny_model, "-f", "jsonl", page, PYTHONIOENCODING="ascii", LC_ALL="C"
    )
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert texts(out.decode("utf-8")) == ["We share “photos” – 数据."]


# explain -----------------------------------------------------------------------------------------


def explained(tiny_model: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    save("page.html")
    with pytest.raises(SystemExit) as caught:
        main(["explain", "page.html", "--model", str(tiny_model), *arguments])
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def test_explain_names_the_reasons_of_every_clause(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = explained(tiny_model, capsys)
    assert code == 0
    assert SENTENCE in out


def test_explained_contributions_add_up(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = explained(tiny_model, capsys, "--clause", "1", "--category", "TPS", "--json", "--top", "5")
    assert code == 0
    found = json.loads(out)
    total = found["intercept"] + found["rest"] + sum(part["value"] for part in found["contributions"])
    assert total == pytest.approx(found["score"], abs=1e-4)


@pytest.mark.parametrize("wrong", [("--clause", "99"), ("--category", "Cookies"), ("--top", "-1")])
def test_explain_refuses_what_is_not_there(
    tiny_model: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
) -> None:
    code, _, err = explained(tiny_model, capsys, *wrong)
    assert code == 2
    assert len(err.splitlines()) == 1
