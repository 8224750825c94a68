"""What a device or virtual machine gets in NetBox when its build is complete, as the profile says.

Status, platform, primary addresses where it has none, and DNS names where these have none.  What is there already is
never changed, but for status and platform, which are what the build was for.  Where it is not clear which address is
meant, none is taken.
"""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils.translation import gettext as _

from ..choices import BuildEventKindChoices, BuiltAddressChoices, BuiltDNSNameChoices

if TYPE_CHECKING:
    from ..models import Build, Machine

# Addresses that several machines share, or that stand beside another one, are no primary ones (ipam.choices).
_NOT_PRIMARY = frozenset({'secondary', 'anycast', 'vip', 'vrrp', 'hsrp', 'glbp', 'carp'})


def settle(machine: 'Machine', build: 'Build') -> None:
    """Give a machine's device what its profile says a built one has.  Part of the move, in its transaction.

    What NetBox does not take (a validation rule of its own, say) stands in the timeline and does not undo the build.
    """
    obj, profile = machine.object, build.profile
    if obj is None or profile is None:
        return
    for step in (_status_and_platform, _primary_addresses, _dns_names):
        try:
            with transaction.atomic():
                step(obj, profile, build)
        except (ValidationError, DatabaseError) as error:
            _note(build, '; '.join(error.messages) if isinstance(error, ValidationError) else str(error))
            obj.refresh_from_db()


def _note(build: 'Build', why: str) -> None:
    from ..models import BuildEvent

    message = _('Not everything that the profile says was done in NetBox: {why}').format(why=why)
    BuildEvent.objects.create(build=build, kind=BuildEventKindChoices.KIND_NOTE, message=message[:500])


def _status_and_platform(obj: Any, profile: Any, build: 'Build') -> None:
    status = profile.effective('built_status') or ''
    owner = profile.owner_of('boot_image_id')
    platform = owner.boot_image.platform if owner is not None else None
    if (not status or obj.status == status) and (platform is None or obj.platform_id == platform.pk):
        return
    obj.snapshot()
    if status:
        obj.status = status
    if platform is not None:
        obj.platform = platform
    obj.save()


def _primary_addresses(obj: Any, profile: Any, build: 'Build') -> None:
    if profile.effective('built_address') != BuiltAddressChoices.ADDRESS_BOOT_INTERFACE:
        return
    lacking = [family for family in (4, 6) if getattr(obj, f'primary_ip{family}_id') is None]
    if not lacking:
        return
    booted = str(build.request.get('context', {}).get('network', {}).get('interface', ''))
    interface = obj.interfaces.filter(name=booted).first() if booted else None
    if interface is None:
        return
    found = {family: address for family in lacking if (address := _address_of(obj, interface, family)) is not None}
    if not found:
        return
    obj.snapshot()
    for family, address in found.items():
        setattr(obj, f'primary_ip{family}', address)
    obj.save()


def _address_of(obj: Any, interface: Any, family: int) -> Any:
    """The address of an interface; else of the bond or bridge that it belongs to; else of a VLAN on any of these.

    None where there is none, or more than one at the nearest place that has any.
    """
    levels = [[interface]]
    above = interface
    for _depth in range(5):  # NetBox refuses circles; nobody waits for ever all the same
        above = getattr(above, 'lag', None) or getattr(above, 'bridge', None)
        if above is None:
            break
        levels.append([above])
    levels.append(list(obj.interfaces.filter(parent__in=[one for level in levels for one in level])))
    for level in levels:
        found = [
            address
            for one in level
            for address in one.ip_addresses.filter(address__family=family)
            if address.role not in _NOT_PRIMARY and address.status != 'deprecated'
        ]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _dns_names(obj: Any, profile: Any, build: 'Build') -> None:
    if profile.effective('built_dns_name') != BuiltDNSNameChoices.NAME_FQDN:
        return
    fqdn = str(build.request.get('context', {}).get('machine', {}).get('fqdn', ''))
    if '.' not in fqdn:
        return
    for address in (obj.primary_ip4, obj.primary_ip6):
        if address is not None and not address.dns_name:
            address.snapshot()
            address.dns_name = fqdn
            address.save()
