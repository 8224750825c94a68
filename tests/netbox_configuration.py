"""The NetBox configuration of the tests (NETBOX_CONFIGURATION=tests.netbox_configuration), like NetBox's own for tests.

tests/conftest.py names the database and Redis of this test run in the environment; without them NetBox can still be
imported, for collecting tests.
"""

import os
import re

from lab.postgresql import ROLE

# Each process of a parallel run has two of Redis's databases for itself: queues must not see each other's jobs.
_worker = int(re.sub(r'\D', '', os.environ.get('PYTEST_XDIST_WORKER', '')) or 0)
_redis = os.environ.get('SUBSTRUCT_TEST_REDIS', '/nonexistent/redis.sock')

ALLOWED_HOSTS = ['*']
DATABASES = {
    'default': {
        # The fixture django_db_setup makes the real one and puts its name here; this one only holds no tables.
        'NAME': 'postgres',
        'HOST': os.environ.get('SUBSTRUCT_TEST_SOCKETS', '/nonexistent'),
        'USER': ROLE,
        'CONN_MAX_AGE': 300,
    }
}
REDIS = {
    'tasks': {'URL': f'unix://{_redis}?db={2 * _worker}'},
    'caching': {'URL': f'unix://{_redis}?db={2 * _worker + 1}'},
}

PLUGINS = ['netbox_substruct']

# Jobs are enqueued at once instead of after the commit, which never comes in a test's transaction.
RQ = {'COMMIT_MODE': 'auto'}

SECRET_KEY = 'only-for-tests-only-for-tests-only-for-tests-only-for-tests'
API_TOKEN_PEPPERS = {1: 'only-for-tests-only-for-tests-only-for-tests-only-for-tests'}

DEFAULT_PERMISSIONS = {}
ISOLATED_DEPLOYMENT = True
CENSUS_REPORTING_ENABLED = False
LOGGING = {'version': 1, 'disable_existing_loggers': True}
DEVELOPER = True
