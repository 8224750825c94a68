"""The values that fields of Substruct's models may take.  The state machines over them stand in `lifecycle`."""

from django.utils.translation import gettext_lazy as _

from utilities.choices import ChoiceSet


class BootServerStatusChoices(ChoiceSet):
    key = 'BootServer.status'

    STATUS_ACTIVE = 'active'
    STATUS_MAINTENANCE = 'maintenance'
    STATUS_OFFLINE = 'offline'

    CHOICES = [
        (STATUS_ACTIVE, _('Active'), 'green'),
        (STATUS_MAINTENANCE, _('Maintenance'), 'yellow'),
        (STATUS_OFFLINE, _('Offline'), 'gray'),
    ]


class ZoneUpdateMethodChoices(ChoiceSet):
    METHOD_RFC2136 = 'rfc2136'
    METHOD_ZONEFILE = 'zonefile'
    METHOD_POWERDNS = 'powerdns'

    CHOICES = [
        (METHOD_RFC2136, _('Dynamic update (RFC 2136)'), 'blue'),
        (METHOD_ZONEFILE, _('Zone file'), 'purple'),
        (METHOD_POWERDNS, _('PowerDNS API'), 'cyan'),
    ]


class ArchitectureChoices(ChoiceSet):
    """CPU architectures, named as the kernel names them (`uname -m`)."""

    key = 'Machine.architecture'

    ARCH_X86_64 = 'x86_64'
    ARCH_I386 = 'i386'
    ARCH_AARCH64 = 'aarch64'
    ARCH_ARMV7 = 'armv7l'
    ARCH_RISCV64 = 'riscv64'
    ARCH_PPC64LE = 'ppc64le'
    ARCH_S390X = 's390x'

    CHOICES = [
        (ARCH_X86_64, 'x86_64'),
        (ARCH_I386, 'i386'),
        (ARCH_AARCH64, 'aarch64'),
        (ARCH_ARMV7, 'armv7l'),
        (ARCH_RISCV64, 'riscv64'),
        (ARCH_PPC64LE, 'ppc64le'),
        (ARCH_S390X, 's390x'),
    ]


class FirmwareChoices(ChoiceSet):
    FIRMWARE_BIOS = 'bios'
    FIRMWARE_UEFI = 'uefi'

    CHOICES = [
        (FIRMWARE_BIOS, _('BIOS'), 'gray'),
        (FIRMWARE_UEFI, _('UEFI'), 'blue'),
    ]


class BootMethodChoices(ChoiceSet):
    """How a boot image becomes a running system."""

    METHOD_INSTALLER = 'installer'
    METHOD_DISK_IMAGE = 'disk-image'
    METHOD_LIVE = 'live'
    METHOD_CHAIN = 'chain'
    METHOD_SCRIPT = 'script'

    CHOICES = [
        (METHOD_INSTALLER, _('Installer'), 'blue'),
        (METHOD_DISK_IMAGE, _('Disk image'), 'purple'),
        (METHOD_LIVE, _('Live system'), 'cyan'),
        (METHOD_CHAIN, _('Chain load'), 'gray'),
        (METHOD_SCRIPT, _('Script'), 'green'),
    ]


class LocalBootChoices(ChoiceSet):
    """How a machine that has nothing to do reaches its own disk."""

    LOCAL_AUTO = 'auto'
    LOCAL_SANBOOT = 'sanboot'
    LOCAL_EXIT = 'exit'
    LOCAL_GRUB = 'grub'
    LOCAL_NO_OFFER = 'no-offer'

    CHOICES = [
        (LOCAL_AUTO, _('By firmware')),
        (LOCAL_SANBOOT, _('iPXE sanboot (BIOS)')),
        (LOCAL_EXIT, _('iPXE exit with failure (UEFI)')),
        (LOCAL_GRUB, _('GRUB from the EFI system partition')),
        (LOCAL_NO_OFFER, _('No boot server in DHCP')),
    ]


class HandoffChoices(ChoiceSet):
    """Which configuration management takes over when the operating system stands."""

    HANDOFF_NONE = 'none'
    HANDOFF_SALT = 'salt'
    HANDOFF_PUPPET = 'puppet'
    HANDOFF_ANSIBLE = 'ansible'
    HANDOFF_SSH = 'ssh'

    CHOICES = [
        (HANDOFF_NONE, _('None'), 'gray'),
        (HANDOFF_SALT, 'Salt', 'blue'),
        (HANDOFF_PUPPET, 'Puppet', 'orange'),
        (HANDOFF_ANSIBLE, 'Ansible', 'red'),
        (HANDOFF_SSH, _('Script over SSH'), 'cyan'),
    ]


