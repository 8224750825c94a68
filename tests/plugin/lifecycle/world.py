"""A device with a profile that can be built, for tests of the lifecycle."""

from dcim.models import Device, DeviceRole, DeviceType, Manufacturer, Platform, Site
from users.models import User

from netbox_substruct.lifecycle import machines
from netbox_substruct.models import BootImage, Profile


def a_device(name='srv-1', status='planned', **fields):
    site, _ = Site.objects.get_or_create(name='Berlin', slug='ber')
    manufacturer, _ = Manufacturer.objects.get_or_create(name='Acme', slug='acme')
    device_type, _ = DeviceType.objects.get_or_create(manufacturer=manufacturer, model='S1', slug='s1')
    role, _ = DeviceRole.objects.get_or_create(name='Server', slug='server')
    return Device.objects.create(name=name, site=site, device_type=device_type, role=role, status=status, **fields)


def a_profile(name='Debian', **fields):
    platform, _ = Platform.objects.get_or_create(name='Debian 13', slug='debian-13')
    image, _ = BootImage.objects.get_or_create(
        name='Debian 13 installer',
        defaults={
            'platform': platform,
            'kernel_url': 'http://mirror.example.com/linux',
            'initrds': [{'source': 'http://mirror.example.com/initrd.gz'}],
            'arguments': 'auto=true',
        },
    )
    return Profile.objects.create(name=name, slug=name.lower(), boot_image=image, **fields)


def a_machine(name='srv-1', status='planned', profile=None):
    return machines.register(a_device(name, status), profile=profile or a_profile())


def a_user(name='operator'):
    return User.objects.create_user(name)
