"""Recording on PostgreSQL: the tests of the unit tier, with another database."""

from tests.support.audit_databases import postgresql_url as url  # noqa: F401  a fixture
from tests.unit.gateway.audit.test_log import *  # noqa: F403
