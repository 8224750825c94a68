"""Two sites with devices, a virtual machine, and a profile that builds them: what tests of machines and builds need."""

from dataclasses import dataclass

from core.models import ObjectType
from dcim.models import Device, DeviceRole, DeviceType, Manufacturer, Site
from extras.models import ConfigTemplate
from users.models import ObjectPermission, User
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_substruct.models import BootImage, Machine, Profile, ProfileTemplate

IPXE = '#!ipxe\necho {{ machine.name }} of {{ parameters.owner }} — ü\nboot\n'


@dataclass
class World:
    sites: list[Site]
    devices: list[Device]  # two at the first site, one at the second; none of them active
    virtual_machine: VirtualMachine
    profile: Profile
    template: ConfigTemplate

    def register(self) -> list[Machine]:
        """The three devices as machines, in their order."""
        return [Machine.objects.create(device=device, profile=self.profile) for device in self.devices]


def a_world() -> World:
    sites = [Site.objects.create(name=f'Site {letter}', slug=f'site-{letter.lower()}') for letter in 'AB']
    manufacturer = Manufacturer.objects.create(name='Acme', slug='acme')
    device_type = DeviceType.objects.create(manufacturer=manufacturer, model='S1', slug='s1')
    role = DeviceRole.objects.create(name='Server', slug='server')
    devices = [
        Device.objects.create(
            name=name, site=site, device_type=device_type, role=role, status='planned', serial=f'SN-{name}'
        )
        for name, site in (('a-1', sites[0]), ('a-2', sites[0]), ('b-1', sites[1]))
    ]
    cluster = Cluster.objects.create(name='Cluster', type=ClusterType.objects.create(name='KVM', slug='kvm'))
    virtual_machine = VirtualMachine.objects.create(name='vm-1', cluster=cluster, status='planned')
    image = BootImage.objects.create(
        name='debian-13', kernel_url='http://mirror.example.com/linux', kernel_sha256='a' * 64
    )
    template = ConfigTemplate.objects.create(name='Install', template_code=IPXE)
    profile = Profile.objects.create(
        name='Debian', slug='debian', boot_image=image, parameters={'owner': 'web', 'disk': {'scheme': 'lvm'}}
    )
    ProfileTemplate.objects.create(profile=profile, kind='ipxe', config_template=template)
    return World(sites, devices, virtual_machine, profile, template)


def permit(user: User, model: type, *actions: str, **constraints: object) -> ObjectPermission:
    """Give a user actions on a model, limited to what the constraints say."""
    permission = ObjectPermission.objects.create(
        name=f'{model._meta.label} {actions}', actions=list(actions), constraints=constraints or None
    )
    permission.users.add(user)
    permission.object_types.add(ObjectType.objects.get_for_model(model))
    return permission
