"""Migrations: bring the schema of the fleet's database up to date, with the login of its owner.

The schema changes in two steps, so that hosts of two releases can share a database: a release
expands it, and a later one contracts it and raises ``fleet.oldest_schema``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection


def migrate(connect: Callable[[], Connection]) -> None:
    """Bring the schema up to date in one transaction.

    Args:
        connect: Returns a new connection with the login of the owner.
    """
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def migration_sql() -> str:
    """Return the SQL that creates the newest schema in an empty database."""
    text = io.StringIO()
    command.upgrade(_config(text), "head", sql=True)
    return text.getvalue()


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", f"{__package__}:migrations")
    config.set_main_option("path_separator", "os")
    return config
