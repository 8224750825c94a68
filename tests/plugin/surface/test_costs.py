"""Lists cost a fixed number of queries, however many objects they show."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dcim.models import DeviceRole, DeviceType, Manufacturer, Site
from extras.models import ConfigTemplate
from ipam.models import VLAN, VRF, Prefix
from utilities.testing import APITestCase, TestCase

from netbox_substruct.models import BootImage, BootServer, DiscoveryRule, Profile, ProfileTemplate, Subnet, Zone

LISTS = ('bootserver', 'subnet', 'zone', 'bootimage', 'profile', 'profiletemplate', 'discoveryrule')


def make(numbers):
    """One object of each model for each number, each with related objects of its own."""
    manufacturer, _ = Manufacturer.objects.get_or_create(name='Acme', slug='acme')
    for n in numbers:
        site = Site.objects.create(name=f'Site {n}', slug=f'site-{n}')
        role = DeviceRole.objects.create(name=f'Role {n}', slug=f'role-{n}')
        device_type = DeviceType.objects.create(manufacturer=manufacturer, model=f'S{n}', slug=f's{n}')
        vlan = VLAN.objects.create(vid=n + 1, name=f'VLAN {n}')
        prefix = Prefix.objects.create(
            prefix=f'10.{n}.0.0/16', vrf=VRF.objects.create(name=f'VRF {n}'), vlan=vlan, scope=site
        )
        boot_server = BootServer.objects.create(name=f'boot-{n}', base_url='http://10.0.0.2')
        boot_server.sites.add(site)
        boot_server.prefixes.add(prefix)
        Subnet.objects.create(prefix=prefix, boot_server=boot_server)
        Zone.objects.create(name=f'z{n}.example.com', boot_server=boot_server)
        boot_image = BootImage.objects.create(name=f'image-{n}', method='live', kernel_url='http://h/linux')
        parent = Profile.objects.create(name=f'Parent {n}', slug=f'parent-{n}')
        profile = Profile.objects.create(name=f'Profile {n}', slug=f'profile-{n}', parent=parent, boot_image=boot_image)
        template = ConfigTemplate.objects.create(name=f'Template {n}', template_code='x')
        ProfileTemplate.objects.create(profile=profile, kind='ipxe', config_template=template)
        DiscoveryRule.objects.create(
            name=f'Rule {n}', role=role, device_type=device_type, site=site, profile=profile, condition={'a': 1}
        )


class Costs:
    @classmethod
    def setUpTestData(cls):
        make(range(2))

    def count(self, url, **extra):
        with CaptureQueriesContext(connection) as queries:
            self.assertHttpStatus(self.client.get(url, **extra), 200)
        return len(queries)

    def check(self, viewname, **extra):
        self.add_permissions(*(f'netbox_substruct.view_{model}' for model in LISTS))
        urls = {model: reverse(viewname.format(model)) for model in LISTS}
        for url in urls.values():
            self.client.get(url, **extra)  # fills the caches of content types and the like
        few = {model: self.count(url, **extra) for model, url in urls.items()}
        make(range(2, 12))
        many = {model: self.count(url, **extra) for model, url in urls.items()}
        self.assertEqual(few, many)


class Pages(Costs, TestCase):
    def test_lists_of_pages(self):
        self.check('plugins:netbox_substruct:{}_list')


class API(Costs, APITestCase):
    def test_lists_of_the_api(self):
        self.check('plugins-api:netbox_substruct-api:{}-list', **self.header)
