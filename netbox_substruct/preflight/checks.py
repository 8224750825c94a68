"""What NetBox itself knows of whether a machine would boot: from what was gathered to steps.  Pure."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import BootServerStatusChoices
from ..context.disks import means_by_role
from ..discovery.facts import Disk
from .gathering import Gathered, Server
from .steps import Step

# As the sidecar's `boot.fetch` says that a source has another file than NetBox's checksum names.  Unlike everything
# else that fails a download, this does not mend itself.
MISMATCH = 'but NetBox says'

# Services of boot servers, and the step to which what is wrong with them belongs.
_STEP_OF_SERVICE = {'dhcp': 'dhcp', 'dns': 'dns', 'files': 'files', 'http': 'script', 'tftp': 'loader'}


def check(found: Gathered) -> Iterator[Step]:
    """Every step that NetBox can look at."""
    yield from machine(found)
    yield from boot_servers(found)
    yield from address(found)
    yield from dhcp(found)
    yield from files(found)
    yield from configuration(found)
    yield from names(found)
    yield from bmc(found)
    yield from disks(found)
    yield from cabling(found)


def machine(found: Gathered) -> Iterator[Step]:
    link = found.links.get('machine')
    if found.active_build is not None:
        yield Step('machine', 'ok', _('Build #{build} is pending or under way.').format(build=found.active_build))
    elif not found.buildable:
        yield Step(
            'machine', 'failure', _('It is {state} and cannot be built.').format(state=found.state_words.lower()),
            _('Register it first.'), link, blocking=True,
        )  # fmt: skip
    if found.profile is None:
        yield Step('machine', 'failure', _('It has no profile.'), _('Choose what it is to become.'),
                   found.links.get('edit'), blocking=True)  # fmt: skip
    elif found.buildable or found.active_build is not None:
        yield Step('machine', 'ok', _('It becomes {profile}.').format(profile=found.profile),
                   link=found.links.get('profile'))  # fmt: skip
    if found.guard and found.active_build is None:
        yield Step('machine', 'warning', _('{reason}, and a build erases its disks.').format(reason=found.guard),
                   _('A build takes its exact name as the override.'), link)  # fmt: skip
    for difference in found.differences:
        yield Step('machine', 'warning', _('It says otherwise of itself: {what}').format(what=difference),
                   _('Accept what was found, or see whether it is the right machine.'),
                   found.links.get('facts'))  # fmt: skip


# ---------------------------------------------------------------------- boot servers and addresses


def boot_servers(found: Gathered) -> Iterator[Step]:
    if not found.servers:
        yield Step(
            'boot-server', 'failure', _('No boot server serves it: a build would wait for ever.'),
            _('Put its address into a prefix that a boot server serves, its site among those of a boot server, or '
              'choose a boot server on the machine.'), found.links.get('edit'),
        )  # fmt: skip
    for server in found.servers:
        yield _boot_server(server)
        for problem in server.problems:
            yield Step(
                _STEP_OF_SERVICE.get(str(problem.get('service')), 'boot-server'),
                'warning' if problem.get('severity') == 'warning' else 'failure', str(problem.get('message', '')),
                str(problem.get('remedy', '')), server.link, source=server.name, time=server.heard,
            )  # fmt: skip


def _boot_server(server: Server) -> Step:
    def step(outcome: str, words: str, remedy: str = '') -> Step:
        return Step('boot-server', outcome, words.format(server=server.name), remedy, server.link)  # type: ignore[arg-type]

    if server.status == BootServerStatusChoices.STATUS_OFFLINE:
        return step('warning', _('{server} serves it, and is meant to be offline.'), _('Set its status to active.'))
    if server.heard is None:
        return step('warning', _('{server} serves it, and was never heard of.'), _('Start its sidecar.'))
    if server.late:
        return step('warning', _('{server} serves it, and has not been heard of lately.'),
                    _('Machines are served all the same with what it last knew, if it runs.'))  # fmt: skip
    ill = [f'{name}: {state}' + (f' ({message})' if message else '') for name, state, message in server.services
           if state in ('degraded', 'down')]  # fmt: skip
    if ill:
        return step('warning', _('{server} serves it, and is not well.') + f' {"; ".join(ill)}'.replace('{', '{{')
                    .replace('}', '}}'), _('Its page says more.'))  # fmt: skip
    return step('ok', _('{server} serves it, and is well.'))


def address(found: Gathered) -> Iterator[Step]:
    link = found.links.get('object') or found.links.get('machine')
    macs = {mac for port in found.ports for mac in port.macs} | ({found.boot_mac} if found.boot_mac else set())
    if not macs:
        identified = bool(found.uuid or found.serial)
        yield Step(
            'address', 'warning' if identified else 'failure',
            _('NetBox has no MAC address of it: DHCP cannot know it; only UUID and serial number tell who it is.')
            if identified else _('NetBox has no MAC address, UUID or serial number of it: nothing can recognise it.'),
            _('Give its interface a MAC address.'), link,
        )  # fmt: skip
        return
    for mac, others in sorted(found.claimed.items()):
        yield Step(
            'address', 'failure',
            _('The MAC address {mac} belongs to {others} too: nobody who says it is ever built.').format(
                mac=mac, others=', '.join(others)),
            _('Remove it from all but one of them.'), link,
        )  # fmt: skip
    port = next((port for port in found.ports if found.boot_mac in port.macs), None) if found.boot_mac else None
    if found.boot_mac and found.ports and port is None:
        yield Step(
            'address', 'warning',
            _('It is to boot from {mac}, which none of its interfaces has.').format(mac=found.boot_mac),
            _('Correct the boot MAC address of the machine, or give it to an interface.'), found.links.get('edit'),
        )  # fmt: skip
    ports = [port] if port is not None else [each for each in found.ports if each.macs]
    held = [(each.name, one) for each in ports for one in each.addresses]
    if not held:
        yield Step(
            'address', 'warning',
            _('The port that it boots from has no address: it gets one of a lease range, if there is one.'),
            _('Give the interface an IP address.'), link,
        )  # fmt: skip
    for name, one in held:
        place = found.places.get(one.subnet) if one.subnet is not None else None
        if place is None:
            yield Step(
                'address', 'warning',
                _('{address} of {port} is in no subnet: no DHCP server answers with it.').format(
                    address=one.address, port=name),
                _('Make a subnet for its prefix.'), link,
            )  # fmt: skip
        else:
            yield Step('address', 'ok', _('{address} of {port}, in {prefix}.').format(
                address=one.address, port=name, prefix=place.prefix), link=place.link)  # fmt: skip


def dhcp(found: Gathered) -> Iterator[Step]:
    keys = dict.fromkeys(
        one.subnet for port in found.ports if port.macs for one in port.addresses if one.subnet is not None
    )
    for key in keys:
        place = found.places[key]
        if not place.dhcp:
            yield Step(
                'dhcp', 'warning', _('DHCP is off in {prefix}: another server has to answer there.').format(
                    prefix=place.prefix), _('Turn DHCP on in the subnet.'), place.link,
            )  # fmt: skip
            continue
        if place.gateway is None:
            yield Step(
                'dhcp', 'warning', _('{prefix} has no gateway: installers that need one stop with a question.').format(
                    prefix=place.prefix), _('Give the subnet its gateway.'), place.link,
            )  # fmt: skip
        else:
            yield Step('dhcp', 'ok', _('DHCP is on in {prefix}, with the gateway {gateway}.').format(
                prefix=place.prefix, gateway=place.gateway), link=place.link)  # fmt: skip


# ---------------------------------------------------------------------- what is built


def files(found: Gathered) -> Iterator[Step]:
    """As boot servers have reported of them; they are looked at by the boot servers themselves."""
    if found.image is None:
        return
    if not found.image.files:
        yield Step('files', 'ok', _('{image} has no files.').format(image=found.image.name), link=found.image.link)
        return
    wrong = {server.id: bad for server in found.servers if (bad := _mismatches(found, server))}
    # A machine may ask any of its boot servers: only what none of them has is sure to be missed.
    everywhere = bool(wrong) and len(wrong) == len(found.servers)
    for server in found.servers:
        for role, url, _sha256 in found.image.files:
            report = server.files.get(url)
            words = {'role': role, 'image': found.image.name}
            if report is None:
                text = _('Nothing was heard of the {role} of {image}.')
                yield Step('files', 'unknown', text.format(**words), link=server.link, source=server.name)
                continue
            state, error = str(report.get('state', '')), str(report.get('error', ''))
            if state == 'present':
                continue
            if state == 'failed':
                yield Step(
                    'files', 'failure', _('The {role} of {image} is not there: {why}').format(**words, why=error),
                    _('Correct the boot image, or the source.'), found.image.link, source=server.name,
                    blocking=everywhere and url in wrong[server.id], time=server.heard,
                )  # fmt: skip
            else:
                yield Step(
                    'files', 'warning', _('The {role} of {image} is not there yet ({state}).').format(
                        **words, state=state),
                    _('Builds wait for it.'), server.link, source=server.name, time=server.heard,
                )  # fmt: skip
        if all(server.files.get(url, {}).get('state') == 'present' for _role, url, _sha256 in found.image.files):
            yield Step('files', 'ok', _('Every file of {image} is there.').format(image=found.image.name),
                       link=found.image.link, source=server.name, time=server.heard)  # fmt: skip


def _mismatches(found: Gathered, server: Server) -> set[str]:
    """The files of which a boot server, heard of just now, says that their source has others."""
    if server.late or found.image is None:
        return set()
    return {
        url for _role, url, _sha256 in found.image.files
        if server.files.get(url, {}).get('state') == 'failed' and MISMATCH in str(server.files[url].get('error', ''))
    }  # fmt: skip


def configuration(found: Gathered) -> Iterator[Step]:
    for error in found.rendered.errors:
        yield Step('configuration', 'failure', error, _('Mend it in the template, the profile or the parameters.'),
                   found.links.get('preview'), blocking=True)  # fmt: skip
    if found.profile is None or found.rendered.errors:
        return
    if not found.rendered.artifacts:
        yield Step(
            'configuration', 'warning',
            _('Neither the profile nor its boot image has a template: nothing would be served.'),
            _('Add a template to the profile.'), found.links.get('profile'),
        )  # fmt: skip
        return
    words = ngettext('{count} artifact renders.', 'All {count} artifacts render.', found.rendered.artifacts)
    yield Step('configuration', 'ok', words.format(count=found.rendered.artifacts), link=found.links.get('preview'))


# ---------------------------------------------------------------------- beside the chain


def names(found: Gathered) -> Iterator[Step]:
    if found.zone:
        yield Step('dns', 'ok', _('{name} is in a zone of NetBox.').format(name=found.fqdn))
    else:
        yield Step('dns', 'unknown', _('No zone of NetBox holds {name}: its name is not made known from here.').format(
            name=found.fqdn))  # fmt: skip


def bmc(found: Gathered) -> Iterator[Step]:
    if not found.bmc_exists:
        yield Step(
            'bmc', 'unknown',
            _('NetBox has no BMC of it: somebody has to switch it on, and let it boot from the network.'),
            _('Add its BMC.'), found.links.get('machine'),
        )  # fmt: skip
    elif found.bmc is None:
        yield Step('bmc', 'warning', _('Its BMC has no address.'),
                   _('Give the BMC an address, or the device an out-of-band IP address.'),
                   found.links.get('bmc'))  # fmt: skip
    else:
        yield Step('bmc', 'ok', _('Its BMC is at {address}.').format(address=found.bmc), link=found.links.get('bmc'))


def disks(found: Gathered) -> Iterator[Step]:
    """The disks that the profile's layout names, beside those that were found."""
    wanted = found.rendered.layout.get('disk')
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    if means_by_role(wanted):
        names = list(found.rendered.disks)
    names = [name for name in names if isinstance(name, str) and name]
    if found.facts is None:
        words = _('You may not view its facts.') if found.hidden else _('Nothing was reported of its disks yet.')
        yield Step('disks', 'unknown', words, '' if found.hidden else _('Let it boot discovery once.'),
                   found.links.get('machine'))  # fmt: skip
        return
    there = [disk for disk in found.facts.disks if not disk.removable]
    link, profile, time = found.links.get('facts'), found.links.get('profile'), found.facts_time
    for disk in there:
        if disk.health.passed is False:
            yield Step('disks', 'warning', _('{disk} says that it is failing.').format(disk=_name(disk)),
                       _('Replace it before the build.'), link, time=time)  # fmt: skip
    said = ', '.join(map(_name, there)) or _('none')
    if means_by_role(wanted) and found.rendered.disk_problem:
        yield Step('disks', 'failure', found.rendered.disk_problem, _('Correct the disk layout of the profile.'),
                   profile, time=time)  # fmt: skip
        return
    if not names:
        yield Step('disks', 'unknown', _('The disk layout names no disk; found: {found}.').format(found=said),
                   link=profile, time=time)  # fmt: skip
        return
    if names == ['only']:
        if len(there) == 1:
            yield Step('disks', 'ok', _('It has one disk: {found}.').format(found=said), link=link, time=time)
        else:
            yield Step('disks', 'failure', _('The disk layout is for machines with one disk; found: {found}.').format(
                found=said), _('Name the disk in the disk layout.'), profile, time=time)  # fmt: skip
        return
    for name in names:
        if any(name in _called(disk) for disk in found.facts.disks):
            yield Step('disks', 'ok', _('{disk} of the disk layout was found.').format(disk=name), link=link, time=time)
        else:
            yield Step('disks', 'failure', _('{disk} of the disk layout was not found; found: {found}.').format(
                disk=name, found=said), _('Correct the disk layout of the profile.'), profile, time=time)  # fmt: skip