class BuiltAddressChoices(ChoiceSet):
    """What becomes the primary address of a device that has none, when its build is complete."""

    ADDRESS_BOOT_INTERFACE = 'boot-interface'
    ADDRESS_KEEP = 'keep'

    CHOICES = [
        (ADDRESS_BOOT_INTERFACE, _('That of the boot interface'), 'green'),
        (ADDRESS_KEEP, _('Unchanged'), 'gray'),
    ]


class BuiltDNSNameChoices(ChoiceSet):
    """What becomes the DNS name of primary addresses that have none, when a build is complete."""

    NAME_FQDN = 'fqdn'
    NAME_KEEP = 'keep'

    CHOICES = [
        (NAME_FQDN, _('The fully qualified name of the machine'), 'green'),
        (NAME_KEEP, _('Unchanged'), 'gray'),
    ]


class ArtifactKindChoices(ChoiceSet):
    """What a template renders to.  The file name under which each kind is served stands in `bundles.KINDS`."""

    key = 'ProfileTemplate.kind'

    KIND_IPXE = 'ipxe'
    KIND_PXELINUX = 'pxelinux'
    KIND_GRUB = 'grub'
    KIND_KICKSTART = 'kickstart'
    KIND_PRESEED = 'preseed'
    KIND_AUTOINSTALL = 'autoinstall'
    KIND_AUTOYAST = 'autoyast'
    KIND_USER_DATA = 'user-data'
    KIND_META_DATA = 'meta-data'
    KIND_VENDOR_DATA = 'vendor-data'
    KIND_NETWORK_CONFIG = 'network-config'
    KIND_IGNITION = 'ignition'
    KIND_UNATTEND = 'unattend'
    KIND_FINISH = 'finish'
    KIND_SCRIPT = 'script'

    CHOICES = [
        (KIND_IPXE, _('iPXE script'), 'blue'),
        (KIND_PXELINUX, _('PXELINUX configuration'), 'blue'),
        (KIND_GRUB, _('GRUB configuration'), 'blue'),
        (KIND_KICKSTART, _('Kickstart'), 'purple'),
        (KIND_PRESEED, _('Preseed'), 'purple'),
        (KIND_AUTOINSTALL, _('Ubuntu autoinstall'), 'purple'),
        (KIND_AUTOYAST, _('AutoYaST'), 'purple'),
        (KIND_USER_DATA, _('cloud-init user-data'), 'cyan'),
        (KIND_META_DATA, _('cloud-init meta-data'), 'cyan'),
        (KIND_VENDOR_DATA, _('cloud-init vendor-data'), 'cyan'),
        (KIND_NETWORK_CONFIG, _('cloud-init network-config'), 'cyan'),
        (KIND_IGNITION, _('Ignition'), 'purple'),
        (KIND_UNATTEND, _('Windows unattend.xml'), 'purple'),
        (KIND_FINISH, _('Finish script'), 'green'),
        (KIND_SCRIPT, _('Script'), 'green'),
    ]


class MachineStateChoices(ChoiceSet):
    STATE_DISCOVERED = 'discovered'
    STATE_REGISTERED = 'registered'
    STATE_BUILDING = 'building'
    STATE_BUILT = 'built'
    STATE_FAILED = 'failed'
    STATE_RETIRED = 'retired'

    CHOICES = [
        (STATE_DISCOVERED, _('Discovered'), 'cyan'),
        (STATE_REGISTERED, _('Registered'), 'blue'),
        (STATE_BUILDING, _('Building'), 'yellow'),
        (STATE_BUILT, _('Built'), 'green'),
        (STATE_FAILED, _('Failed'), 'red'),
        (STATE_RETIRED, _('Retired'), 'gray'),
    ]


class NextBootChoices(ChoiceSet):
    """What a machine was asked to boot once."""

    NEXT_RESCUE = 'rescue'
    NEXT_DISCOVERY = 'discovery'
    NEXT_WIPE = 'wipe'

    CHOICES = [
        (NEXT_RESCUE, _('Rescue system'), 'orange'),
        (NEXT_DISCOVERY, _('Discovery'), 'cyan'),
        (NEXT_WIPE, _('Wipe disks'), 'red'),
    ]


