"""Everything that is stored of an account's posts as a table to take along: CSV for spreadsheets, Parquet exact."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.outcomes.cells import neutralized
from pipelines.outcomes.posts import Counts

TableFormat = Literal["csv", "parquet"]
TableContent = Literal["posts", "days"]
TEXTS = ("post_id", "kind", "text", "source", "promoted")
MOMENTS = ("posted_at", "captured_at")
# One row a reading; promoted is JSON.
COLUMNS = (
    *("post_id", "posted_at", "kind", "text", "captured_at", "source", "template_id"),
    *(field.name for field in fields(Counts)),
    "promoted",
)
SCHEMA = pa.schema(
    [
        (name, pa.string() if name in TEXTS else pa.timestamp("us", "UTC") if name in MOMENTS else pa.int64())
        for name in COLUMNS
    ]
)
# One row a day and kind of export; counts are JSON, since each kind has its own.
DAYS = pa.schema(
    [("day", pa.date32()), ("source", pa.string()), ("captured_at", pa.timestamp("us", "UTC")), ("counts", pa.string())]
)
SCHEMAS: Mapping[TableContent, pa.Schema] = {"posts": SCHEMA, "days": DAYS}
ROW_GROUP = 20_000


class CsvTable:
    """Rows as CSV in UTF-8; a cell that a spreadsheet would run has a ' in front, which an import undoes."""

    media_type = "text/csv; charset=utf-8"

    def __init__(self, schema: pa.Schema = SCHEMA) -> None:
        self._columns = schema.names
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer)
        self._writer.writerow(self._columns)

    def write(self, rows: Sequence[Any]) -> bytes:
        """Return the rows, which tell their values by column; the first time behind the header."""
        self._writer.writerows([_cell(row[name]) for name in self._columns] for row in rows)
        return self._taken()

    def close(self) -> bytes:
        """Return what is left."""
        return self._taken()

    def _taken(self) -> bytes:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode()


class ParquetTable:
    """Rows as Parquet, each value as it is stored."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self, schema: pa.Schema = SCHEMA) -> None:
        self._schema = schema
        self._buffer = io.BytesIO()
        self._writer = pq.ParquetWriter(_Forward(self._buffer), schema, compression="zstd")
        self._waiting: list[Any] = []

    def write(self, rows: Sequence[Any]) -> bytes:
        """Return what of the table is finished by these rows, which tell their values by column; it comes in groups."""
        self._waiting += rows
        if len(self._waiting) >= ROW_GROUP:
            self._flush()
        return self._taken()

    def close(self) -> bytes:
        """Return the rest and the index of the table."""
        self._flush()
        self._writer.close()
        return self._taken()

    def _flush(self) -> None:
        columns = [pa.array([row[field.name] for row in self._waiting], field.type) for field in self._schema]
        self._writer.write_table(pa.table(columns, schema=self._schema))
        self._waiting = []

    def _taken(self) -> bytes:
        return _drained(self._buffer)


class _Forward(io.RawIOBase):
    """A file that is only written on: what was taken out of `buffer` still counts for the position."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__()
        self._buffer = buffer
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._place += len(data)
        return self._buffer.write(data)

    def tell(self) -> int:
        return self._place


def _drained(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return neutralized(value)
    return value.isoformat() if isinstance(value, date) else value


TABLES: Mapping[TableFormat, type[CsvTable | ParquetTable]] = {"csv": CsvTable, "parquet": ParquetTable}
