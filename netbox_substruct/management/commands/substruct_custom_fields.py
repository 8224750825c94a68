"""`netbox substruct_custom_fields`: the custom fields of interfaces that DHCP can know a client by.

They are the user's from then on: nothing else of Substruct makes, changes or removes them.
"""

from django.core.management.base import BaseCommand

from core.models import ObjectType
from extras.choices import CustomFieldTypeChoices
from extras.models import CustomField

from ...feed.messages import DHCP_FIELDS

# label, description, what a value has to look like
_FIELDS = {
    'dhcp_client_id': (
        'DHCP client identifier',
        'Option 61 (RFC 2132 section 9.14): hexadecimal octets such as 01:52:54:00:12:34:56, or text.',
        r'^[\x20-\x7e]{1,255}$',
    ),
    'dhcp_duid': (
        'DHCP DUID',
        'DHCPv6 unique identifier (RFC 8415 section 11), in hexadecimal: 00:03:00:01:52:54:00:12:34:56.',
        r'^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){2,129}$',
    ),
    'dhcp_circuit_id': (
        'DHCP circuit ID',
        'What the relay says of the port that this interface is connected to (option 82, RFC 3046), as text.',
        r'^[\x20-\x7e]{1,253}$',
    ),
}
assert set(_FIELDS) == set(DHCP_FIELDS)


class Command(BaseCommand):
    help = 'Make the custom fields of interfaces that the feed tells boot servers: ' + ', '.join(DHCP_FIELDS)

    def handle(self, *args, **options):
        types = [
            ObjectType.objects.get_by_natural_key('dcim', 'interface'),
            ObjectType.objects.get_by_natural_key('virtualization', 'vminterface'),
        ]
        for name, (label, description, pattern) in _FIELDS.items():
            field = CustomField.objects.filter(name=name).first()
            if field is None:
                field = CustomField(
                    name=name, label=label, description=description, type=CustomFieldTypeChoices.TYPE_TEXT,
                    group_name='DHCP', validation_regex=pattern,
                )  # fmt: skip
                field.full_clean()
                field.save()
                self.stdout.write(f'{name}: made')
            else:
                self.stdout.write(f'{name}: there already')
            field.object_types.add(*types)
