"""What the feed makes of netbox_dns.  Run by test_dns.py in a process of its own, whose NetBox has both plugins."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402

call_command('migrate', verbosity=0, interactive=False)

from netbox_dns.models import NameServer, Record, View  # noqa: E402
from netbox_dns.models import Zone as DNSZone  # noqa: E402

from dcim.models import Device  # noqa: E402
from ipam.models import IPAddress  # noqa: E402

from netbox_substruct.models import Zone  # noqa: E402
from netbox_substruct.reports import webhooks  # noqa: E402

from .world import Follower, a_world  # noqa: E402

world = a_world()
view = View.get_default_view()
other_view = View.objects.create(name='internal')
ns1 = NameServer.objects.create(name='ns1.example.com')
soa = {'soa_mname': ns1, 'soa_rname': 'hostmaster.example.com', 'default_ttl': 600}


def records(follower):
    return {(r.name, r.type, r.value, r.ttl) for r in follower.all('record') if r.id < 0}


# Before netbox_dns knows the zone, the addresses of NetBox make its records.
follower = Follower(world.berlin)
follower.follow()
assert {r.type for r in follower.all('record')} == {'address'}
assert any(r.forward_zone == world.zone.pk for r in follower.all('record'))

# A zone of the same name takes over: SOA values, name servers, records; and nothing from addresses any more.
elsewhere = DNSZone.objects.create(name='ber.example.com', view=other_view, **soa)
Record.objects.create(zone=elsewhere, name='www', type='A', value='192.0.2.1')
dns_zone = DNSZone.objects.create(name='ber.example.com', view=view, **soa)
dns_zone.nameservers.add(ns1)
www = Record.objects.create(zone=dns_zone, name='www', type='A', value='10.1.0.80', ttl=60)
Record.objects.create(zone=dns_zone, name='ftp', type='CNAME', value='www')
Record.objects.create(zone=dns_zone, name='@', type='MX', value='10 mail.example.com.')
Record.objects.create(zone=dns_zone, name='old', type='A', value='10.1.0.81', status='inactive')
follower.follow()
zone = follower.state['zone', world.zone.pk]
assert (zone.name_servers, zone.ttl, zone.mname, zone.rname) == (
    ['ns1.example.com'], 600, 'ns1.example.com', 'hostmaster.example.com',
), zone  # fmt: skip
found = records(follower)
assert ('www.ber.example.com', 'A', '10.1.0.80', 60) in found, found
assert ('ftp.ber.example.com', 'CNAME', 'www', None) in found
assert ('ber.example.com', 'MX', '10 mail.example.com.', None) in found
assert not {kind for _, kind, _, _ in found} & {'SOA', 'NS'} and 'old.ber.example.com' not in {
    name for name, *_ in found
}
assert ('www.ber.example.com', 'A', '192.0.2.1', None) not in found, 'the default view is the one that counts'
assert not any(r.forward_zone == world.zone.pk for r in follower.all('record') if r.type == 'address')
assert follower.agrees_with_a_snapshot()

# Changes are followed, one by one.
www.value = '10.1.0.90'
www.save()
told = follower.follow()
assert ('record', -www.pk) in told and ('www.ber.example.com', 'A', '10.1.0.90', 60) in records(follower), told
assert follower.agrees_with_a_snapshot()
www.delete()
follower.follow()
assert 'www.ber.example.com' not in {name for name, *_ in records(follower)}
assert follower.agrees_with_a_snapshot()
ns1.name = 'ns9.example.com'
ns1.save()
follower.follow()
assert follower.state['zone', world.zone.pk].name_servers == ['ns9.example.com']
assert follower.agrees_with_a_snapshot()
dns_zone.default_ttl = 300
dns_zone.save()
follower.follow()
assert follower.state['zone', world.zone.pk].ttl == 300
assert follower.agrees_with_a_snapshot()

# A zone that is no longer active has no records.
dns_zone.status = 'parked'
dns_zone.save()
follower.follow()
assert not records(follower)
assert follower.agrees_with_a_snapshot()

# Without it the addresses are back; with another zone of ours, its records are those of netbox_dns at once.
for each in (dns_zone, elsewhere):
    each.delete()
follower.follow()
assert any(r.forward_zone == world.zone.pk for r in follower.all('record'))
assert follower.agrees_with_a_snapshot()
new = DNSZone.objects.create(name='new.example.com', view=view, **soa)
Record.objects.create(zone=new, name='a', type='TXT', value='"x y"')
follower.follow()
assert not records(follower)
ours = Zone.objects.create(name='new.example.com', boot_server=world.berlin)
follower.follow()
assert ('a.new.example.com', 'TXT', '"x y"', None) in records(follower)
assert follower.agrees_with_a_snapshot()
ours.boot_server = world.oslo
ours.save()
follower.follow()
assert not records(follower)
assert follower.agrees_with_a_snapshot()

# What is told wakes: the webhook listens to zones and records of netbox_dns as well.
assert {DNSZone, Record, NameServer, Device, IPAddress} <= set(webhooks.watched())
print('all is well')
