"""What can go wrong in the store; the docstring of a class is its message. Driver errors are translated here alone."""

from __future__ import annotations

import asyncpg


class StoreError(Exception):
    """The store could not do its work."""

    def __str__(self) -> str:
        return ": ".join([(self.__doc__ or "").strip().rstrip("."), *(str(arg) for arg in self.args if arg)])


class StoreUnavailable(StoreError):
    """The database cannot be used now; the same call may succeed later."""


class ConnectionLost(StoreUnavailable):
    """The connection to the database is gone."""


class RowRefused(StoreError):
    """The database refuses a value of a row."""

    def __init__(self, sqlstate: str, constraint: str | None = None) -> None:
        super().__init__(sqlstate, constraint)
        self.constraint = constraint


class MigrationChanged(StoreError):
    """A migration was edited after it had been applied; put it back and add a new one."""


class ServerFailed(StoreError):
    """An embedded server does not run."""


DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

# SQLSTATE classes, https://www.postgresql.org/docs/18/errcodes-appendix.html
# Cardinality violation (a row twice in a batch), data exception, integrity constraint, program limit exceeded.
_VALUE_CLASSES = ("21", "22", "23", "54")
_LOST_CLASSES = ("08", "25006", "57P")  # connection exception, read-only transaction, shutting down or starting up
_PASSING_CLASSES = (
    "40",  # transaction rollback: deadlock, serialization
    "53",  # insufficient resources: too many connections, disk full
    "55",  # object not in prerequisite state: lock not available
    "57",  # operator intervention: statement timeout
    "58",  # system error
    # Not set up for us yet: authorization, database, schema, table, column.
    *("28", "3D", "3F", "42501", "42P01", "42703"),
)


def translate(error: Exception) -> StoreError:
    """Return the store's error for one of DRIVER_ERRORS.

    Drops the detail of a Postgres error, which repeats the refused row: texts of users do not belong in logs.
    """
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None
        return _from_sqlstate(error.sqlstate or "", type(error).__name__, error.constraint_name)
    if isinstance(error, asyncpg.ClientConfigurationError):
        return StoreError(str(error))
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        # asyncpg's own DataError: a value that cannot be sent, such as a lone surrogate.
        return RowRefused("22000")
    return StoreUnavailable("no answer in time") if isinstance(error, TimeoutError) else ConnectionLost(repr(error))


def _from_sqlstate(sqlstate: str, name: str, constraint: str | None) -> StoreError:
    if sqlstate.startswith(_VALUE_CLASSES):
        return RowRefused(sqlstate, constraint)
    if sqlstate.startswith(_LOST_CLASSES):
        return ConnectionLost(f"{name} {sqlstate}")
    if sqlstate.startswith(_PASSING_CLASSES):
        return StoreUnavailable(f"{name} {sqlstate}")
    return StoreError(f"{name} {sqlstate}")
