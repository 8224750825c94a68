"""NetBox with the plugin netbox_dns beside ours, for tests of the two together (NETBOX_CONFIGURATION names it)."""

import os

from tests.netbox_configuration import *  # noqa: F403

PLUGINS = ['netbox_dns', 'netbox_substruct']
DATABASES['default']['NAME'] = os.environ['SUBSTRUCT_TEST_DNS_DATABASE']  # noqa: F405
