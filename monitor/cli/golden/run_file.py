"""The file of a run under way: append-only, locked, and continued after an interruption."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from monitor.backtest.event_files import UnreadableInput
from monitor.golden.run_record import AnswerRecord, Run, RunEnd, RunHeader, encode_line, mismatch, read_run


class RunFile:
    """The file of a run. Each record is handed to the system at once, so a kill of the process loses none.

    Attributes:
        run: what the file has.
    """

    def __init__(self, path: Path, file: BinaryIO, run: Run) -> None:
        self.path, self.run = path, run
        self._file = file

    def keep(self, record: AnswerRecord) -> None:
        """Append a record."""
        self._file.write(encode_line(record))

    def end(self, time: str) -> None:
        """Mark the run as complete."""
        if not self.run.is_complete:
            self._file.write(encode_line(RunEnd(ended=time)))
            os.fsync(self._file.fileno())
            self.run.is_complete = True

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_run_file(path: Path, header: RunHeader, *, resumes: bool, fresh: bool) -> RunFile:
    """Open the file of a run.

    Args:
        path: of the file.
        header: of this run.
        resumes: whether to continue what the file has.
        fresh: whether to replace an unfinished run.

    Raises:
        UnreadableInput: it cannot be written, another process writes it, or it is an unfinished run and neither
            ``resumes`` nor ``fresh`` says what to do with it.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
    except OSError as error:
        raise UnreadableInput(f"--run {path}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UnreadableInput(f"--run {path}: another golden run writes it; give another --run") from None
    try:
        return _opened(path, file, header, resumes, fresh)
    except BaseException:
        file.close()
        raise


def _opened(path: Path, file: BinaryIO, header: RunHeader, resumes: bool, fresh: bool) -> RunFile:
    if os.fstat(file.fileno()).st_size and not fresh:
        run, size = _read(path, file)
        if resumes:
            if fault := mismatch(header, run.header, str(path)) or _changed(header, run.header, path):
                raise UnreadableInput(f"--resume: {fault}")
            file.truncate(size)  # a half line, which a kill left
            file.seek(0, os.SEEK_END)
            return RunFile(path, file, run)
        if not run.is_complete:
            raise UnreadableInput(
                f"--run {path}: is unfinished ({run.count} answers); continue with --resume, or start again with"
                " --fresh"
            )
    elif resumes and not fresh:
        raise UnreadableInput(f"--resume: {path} is empty or does not exist; leave --resume out")
    file.truncate(0)
    file.seek(0)
    file.write(encode_line(header))
    return RunFile(path, file, Run(header))


def _read(path: Path, file: BinaryIO) -> tuple[Run, int]:
    with path.open("rb") as lines:
        try:
            return read_run(lines)
        except ValueError as error:
            raise UnreadableInput(f"--run {path}: {error}; or give another --run") from None


def _changed(header: RunHeader, other: RunHeader, path: Path) -> str:
    for name in ("target", "repeat"):
        before, now = getattr(other, name), getattr(header, name)
        if before != now:
            return f"{path} was begun with --{name} {before}, not {now}; give the same, or --fresh"
    return ""