class BuildStateChoices(ChoiceSet):
    STATE_PENDING = 'pending'
    STATE_BOOTING = 'booting'
    STATE_INSTALLING = 'installing'
    STATE_FINISHING = 'finishing'
    STATE_COMPLETE = 'complete'
    STATE_FAILED = 'failed'
    STATE_CANCELLED = 'cancelled'
    STATE_STALLED = 'stalled'

    CHOICES = [
        (STATE_PENDING, _('Pending'), 'gray'),
        (STATE_BOOTING, _('Booting'), 'cyan'),
        (STATE_INSTALLING, _('Installing'), 'yellow'),
        (STATE_FINISHING, _('Finishing'), 'blue'),
        (STATE_COMPLETE, _('Complete'), 'green'),
        (STATE_FAILED, _('Failed'), 'red'),
        (STATE_CANCELLED, _('Cancelled'), 'gray'),
        (STATE_STALLED, _('Stalled'), 'orange'),
    ]


class BuildEventKindChoices(ChoiceSet):
    KIND_REQUESTED = 'requested'
    KIND_ADDRESS_OFFERED = 'address-offered'
    KIND_LOADER_FETCHED = 'loader-fetched'
    KIND_SCRIPT_FETCHED = 'script-fetched'
    KIND_KERNEL_FETCHED = 'kernel-fetched'
    KIND_CONFIG_FETCHED = 'config-fetched'
    KIND_PROGRESS = 'progress'
    KIND_FINISHING = 'finishing'
    KIND_FINISHED = 'finished'
    KIND_FAILED = 'failed'
    KIND_CANCELLED = 'cancelled'
    KIND_STALLED = 'stalled'
    KIND_NOTE = 'note'

    CHOICES = [
        (KIND_REQUESTED, _('Requested'), 'gray'),
        (KIND_ADDRESS_OFFERED, _('Address offered'), 'cyan'),
        (KIND_LOADER_FETCHED, _('Boot loader fetched'), 'cyan'),
        (KIND_SCRIPT_FETCHED, _('Boot script fetched'), 'cyan'),
        (KIND_KERNEL_FETCHED, _('Boot files fetched'), 'cyan'),
        (KIND_CONFIG_FETCHED, _('Installer configuration fetched'), 'yellow'),
        (KIND_PROGRESS, _('Progress'), 'yellow'),
        (KIND_FINISHING, _('Finishing'), 'blue'),
        (KIND_FINISHED, _('Finished'), 'green'),
        (KIND_FAILED, _('Failed'), 'red'),
        (KIND_CANCELLED, _('Cancelled'), 'gray'),
        (KIND_STALLED, _('Stalled'), 'orange'),
        (KIND_NOTE, _('Note'), 'gray'),
    ]


class FactSourceChoices(ChoiceSet):
    key = 'FactSet.source'

    SOURCE_PROSPECTOR = 'prospector'
    SOURCE_REDFISH = 'redfish'
    SOURCE_SALT = 'salt'
    SOURCE_PUPPET = 'puppet'
    SOURCE_ANSIBLE = 'ansible'
    SOURCE_OTHER = 'other'

    CHOICES = [
        (SOURCE_PROSPECTOR, _('Prospector'), 'cyan'),
        (SOURCE_REDFISH, 'Redfish', 'purple'),
        (SOURCE_SALT, 'Salt', 'blue'),
        (SOURCE_PUPPET, 'Puppet', 'orange'),
        (SOURCE_ANSIBLE, 'Ansible', 'red'),
        (SOURCE_OTHER, _('Other'), 'gray'),
    ]


class BMCProtocolChoices(ChoiceSet):
    PROTOCOL_IPMI = 'ipmi'
    PROTOCOL_REDFISH = 'redfish'

    CHOICES = [
        (PROTOCOL_IPMI, 'IPMI', 'blue'),
        (PROTOCOL_REDFISH, 'Redfish', 'purple'),
    ]


