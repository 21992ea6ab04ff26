"""Migrations: the files, and running them."""
