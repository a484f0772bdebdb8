"""SQLite's errors as ours, with the way out."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from limner.core.errors import SetupError, StorageError
from limner.store.connections import Taken

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_locked(error: Exception) -> bool:
    """Has another connection the file?"""
    return _code(error) & 0xFF in _LOCKED


def told(error: Exception, file: str) -> Exception:
    """The database's error as one of ours, with the way out; other errors as they are."""
    cause, code = _cause(error), _code(error)
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return Taken(str(cause))
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StorageError(f"the disk that holds {file} is full; free some space and try again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR:
            return StorageError(f"{file} cannot be written: {cause}; check the folder's permissions and disk")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return SetupError(
                f"{file} is not a sound Limner database: {cause}; restore it from a backup, "
                "or move it away and start again (pictures in the storage folder stay)"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(f"{file} is locked by another program; close it and try again")
        case _:
            return error


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _code(error: Exception) -> int:
    cause = _cause(error)
    if not isinstance(cause, sqlite3.Error):
        return sqlite3.SQLITE_OK
    return int(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK))
