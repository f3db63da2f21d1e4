"""The store that several hosts share, on PostgreSQL.

Only a configuration with a ``fleet:`` section imports it. Importing it without the packages of the
extra ``gatecert[fleet]``, or with a library of theirs missing, is an error for the operator.
"""

from gatecert.errors import ConfigurationError, Problem, clean

try:
    import psycopg as psycopg  # only to find out
except ImportError as error:
    missing = f"needs psycopg and Alembic: install gatecert[fleet] ({clean(str(error))})"
    raise ConfigurationError([Problem("fleet", "", missing)]) from error
