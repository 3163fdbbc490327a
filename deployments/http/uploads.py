"""Forms with a file, read as they arrive: the file goes to a disk, hashed on the way, and never stands in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from deployments.http.calls import refused
from deployments.http.problems import Problem, refuse_compressed

# A thread is worth its price for as many bytes.
CHUNK = 1 << 20
MAX_FIELDS = 8
MAX_FIELD_BYTES = 1_024
MAX_NAME = 255


@dataclass
class Form:
    """What a form held beside its file, which was written to `file`; `file_name` is the last part of its path."""

    file: IO[bytes]
    file_name: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    size: int = 0
    digest: bytes = b""


async def receive(request: Request, file: IO[bytes], known: Mapping[str, str]) -> Form:
    """Read a form whose field `file` is a file, and write that to `file`; `known` names the other fields.

    Raises:
        Problem: 415 for another media type, 413 from the gate, 422 for a form that ends early
            or has another field.
    """
    refuse_compressed(request)
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"multipart/form-data" or not options.get(b"boundary"):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the file as multipart/form-data, in the field file.")
    try:
        reader = _Reader(options[b"boundary"], file, known)
        waiting = bytearray()
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= CHUNK:
                await asyncio.to_thread(reader.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(reader.write, bytes(waiting))
    except FormParserError as error:
        raise refused("body", "is no form as multipart/form-data has it") from error
    if not reader.ended:
        raise refused("body", "the form ends early")
    if "file" not in reader.seen:
        raise refused("file", "required")
    file.flush()
    reader.form.digest = reader.hash.digest()
    return reader.form


def path_of(file: IO[bytes]) -> str:
    """Return a path under which other processes of this machine and user open a file that has no name.

    Once this one is closed it may name another: who opens it later compares what it finds with the digest.
    """
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


class _Reader:
    """Takes the form apart; what it finds wrong it raises as a Problem."""

    def __init__(self, boundary: bytes, file: IO[bytes], known: Mapping[str, str]) -> None:
        self.form = Form(file)
        self.hash = hashlib.sha256()
        self.known = known
        self.seen: set[str] = set()
        self.ended = False
        self._name = ""
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._take,
                "on_part_end": self._close,
                "on_end": self._end,
            },
        )

    def write(self, data: bytes) -> None:
        """Read on."""
        if data:
            self._parser.write(data)

    def _begin(self) -> None:
        self._disposition = b""
        self._value.clear()

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")[:MAX_NAME]
        if self._name != "file" and self._name not in self.known:
            raise refused(self._name or "body", f"unknown field; known are file, {', '.join(self.known)}")
        if self._name in self.seen or len(self.seen) >= MAX_FIELDS:
            raise refused(self._name, "stands in the form twice")
        self.seen.add(self._name)
        if self._name == "file":
            self.form.file_name = _last_part(options.get(b"filename", b""))

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            piece = data[start:end]
            self.form.file.write(piece)
            self.form.size += len(piece)
            self.hash.update(piece)
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise refused(self._name, f"is longer than {MAX_FIELD_BYTES} bytes")

    def _close(self) -> None:
        if self._name != "file":
            self.form.fields[self._name] = self._value.decode(errors="replace")

    def _end(self) -> None:
        self.ended = True


def _last_part(name: bytes) -> str | None:
    """The name of a file without the folders, as no more than a label."""
    text = name.decode(errors="replace").replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in text if character.isprintable())[:MAX_NAME] or None
