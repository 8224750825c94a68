"""NetBox takes the plugin, and says so."""

from django.test import SimpleTestCase
from django.urls import reverse

from utilities.testing import APITestCase

from netbox_substruct.version import __version__


class PluginIsInstalled(APITestCase):
    def test_status_names_the_plugin_and_its_version(self):
        response = self.client.get(reverse('api-status'), **self.header)
        self.assertEqual(response.json()['plugins'], {'netbox_substruct': __version__})


class VersionRange(SimpleTestCase):
    def test_the_declared_range_is_that_of_netbox_4_7(self):
        from netbox_substruct import config

        self.assertEqual((config.min_version, config.max_version), ('4.7.0', '4.7.99'))
