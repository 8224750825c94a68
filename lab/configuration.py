"""The NetBox configuration of the lab (NETBOX_CONFIGURATION=lab.configuration).

It holds no value of its own that could differ between two labs: those are in a file of the run folder, named by an
environment variable.
"""

import os
from pathlib import Path

from lab.netbox import SETTINGS_VARIABLE, NetBoxSettings
from lab.postgresql import ROLE

_settings = NetBoxSettings.read(Path(os.environ[SETTINGS_VARIABLE]))

ALLOWED_HOSTS = ['*']
DATABASES = {
    'default': {
        'NAME': _settings.database,
        'HOST': _settings.database_sockets,
        'USER': ROLE,
        'CONN_MAX_AGE': 300,
    }
}
REDIS = {
    'tasks': {'URL': f'unix://{_settings.redis_socket}?db=0'},
    'caching': {'URL': f'unix://{_settings.redis_socket}?db=1'},
}
SECRET_KEY = _settings.secret_key
API_TOKEN_PEPPERS = {1: _settings.pepper}

PLUGINS = list(_settings.plugins)

# The lab never calls out: no census, no release check, no catalogue.
ISOLATED_DEPLOYMENT = True
CENSUS_REPORTING_ENABLED = False
COPILOT_ENABLED = False

# Lets `bin/lab manage makemigrations` work; NetBox uses it for nothing else.
DEVELOPER = True
