"""Migrations of the fleet's database, run by Alembic."""
