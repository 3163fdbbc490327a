"""Parquet files that somebody else wrote: what they hold, and values that are none without losing the others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

UNREADABLE: Final = object()


class InputRefused(Exception):
    """A file cannot be read, or is not what was asked for."""


def files_of(source: Path) -> list[Path]:
    """Return the file `source`, or the .parquet files of the folder in the order of their names.

    Raises:
        InputRefused: there is none.
    """
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise InputRefused(f"{source} holds no .parquet file")
    return files


def look_at(path: Path) -> tuple[pa.Schema, int]:
    """Return the columns and the number of rows, without reading them.

    Raises:
        InputRefused: this is no Parquet, or two columns have one name.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise InputRefused(f"{path} cannot be read as Parquet: {error}") from error
    if len({*schema.names}) < len(schema.names):
        raise InputRefused(f"{path} has two columns of one name")
    return schema, rows


def is_text(kind: pa.DataType) -> bool:
    """Tell whether values of this type are strings."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def values(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return Python values; UNREADABLE stands for text that is no UTF-8 and for moments beyond the calendar."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return UNREADABLE


def moment(value: object) -> object:
    """Return a moment told as text in ISO 8601 or without a zone, which is UTC; anything else as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return UNREADABLE
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