def _name(disk: Disk) -> str:
    return str(disk.path or disk.name or disk.serial or '?')


def _called(disk: Disk) -> set[str]:
    """What a disk layout may call a disk."""
    links = [f'/dev/disk/by-id/{name.rpartition("/")[2]}' for name in disk.by_id]
    path = [f'/dev/disk/by-path/{disk.by_path.rpartition("/")[2]}'] if disk.by_path else []
    name = [f'/dev/{disk.name}'] if disk.name else []
    return {*links, *path, *name, *([disk.path] if disk.path else [])}


def cabling(found: Gathered) -> Iterator[Step]:
    if found.facts is None:
        words = _('You may not view its facts.') if found.hidden else _('Nothing was reported of its neighbours yet.')
        yield Step('cabling', 'unknown', words)
        return
    link = found.links.get('facts')
    for title, why in found.cables:
        yield Step('cabling', 'warning', f'{title}. {why}'.strip(), _('Accept the cable, or correct it.'), link,
                   time=found.facts_time)  # fmt: skip
    heard = sum(port.lldp is not None for port in found.facts.ports)
    if not heard:
        yield Step('cabling', 'unknown', _('No neighbour was heard by LLDP.'), link=link, time=found.facts_time)
    elif not found.cables:
        words = ngettext(
            '{count} neighbour is where NetBox has it.', '{count} neighbours are where NetBox has them.', heard
        )
        yield Step('cabling', 'ok', words.format(count=heard), link=link, time=found.facts_time)
