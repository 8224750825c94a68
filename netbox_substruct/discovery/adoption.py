"""A discovered machine becomes a device or a virtual machine of NetBox.

`propose` says everything that would be made and changed, line by line, and writes nothing.  `carry_out` does what was
accepted of it, in one transaction, and only if what would be done is still what was seen.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from dcim.choices import DeviceStatusChoices
from virtualization.choices import VirtualMachineStatusChoices

from ..choices import MachineStateChoices as State
from . import addresses, devicetypes, difference, parts, ports
from .changes import Change, Field, Line, New, Object, create, digest, known, maybe_known, permitted, update
from .changes import label as label_of
from .choosing import MODELS, Choices, defaults
from .errors import Incomplete, Stale
from .facts import Facts
from .keeping import current, may_view
from .matching import candidates
from .neighbours import cable_lines
from .parts import Makers
from .sight import Sight
from .writing import Writer, Written, chosen

# No rack is higher.
MOST_UNITS = 1000


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What must be chosen or corrected before it can be carried out; `field` is one of the choices, or ''."""

    field: str
    message: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done.  `digest` stands for it, and is given back by whoever confirms it.

    `ports` are the interfaces that the machine's own may be: the device type brings them, or the device has them.
    """

    machine: int
    choices: Choices
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    ports: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """`machine` is registered now, as its `object`."""

    machine: Any
    written: Written

    @property
    def object(self) -> Any:
        return self.machine.object


def offered(machine: Any, user: Any) -> bool:
    """Whether a machine can be adopted, and by this user, who must see what it said of itself."""
    return bool(
        machine.object is None
        and machine.state == State.STATE_DISCOVERED
        and user.has_perm('netbox_substruct.change_machine', machine)
        and may_view(current(machine)[0], user)
    )


# ---------------------------------------------------------------------- proposing


def propose(machine: Any, choices: Choices, *, user: Any = None) -> Proposal:
    """What adopting the machine would make and change.  With a `user`, also what that user may not do."""
    return _Proposing(machine, choices, user).proposal()


def carry_out(
    machine: Any, choices: Choices, confirmed: str, *, accept: Collection[str] | None = None, user: Any = None,
    rule: Any = None,
) -> Outcome:  # fmt: skip
    """Adopt the machine.  Permission: change on the machine, and on each object what is done with it.

    `confirmed` is the digest of the proposal that somebody saw, `accept` the keys of the lines that are wanted (None:
    those that are suggested); what is required is done anyway.  All or nothing.  Without a `user` nobody's permissions
    are asked: `rule` is the discovery rule that says so.  Raises Stale, Incomplete, NotPermitted or Unwritable.
    """
    from ..lifecycle import events, machines
    from ..models import Machine

    with events.tracked(user):
        try:
            locked = machines.lock(machine.pk)
        except Machine.DoesNotExist as error:
            raise Stale(_('{machine} is not there any more.').format(machine=machine)) from error
        proposal = propose(locked, choices, user=user)
        if proposal.problems:
            raise Incomplete(' '.join(problem.message for problem in proposal.problems))
        if proposal.digest != confirmed:
            raise Stale(
                _('The facts of {machine} or what NetBox holds have changed since. Look at the proposal again.').format(
                    machine=machine
                )
            )
        writer = Writer(user)
        written = writer.write(chosen(proposal.lines, accept))
        found = Machine.objects.select_related('device', 'virtual_machine').filter(pk=machine.pk).first()
        if found is None:  # it was merged into another
            found = written.updated[-1]
        changes = {'discovery_problem': ''} | ({'discovery_rule': rule} if rule is not None else {})
        Machine.objects.filter(pk=found.pk).update(**changes)
    found.refresh_from_db()
    return Outcome(found, written)


class _Proposing:
    """One proposal while it is made."""

    def __init__(self, machine: Any, choices: Choices, user: Any) -> None:
        self.machine = machine
        self.choices = choices
        self.user = user
        self.sight = Sight(user)
        self.lines: list[Line] = []
        self.notes: list[str] = []
        self.problems: list[Problem] = []
        self.facts = Facts()
        self.ports: list[str] = []

    def proposal(self) -> Proposal:
        facts_set, reading = current(self.machine)
        self.facts = reading.facts
        if facts_set is None:
            self.notes.append(_('No facts have been reported: only what is chosen is known.'))
        elif reading.problems:
            self.notes.append(
                _('Some facts could not be read: {problems}').format(problems=' '.join(reading.problems[:5]))
            )
        if self.machine.object is not None:
            self._problem('', _('{machine} is adopted already.').format(machine=self.machine))
        elif self.machine.state != State.STATE_DISCOVERED:
            self._problem('', _('{machine} is {state}: take it into use first.').format(
                machine=self.machine, state=self.machine.get_state_display().lower()))  # fmt: skip
        chosen_objects = {name: self._chosen(name) for name in MODELS}
        if self.choices.device and self.choices.virtual_machine:
            self._problem('device', _('A machine is a device or a virtual machine, not both.'))
        elif known_object := chosen_objects['device'] or chosen_objects['virtual_machine']:
            self._as_known(known_object, chosen_objects)
        elif not self.problems and self.choices.kind == 'device':
            self._as_device(chosen_objects)
        elif not self.problems:
            self._as_virtual_machine(chosen_objects)
        self._check_mapping()
        lines = tuple(self.lines)
        if self.user is not None:
            lines = permitted(lines, self.user)
            for line in lines:
                if line.required and line.not_permitted:
                    self._problem('', _('"{line}" needs the permissions {permissions}.').format(
                        line=line.title, permissions=', '.join(line.not_permitted)))  # fmt: skip
        return Proposal(
            machine=self.machine.pk,
            choices=self.choices,
            lines=lines,
            problems=tuple(self.problems),
            notes=tuple(self.notes),
            ports=tuple(self.ports),
            digest=digest(lines),
        )

    # ------------------------------------------------------------------ choices

    def _problem(self, field: str, message: str) -> None:
        self.problems.append(Problem(field=field, message=message))

    def _chosen(self, name: str) -> Any:
        """The object that somebody chose, if it is there and the user may view it."""
        from django.apps import apps

        key = getattr(self.choices, name)
        if key is None:
            return None
        model = apps.get_model(MODELS[name])
        found = self.sight.rows(model.objects.all()).filter(pk=key).first()
        if found is None:
            self._problem(name, _('There is no {kind} with the id {id}.').format(
                kind=model._meta.verbose_name, id=key))  # fmt: skip
        return found

    def _check_mapping(self) -> None:
        """What somebody chose for a port is there, and is chosen once: nothing else is taken in its place."""
        found = {port.name for port in self.facts.ports}
        chosen_names = [name for name in self.choices.interfaces.values() if name not in (ports.NEW, ports.LEAVE)]
        if self.problems:
            return
        for port in self.choices.interfaces:
            if port not in found:
                self._problem('interfaces', _('The machine has no port "{port}".').format(port=port))
        for name in dict.fromkeys(chosen_names):
            if name not in self.ports:
                self._problem('interfaces', _('There is no interface "{name}" that a port could be.').format(name=name))
            elif chosen_names.count(name) > 1:
                self._problem('interfaces', _('The interface "{name}" is chosen for several ports.').format(name=name))

    def _valid(self, obj: Any, exclude: tuple[str, ...] = ()) -> None:
        """What NetBox will say of the object, said before anything is written."""
        try:
            obj.full_clean(exclude=exclude)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                field = '' if name == '__all__' else name
                for message in messages:
                    self._problem(field if field in Choices.__struct_fields__ else '', (
                        f'{label_of(obj._meta.label_lower, field)}: {message}' if field else message))  # fmt: skip

    # ------------------------------------------------------------------ as one that NetBox has

    def _as_known(self, obj: Any, found: dict[str, Any]) -> None:
        from ..models import Machine

        kind = 'device' if obj._meta.model_name == 'device' else 'virtual_machine'
        registered = Machine.objects.filter(**{kind: obj}).exclude(pk=self.machine.pk).first()
        offered = candidates(self.machine, self.facts, user=self.user)
        candidate = next((each for each in offered if each.object == obj), None)
        warnings = candidate.contradictions if candidate is not None else [
            _('Neither its serial number nor any MAC address says that the machine is {object}.').format(object=obj)
        ]  # fmt: skip
        reason = ' '.join(candidate.reasons) if candidate is not None else ''
        if registered is not None:
            into = Field(name='into', label=_('merged into'), after=known(registered))
            self.lines.append(
                Line(
                    key='machine', section='machine', required=True, reason=reason, warnings=tuple(warnings),
                    title=_('{machine} becomes one with the registered machine {other}').format(
                        machine=self.machine, other=registered),
                    changes=(
                        Change(action='merge', model='netbox_substruct.machine', object=known(self.machine),
                               fields=(into,)),
                    ),
                )
            )  # fmt: skip
            self.notes.append(
                _('Its facts, tasks and journal move to {other}; then its facts are shown beside what NetBox has.')
                .format(other=registered)
            )  # fmt: skip
            return
        self.lines.append(
            self._machine_line(
                {kind: known(obj)}, found, reason=reason, warnings=tuple(warnings),
                title=_('{machine} is {object}').format(machine=self.machine, object=obj),
            )
        )  # fmt: skip
        self.ports = [port.name for port in ports.of_object(obj)]
        lines, notes = difference.object_lines(
            self.machine, obj, self.facts, self.choices.bmc_credential, self.choices.interfaces, self.sight
        )
        self.lines += lines
        self.notes += notes

    def _machine_line(self, values: dict[str, Object], found: dict[str, Any], **more: Any) -> Line:
        """The line that makes the machine what it is from now on: registered."""
        if found['profile'] is not None:
            values = {**values, 'profile': known(found['profile'])}
        change = update(self.machine, **values)
        assert change is not None
        return Line(key='machine', section='machine', required=True, changes=(change,), **more)

    # ------------------------------------------------------------------ as a new device

    def _as_device(self, found: dict[str, Any]) -> None:
        from dcim.models import Device, DeviceType

        choices = self.choices
        makers = Makers()
        device_type = found['device_type']
        of_type: Object | None = maybe_known(device_type)
        if device_type is None:
            said = devicetypes.find(self.facts, makers)
            device_type, of_type = said.device_type, maybe_known(said.device_type)
            if device_type is None and choices.make_device_type:
                line, of_type = devicetypes.new_line(self.facts, makers)
                if line is not None:
                    self.lines.append(line)
            if of_type is None:
                self._problem('device_type', said.why or _('Choose a device type.'))
        for name, words in (('role', _('Choose a role.')), ('site', _('Choose a site.'))):
            if found[name] is None and getattr(choices, name) is None:
                self._problem(name, words)
        if not choices.name:
            self._problem('name', _('Give it a name.'))
        if (place := choices.position) is not None and not (0 < place <= MOST_UNITS and place * 2 == int(place * 2)):
            # NetBox calculates with it before it looks at it.
            self._problem('position', _('{position} is no place in a rack: give a unit such as 12 or 12.5.').format(
                position=place))  # fmt: skip
        if self.problems:
            return
        values: dict[str, Any] = {
            'name': choices.name, 'status': choices.status or DeviceStatusChoices.STATUS_PLANNED,
            'serial': (self.facts.serial or '')[:50], 'asset_tag': self._asset_tag(),
            'position': choices.position, 'face': choices.face or None,
        }  # fmt: skip
        objects = {name: found[name] for name in ('role', 'site', 'location', 'rack', 'tenant', 'platform', 'cluster')}
        self._valid(
            Device(**values, **objects, device_type=device_type or DeviceType(model='?', slug='x')),
            () if device_type is not None else ('device_type',),
        )
        if self.problems:
            return
        device = New(key='device', name=choices.name)
        placed = {name: maybe_known(obj) for name, obj in objects.items()}
        self.lines.append(
            Line(
                key='device', section='device', required=True,
                title=_('Device {name} (new)').format(name=choices.name), warnings=tuple(self._others()),
                changes=(create('dcim.device', 'device', device_type=of_type, **values, **placed),),
                reason=self._comes_along(device_type),
            )
        )  # fmt: skip
        self.lines.append(
            self._machine_line({'device': device}, found, title=_('{machine} is registered as {name}').format(
                machine=self.machine, name=choices.name))
        )  # fmt: skip
        has = ports.of_type(device_type, device) if device_type is not None else []
        self.ports = [port.name for port in has]
        made = ports.lines(ports.match(self.facts.ports, has, choices.interfaces), device, 'device', self.sight)
        self.lines += made.lines
        line, note = addresses.primary_line(
            choices.primary_ip, self.facts, made.of(self.facts.boot_port), device, 'dcim.device', self.sight
        )
        self._add(line, note)
        brought = device_type.inventoryitemtemplates.values_list('name', flat=True) if device_type is not None else ()
        self.lines += parts.new_lines(self.facts, device, makers, brought)
        lines, notes = addresses.bmc_lines(
            self.facts, has, device, choices.bmc_credential, known(self.machine), sight=self.sight
        )
        self.lines += lines
        self.notes += notes
        self.lines += cable_lines(made.wired, self.sight)
        self._say_what_is_left_out()

    def _asset_tag(self) -> str | None:
        from dcim.models import Device

        tag = (self.facts.asset_tag or '')[:50]
        if tag and (other := Device.objects.filter(asset_tag=tag).first()):
            self.notes.append(
                _('Its asset tag {tag} is left out: {device} has it in NetBox.').format(
                    tag=tag, device=self.sight.name(other)
                )
            )
            return None
        return tag or None

    def _others(self) -> list[str]:
        """Objects that the machine may be instead: a second one of the same would be made."""
        return [
            _('It may be {object}, which NetBox has already. {reasons}').format(
                object=self.sight.name(each.object), reasons=' '.join(each.reasons)
            )
            for each in candidates(self.machine, self.facts)
        ]

    @staticmethod
    def _comes_along(device_type: Any) -> str:
        """What a device gets from its type."""
        if device_type is None:
            return ''
        found = [
            f'{count} {model._meta.verbose_name_plural if count > 1 else model._meta.verbose_name}'
            for model, count in (
                (related.model.component_model, related.count())
                for name in ('interfacetemplates', 'powerporttemplates', 'consoleporttemplates', 'modulebaytemplates',
                             'devicebaytemplates', 'inventoryitemtemplates')
                for related in (getattr(device_type, name).all(),)
            )
            if count
        ]  # fmt: skip
        return _('Its device type brings {components}.').format(components=', '.join(found)) if found else ''

    def _add(self, line: Line | None, note: str) -> None:
        if line is not None:
            self.lines.append(line)
        if note:
            self.notes.append(note)

    def _say_what_is_left_out(self) -> None:
        made_of_others = [
            each.name for each in self.facts.interfaces if not each.physical and each.kind != 'loopback' and each.name
        ]
        if made_of_others:
            self.notes.append(
                _('Left out, for they are made of other ports: {names}.').format(names=', '.join(made_of_others[:20]))
            )
        without = [each.name for each in self.facts.ports if not each.own_mac and each.name]
        if without:
            self.notes.append(_('Without a MAC address: {names}.').format(names=', '.join(without[:20])))

    # ------------------------------------------------------------------ as a new virtual machine

    def _as_virtual_machine(self, found: dict[str, Any]) -> None:
        from virtualization.models import VirtualMachine

        choices, facts = self.choices, self.facts
        if not choices.name:
            self._problem('name', _('Give it a name.'))
        if found['cluster'] is None and found['site'] is None and not self.problems:
            self._problem('cluster', _('Choose a cluster, or a site.'))
        if self.problems:
            return
        values: dict[str, Any] = {
            'name': choices.name, 'status': choices.status or VirtualMachineStatusChoices.STATUS_PLANNED,
            'serial': (facts.serial or '')[:50], 'vcpus': facts.cpu.threads or facts.cpu.cores,
            'memory': facts.memory_mib,
        }  # fmt: skip
        objects = {name: found[name] for name in ('cluster', 'site', 'role', 'tenant', 'platform')}
        if objects['cluster'] is not None and objects['cluster']._site is not None:
            objects['site'] = objects['cluster']._site  # NetBox wants them to agree
        self._valid(VirtualMachine(**values, **objects))
        if self.problems:
            return
        owner = New(key='virtual-machine', name=choices.name)
        placed = {name: maybe_known(obj) for name, obj in objects.items()}
        self.lines.append(
            Line(
                key='virtual-machine', section='device', required=True,
                title=_('Virtual machine {name} (new)').format(name=choices.name), warnings=tuple(self._others()),
                changes=(create('virtualization.virtualmachine', 'virtual-machine', **values, **placed),),
            )
        )  # fmt: skip
        self.lines.append(
            self._machine_line({'virtual_machine': owner}, found, title=_('{machine} is registered as {name}').format(
                machine=self.machine, name=choices.name))
        )  # fmt: skip
        made = ports.lines(ports.match(facts.ports, [], choices.interfaces), owner, 'virtual_machine', self.sight)
        self.lines += made.lines
        line, note = addresses.primary_line(
            choices.primary_ip, facts, made.of(facts.boot_port), owner, 'virtualization.virtualmachine', self.sight
        )
        self._add(line, note)
        self.lines += [parts.disk_line(disk, owner) for disk in parts.virtual_disks(facts)]
        self._say_what_is_left_out()


__all__ = ('MODELS', 'Choices', 'Outcome', 'Problem', 'Proposal', 'carry_out', 'defaults', 'offered', 'propose')
