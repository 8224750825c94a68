"""What a device or virtual machine gets in NetBox when its build is complete, as the profile says.

Primary addresses where it has none, DNS names where these have none, status and platform.  What is there already is
never changed, but for status and platform, which are what the build was for.  Where it is not clear which address is
meant, none is taken.  Everything is checked as if somebody had entered it, by NetBox's own rules and those added to it;
the status comes last, because such a rule may want active devices to have an address.
"""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, transaction
from django.utils.translation import gettext as _

from ..choices import BuildEventKindChoices, BuiltAddressChoices, BuiltDNSNameChoices

if TYPE_CHECKING:
    from ..models import Build, Machine

# Addresses that several machines share, or that stand beside another one, are no primary ones (ipam.choices).
_NOT_PRIMARY = frozenset({'secondary', 'anycast', 'vip', 'vrrp', 'hsrp', 'glbp', 'carp'})


def settle(machine: 'Machine', build: 'Build') -> None:
    """Give a machine's device what its profile says a built one has.  Part of the move, in its transaction.

    What NetBox does not take (a validation rule, say, or another plugin) stands in the timeline and does not undo the
    build: if it did, the news would be lost, and a machine that is built would count as failed.
    """
    obj, profile = machine.object, build.profile
    if obj is None or profile is None:
        return
    for step in (_primary_addresses, _dns_names, _status_and_platform):
        try:
            with transaction.atomic():
                step(obj, profile, build)
        except InterfaceError:
            raise  # the connection is lost, and the news comes again
        except Exception as error:  # signal handlers of other plugins may raise anything
            _note(build, _words(error))
            obj.refresh_from_db()


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return '; '.join(error.messages)
    # NetBox's AbortRequest has its text here, and is empty as a string.
    return str(getattr(error, 'message', '') or error) or type(error).__name__


def _write(obj: Any, **values: Any) -> None:
    obj.snapshot()
    for name, value in values.items():
        setattr(obj, name, value)
    obj.full_clean()
    obj.save()


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
    _write(obj, **({'status': status} if status else {}), **({'platform': platform} if platform is not None else {}))


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
    if found:
        _write(obj, **{f'primary_ip{family}': address for family, address in found.items()})


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
            _write(address, dns_name=fqdn)
