"""A machine that has all that it needs to boot and be built, and its boot server: each test takes something away."""

from datetime import timedelta

from django.utils import timezone
from netaddr import IPNetwork

from dcim.models import Interface, MACAddress
from ipam.models import IPAddress, Prefix

from netbox_substruct import preflight
from netbox_substruct.lifecycle import tasks
from netbox_substruct.models import BootServer, Machine, Subnet, Task
from tests.plugin.surface.world import a_world

MAC = '52:54:00:00:00:01'
URL = 'http://mirror.example.com/linux'


class Site:
    """A machine in which nothing is in the way, as far as NetBox knows: `machine`, of `world`, served by `server`."""

    def __init__(self):
        self.world = a_world()
        self.machine, self.second, self.third = self.world.register()
        self.server = BootServer.objects.create(
            name='boot-a', base_url='http://10.1.0.2', last_heartbeat=timezone.now(), heard_since=timezone.now()
        )
        self.server.sites.add(self.world.sites[0])
        prefix = Prefix.objects.create(prefix=IPNetwork('10.1.0.0/24'), scope=self.world.sites[0])
        self.subnet = Subnet.objects.create(
            prefix=prefix, dhcp_enabled=True, gateway='10.1.0.1', boot_server=self.server
        )
        self.port = self.wire(self.machine, MAC, '10.1.0.11/24')
        self.report('present')

    @staticmethod
    def wire(machine, mac, address):
        port = Interface.objects.create(device=machine.device, name='eth0', type='1000base-t')
        MACAddress.objects.create(mac_address=mac, assigned_object=port)
        IPAddress.objects.create(address=IPNetwork(address), assigned_object=port)
        return port

    def report(self, state, error='', server=None):
        """What a boot server says of the one file of the boot image."""
        file = {'source': URL, 'state': state, 'error': error, 'sha256': 'a' * 64, 'time': timezone.now().isoformat()}
        BootServer.objects.filter(pk=(server or self.server).pk).update(files=[file])

    def answer(self, *steps, server=None, ago=0):
        """A boot server was asked and has answered with these steps."""
        preflight.ask(self.machine)
        for task in tasks.claim(server or self.server):
            answer, error = preflight.taken({'format_version': 1, 'steps': list(steps)}, '')
            tasks.answer(task, answer=answer, error=error)
        if ago:
            Task.objects.update(finished=timezone.now() - timedelta(minutes=ago))

    def steps(self, key, user=None, machine=None):
        report = preflight.look(Machine.objects.get(pk=(machine or self.machine).pk), user=user)
        return [step for step in report.steps if step.key == key]

    def outcomes(self, key, **more):
        return [step.outcome for step in self.steps(key, **more)]


def step(key='loader', outcome='failure', *, breaks=True, words='There is no loader.'):
    return {'key': key, 'outcome': outcome, 'words': words, 'remedy': 'Get one.', 'breaks': breaks}
