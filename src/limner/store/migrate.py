"""Bring a database to this version's schema. Alembic is loaded only when there is something to do."""

from importlib.resources import as_file, files

from sqlalchemy import text
from sqlalchemy.engine import Connection

from limner.core.errors import SetupError, StorageError
from limner.store.connections import Connections
from limner.store.schema import tables

_SOUND_CHECK_BYTES = 64 * 1024 * 1024
_OLDEST_POSTGRES = 15
_MIGRATING = 0x6C696D6E6572
"""The number of our advisory lock: "limner"."""


def revisions() -> list[str]:
    """All revisions this version knows, oldest first: the names of the migration files say them."""
    folder = files("limner.store.migrations").joinpath("versions")
    return sorted(entry.name.split("_")[0] for entry in folder.iterdir() if entry.name[0].isdigit())


def migrate(database: Connections) -> None:
    """Check that the database is sound and ours, and bring it up to date.

    Raises `SetupError` for a corrupt file, for another program's database, and for one written by a newer
    Limner, all of which are left untouched.
    """
    try:
        _bring_up(database)
    except StorageError as error:
        raise SetupError(str(error)) from error


def _bring_up(database: Connections) -> None:
    def behind(connection: Connection) -> bool:
        (_check_server if database.shared else _check_sound)(connection)
        return _behind(connection, database.place)

    def upgrade(connection: Connection) -> None:
        if database.shared:
            # Processes that start at the same moment come here one after the other.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        if _behind(connection, database.place):
            _upgrade(connection)

    if database.begin(behind):
        database.begin(upgrade)


def _behind(connection: Connection, place: str) -> bool:
    """Is there something to do? Raises `SetupError` for what is not ours, or newer than we are."""
    known = revisions()
    names = tables(connection)
    versioned = "alembic_version" in names
    strange = sorted(names - {"alembic_version"})
    if strange and not (versioned and "attempts" in names):
        raise SetupError(
            f"{place} holds another program's tables ({', '.join(strange[:3])}, ...); "
            "set LIMNER_DATABASE_URL to a database of its own"
        )
    current = (
        connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if versioned else None
    )
    if current is not None and current not in known:
        raise SetupError(
            f"{place} was written by a newer Limner (schema {current}, this one knows {known[-1]}); "
            "upgrade Limner, or set LIMNER_HOME and LIMNER_DATABASE_URL to others"
        )
    return bool(current != known[-1])


def _check_server(connection: Connection) -> None:
    """What the journal needs of PostgreSQL."""
    version = connection.exec_driver_sql("SHOW server_version").scalar_one()
    if int(version.split(".")[0].split()[0]) < _OLDEST_POSTGRES:
        raise SetupError(f"the journal needs PostgreSQL {_OLDEST_POSTGRES} or newer; this is {version}")
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise SetupError(
            f"database {connection.engine.url.database} is encoded as {encoding}; "
            "make one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def _check_sound(connection: Connection) -> None:
    """SQLite's own check; skipped for large files, where it would delay every start by seconds."""
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    if pages * size > _SOUND_CHECK_BYTES:
        return
    said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if said != "ok":
        raise SetupError(
            f"{connection.engine.url.database} is damaged ({said}); restore it from a backup, "
            "or move it away and start again (pictures in the storage folder stay)"
        )


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.3 s of import that only a new or old database needs
    from alembic.config import Config  # noqa: PLC0415 - as above

    with as_file(files("limner.store.migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
