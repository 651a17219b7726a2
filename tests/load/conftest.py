"""Empty logs in both kinds of database."""

from tests.support.audit_databases import key, postgresql, store, url

__all__ = ["key", "postgresql", "store", "url"]
