"""Empty logs in both kinds of database."""

from tests.support.audit_databases import _database, key, postgresql, postgresql_url, sqlite_url, store, url

__all__ = ["_database", "key", "postgresql", "postgresql_url", "sqlite_url", "store", "url"]
