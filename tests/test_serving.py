"""Serving: MLflow answers with the rows that the command line writes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clausemark import Labeler
from clausemark.tracking import register, track
from tiny import tiny_model, tiny_policies

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow

#: A server that is not up by then will not come up, even on a busy machine.
PATIENCE = 120.0
CHAMPION = "models:/clausemark@champion"
PLAIN = "Privacy\n\nWe collect your emails when you sign up. You can opt out of photos at any time."
PAGE = "<h1>Privacy</h1><p>Firewalls guard payments against theft.</p><ul><li>We share cookies.</li></ul>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model that is the champion of a store of its own."""
    place = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/mlflow.db")
        patch.chdir(place)
        patch.setattr("clausemark.tracking.draw_evaluation", lambda *arguments: None)
        policies = tiny_policies("train")
        track(place / "model", tiny_model(place / "model", policies), policies)
        register(place / "model", tiny_policies("test"))
        yield place / "model"


@pytest.fixture(scope="module")
def pyfunc(folder: Path) -> Any:
    return mlflow.pyfunc.load_model(CHAMPION)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """``mlflow models serve``, up and on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder.parent / "server.log"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        CHAMPION,
    ]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # MLflow starts uvicorn by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env={**os.environ, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE
        while True:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                with urllib.request.urlopen(f"{url}/ping", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # the group is its own: see start_new_session
        server.wait(30)


def ask(address: str, content: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def rows(folder: Path, *documents: str) -> list[dict[str, Any]]:
    """What the command line writes for documents of these names."""
    labeler = Labeler.load(folder)
    return [
        row
        for number, document in enumerate(documents)
        for row in labeler.label(document.encode(), name=str(number)).to_records()
    ]


def test_the_server_answers_with_the_rows_of_the_command_line(address: str, folder: Path) -> None:
    status, answer = ask(address, {"inputs": [PLAIN, PAGE]})
    assert status == 200
    assert answer == {"predictions": rows(folder, PLAIN, PAGE)}
    assert len({row["primary"] for row in answer["predictions"]}) > 1


def test_the_command_line_labels_by_the_alias(folder: Path) -> None:
    command = [sys.executable, "-m", "clausemark", "label", "--format", "jsonl"]
    command += ["--model", CHAMPION, "-"]
    done = subprocess.run(command, input=PLAIN.encode(), capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [{**row, "doc": "0"} for row in found] == rows(folder, PLAIN)


def test_the_server_refuses_a_document_that_cannot_be_labeled(address: str) -> None:
    status, answer = ask(address, {"inputs": [PLAIN, ""]})
    assert status == 400
    assert "document 1: is empty" in answer["message"]


def test_the_server_refuses_what_is_not_a_list_of_texts(address: str) -> None:
    assert ask(address, {"inputs": [1, 2]})[0] == 400
    assert ask(address, {"documents": [PLAIN]})[0] == 400


def test_a_document_is_never_taken_for_the_path_of_a_file(pyfunc: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("We keep payments for two years.", encoding="utf-8")
    (row,) = pyfunc.predict([str(secret)])
    assert row["text"] == str(secret)


def test_other_languages_are_refused_unless_asked_for(pyfunc: Any) -> None:
    german = "Wir erheben Ihre Daten, wenn Sie sich anmelden, und geben sie nicht an Dritte weiter. " * 5
    with pytest.raises(mlflow.MlflowException, match=r"document 0: is not in English"):
        pyfunc.predict([german])
    assert len(pyfunc.predict([german], params={"any_language": True})) == 5


def test_no_documents_give_no_rows(pyfunc: Any) -> None:
    assert list(pyfunc.predict([])) == []
