"""Alembic's entry point: runs the migrations on a connection, or prints their SQL without one."""

from alembic import context
from sqlalchemy import text

SCHEMA = "gatecert"
BEFORE = f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; SET search_path = {SCHEMA}"

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    dialect_name=None if connection else "postgresql",
    literal_binds=not connection,
    transactional_ddl=True,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    if connection is None:
        context.execute(BEFORE)
    else:
        connection.execute(text(BEFORE))
    context.run_migrations()
