"""Small datasets as ``clausemark batch`` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clausemark.dataset import FORMAT
from clausemark.taxonomy import CATEGORIES, CODES

#: A clause: codes of its categories, the primary one first, and what it says.
Said = tuple[str, str]


def clauses(doc: str, said: Sequence[Said], *, review: bool = False) -> list[dict[str, Any]]:
    """Rows of one policy; its scores are 0.9 for what is said, and 0.05 for the rest."""
    rows, start = [], 0
    for index, (codes, text) in enumerate(said):
        labels = [CODES[code] for code in codes.split()]
        rows.append(
            {
                "doc": doc,
                "index": index,
                "paragraph": 0,
                "start": start,
                "end": start + len(text),
                "kind": "sentence",
            }
            | {"heading": "", "text": text, "primary": labels[0], "labels": labels}
            | {name: 0.9 if name in labels else 0.05 for name in CATEGORIES}
            | {"needs_review": review}
        )
        start += len(text) + 1
    return rows


def document(source: str, **known: Any) -> dict[str, Any]:
    """The row of one document: an English policy, unless told otherwise."""
    return {
        "source": source, "url": None, "language": "en", "title": "", "bytes": 1_000, "clauses": 3,
        "words": 300, "is_policy": True, "policy_score": 0.99, "digest": source, "duplicate_of": None,
    } | known  # fmt: skip


def write_crawl(
    folder: Path,
    parts: Sequence[Sequence[Mapping[str, Any]]],
    documents: Sequence[Mapping[str, Any]],
    errors: Sequence[tuple[str, str, str]] = (),
    *,
    without: Sequence[str] = (),
    row_group: int = 1_000,
    model: str = "a" * 64,
) -> Path:
    """Write a dataset; `parts` are the rows of each file of clauses."""
    strings = ("doc", "heading", "text", "primary")
    kinds = {
        **{name: pa.string() for name in strings},
        **{name: pa.int32() for name in ("index", "paragraph", "start", "end")},
        "kind": pa.dictionary(pa.int8(), pa.string()),
        "primary": pa.dictionary(pa.int32(), pa.string()),
        "labels": pa.list_(pa.dictionary(pa.int32(), pa.string())),
        **{name: pa.float32() for name in CATEGORIES},
        "needs_review": pa.bool_(),
    }
    order = ["doc", "index", "paragraph", "start", "end", "kind", "heading", "text", "primary", "labels"]
    order += [*CATEGORIES, "needs_review"]
    schema = pa.schema([(name, kinds[name]) for name in order if name not in without])
    for number, rows in enumerate(parts):
        path = folder / "clauses" / f"part-{number:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [{name: row[name] for name in schema.names} for row in rows]
        pq.write_table(pa.Table.from_pylist(kept, schema=schema), path, row_group_size=row_group)
    kinds = {
        **{name: pa.string() for name in ("source", "url", "language", "title", "digest", "duplicate_of")},
        "bytes": pa.int64(), "clauses": pa.int32(), "words": pa.int32(),
        "is_policy": pa.bool_(), "policy_score": pa.float32(),
    }  # fmt: skip
    schema = pa.schema([(name, kinds[name]) for name in document("")])
    for name, table in (
        ("documents", pa.Table.from_pylist(list(documents), schema=schema)),
        (
            "errors",
            pa.Table.from_pylist(
                [dict(zip(("source", "stage", "message"), row, strict=True)) for row in errors],
                schema=pa.schema([(name, pa.string()) for name in ("source", "stage", "message")]),
            ),
        ),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name / "part-00000.parquet")
    (folder / "manifest.json").write_text(json.dumps({"format": FORMAT, "model": model}))
    return folder
