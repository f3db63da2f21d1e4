"""The store that several hosts share, on PostgreSQL.

Only a configuration with a ``fleet:`` section imports it. Importing it without the packages of the
extra ``gatecert[fleet]`` is an error for the operator.
"""

from gatecert.errors import ConfigurationError, Problem

try:
    import psycopg as psycopg  # only to find out
except ImportError as error:
    missing = "needs psycopg and Alembic, which are not installed: install gatecert[fleet]"
    raise ConfigurationError([Problem("fleet", "", missing)]) from error
