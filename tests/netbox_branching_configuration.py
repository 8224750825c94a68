"""NetBox with netbox-branching beside ours, for tests of the two together (NETBOX_CONFIGURATION names it)."""

import os

from netbox_branching.utilities import DynamicSchemaDict

from tests.netbox_configuration import *  # noqa: F403

PLUGINS = ['netbox_substruct', 'netbox_branching']
DATABASES['default']['NAME'] = os.environ['SUBSTRUCT_TEST_BRANCHING_DATABASE']  # noqa: F405
DATABASES = DynamicSchemaDict(DATABASES)  # noqa: F405
DATABASE_ROUTERS = ['netbox_branching.database.BranchAwareRouter']
PLUGINS_CONFIG = {'netbox_branching': {'provision_workers': 1}}