class PowerActionChoices(ChoiceSet):
    """What a boot server is asked to do with a machine's power (`parameters.action` of a task of the kind power)."""

    ACTION_ON = 'on'
    ACTION_SOFT = 'soft'
    ACTION_OFF = 'off'
    ACTION_CYCLE = 'cycle'
    ACTION_RESET = 'reset'
    ACTION_STATUS = 'status'

    CHOICES = [
        (ACTION_ON, _('Switch on'), 'green'),
        (ACTION_SOFT, _('Shut down'), 'yellow'),
        (ACTION_OFF, _('Switch off at once'), 'red'),
        (ACTION_CYCLE, _('Off and on again'), 'orange'),
        (ACTION_RESET, _('Reset'), 'orange'),
        (ACTION_STATUS, _('Ask whether it is on'), 'gray'),
    ]

    # Whatever runs on the machine is interrupted.
    INTERRUPTING = frozenset({ACTION_SOFT, ACTION_OFF, ACTION_CYCLE, ACTION_RESET})


class TaskKindChoices(ChoiceSet):
    KIND_POWER = 'power'
    KIND_NEXT_BOOT = 'next-boot'
    KIND_CREATE_VM = 'create-vm'
    KIND_FETCH_IMAGE = 'fetch-image'
    KIND_SSH_FINISH = 'ssh-finish'
    KIND_PREFLIGHT = 'preflight'

    CHOICES = [
        (KIND_POWER, _('Power'), 'orange'),
        (KIND_NEXT_BOOT, _('Next boot device'), 'blue'),
        (KIND_CREATE_VM, _('Create virtual machine'), 'purple'),
        (KIND_FETCH_IMAGE, _('Fetch image'), 'cyan'),
        (KIND_SSH_FINISH, _('Finish over SSH'), 'green'),
        (KIND_PREFLIGHT, _('Preflight'), 'gray'),
    ]


class TaskStateChoices(ChoiceSet):
    STATE_PENDING = 'pending'
    STATE_CLAIMED = 'claimed'
    STATE_DONE = 'done'
    STATE_FAILED = 'failed'
    STATE_CANCELLED = 'cancelled'

    CHOICES = [
        (STATE_PENDING, _('Pending'), 'gray'),
        (STATE_CLAIMED, _('Claimed'), 'yellow'),
        (STATE_DONE, _('Done'), 'green'),
        (STATE_FAILED, _('Failed'), 'red'),
        (STATE_CANCELLED, _('Cancelled'), 'gray'),
    ]


class WaveStateChoices(ChoiceSet):
    STATE_PLANNED = 'planned'
    STATE_RUNNING = 'running'
    STATE_PAUSED = 'paused'
    STATE_STOPPED = 'stopped'
    STATE_COMPLETE = 'complete'

    CHOICES = [
        (STATE_PLANNED, _('Planned'), 'gray'),
        (STATE_RUNNING, _('Running'), 'blue'),
        (STATE_PAUSED, _('Paused'), 'yellow'),
        (STATE_STOPPED, _('Stopped'), 'red'),
        (STATE_COMPLETE, _('Complete'), 'green'),
    ]


class WaveMemberStateChoices(ChoiceSet):
    STATE_WAITING = 'waiting'
    STATE_BUILDING = 'building'
    STATE_DONE = 'done'
    STATE_FAILED = 'failed'
    STATE_CANCELLED = 'cancelled'
    STATE_LEFT_OUT = 'left-out'

    CHOICES = [
        (STATE_WAITING, _('Waiting'), 'gray'),
        (STATE_BUILDING, _('Building'), 'yellow'),
        (STATE_DONE, _('Done'), 'green'),
        (STATE_FAILED, _('Failed'), 'red'),
        (STATE_CANCELLED, _('Cancelled'), 'orange'),
        (STATE_LEFT_OUT, _('Left out'), 'purple'),
    ]


class WeekdayChoices(ChoiceSet):
    """In the order of `datetime.weekday()`."""

    MONDAY = 'mon'
    TUESDAY = 'tue'
    WEDNESDAY = 'wed'
    THURSDAY = 'thu'
    FRIDAY = 'fri'
    SATURDAY = 'sat'
    SUNDAY = 'sun'

    CHOICES = [
        (MONDAY, _('Monday')),
        (TUESDAY, _('Tuesday')),
        (WEDNESDAY, _('Wednesday')),
        (THURSDAY, _('Thursday')),
        (FRIDAY, _('Friday')),
        (SATURDAY, _('Saturday')),
        (SUNDAY, _('Sunday')),
    ]
