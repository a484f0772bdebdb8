"""Bring a database to this version's schema. Alembic is loaded only when there is something to do."""

from importlib.resources import as_file, files

from sqlalchemy import text
from sqlalchemy.engine import Connection

from limner.core.errors import SetupError, StorageError
from limner.store.database import Database

_SOUND_CHECK_BYTES = 64 * 1024 * 1024


def revisions() -> list[str]:
    """All revisions this version knows, oldest first: the names of the migration files say them."""
    folder = files("limner.store.migrations").joinpath("versions")
    return sorted(entry.name.split("_")[0] for entry in folder.iterdir() if entry.name[0].isdigit())


def migrate(database: Database) -> None:
    """Check that the file is sound and ours, and bring it up to date.

    Raises `SetupError` for a corrupt file, for another program's database, and for one written by a newer
    Limner, all of which are left untouched.
    """
    try:
        _bring_up(database)
    except StorageError as error:
        raise SetupError(str(error)) from error


def _bring_up(database: Database) -> None:
    known = revisions()
    current = database.begin(_current)
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise SetupError(
            f"{database.url.removeprefix('sqlite:///')} was written by a newer Limner (schema {current}, "
            f"this one knows {known[-1]}); upgrade Limner, or set LIMNER_HOME to another folder"
        )
    database.begin(_upgrade)


def _current(connection: Connection) -> str | None:
    """The file's revision, None for a new one."""
    _check_sound(connection)
    names = set(connection.dialect.get_table_names(connection))
    if "alembic_version" in names:
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])
    if names:
        raise SetupError(
            f"{connection.engine.url.database} holds another program's tables "
            f"({', '.join(sorted(names)[:3])}, ...); set LIMNER_DATABASE_URL to a file of its own"
        )
    return None


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
