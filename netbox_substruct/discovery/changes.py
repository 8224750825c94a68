"""What is going to be written, line by line, so that it can be read, accepted in part, and carried out.

A `Line` is what a person accepts or leaves: an interface with its MAC address, a memory module, a cable.  It holds the
changes that belong together.  A value that is an object is either one that NetBox has (`Known`), one that another
change makes (`New`), or one that comes along with a new device, out of its type's templates (`Part`).

Lines are plain data: those that were made at different times can be compared (`digest`), and whoever carries them out
does so only if nothing has changed since a person saw them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from netaddr import EUI


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What everything here shares."""


class Known(Data, tag='known', frozen=True, kw_only=True):
    """An object that NetBox has.  `model` is as in "dcim.device"."""

    model: str
    id: int
    name: str


class New(Data, tag='new', frozen=True, kw_only=True):
    """The object that the change with this key makes."""

    key: str
    name: str


class Part(Data, tag='part', frozen=True, kw_only=True):
    """The component with this name that a new device gets from its type."""

    of: str
    model: str
    name: str


type Object = Known | New | Part
type Value = bool | int | float | str | Known | New | Part | tuple[Known | New | Part, ...] | None


class Field(Data, frozen=True, kw_only=True):
    """One field that is written: what stood there, and what will."""

    name: str
    label: str
    before: Value = None
    after: Value = None


class Change(Data, frozen=True, kw_only=True):
    """One object that is made, changed or removed.  `key` is how others refer to one that is made.

    "merge" makes the machine `object` one with the machine in the field "into".
    """

    action: Literal['create', 'update', 'delete', 'merge']
    model: str
    key: str = ''
    object: Known | New | Part | None = None
    fields: tuple[Field, ...] = ()


class Line(Data, frozen=True, kw_only=True):
    """What is accepted or left as one.

    `required`: nothing is done without it.  `needs` are keys of lines without which it cannot be.  `suggested`: it is
    accepted unless somebody says otherwise.  A line without changes only says something.
    """

    key: str
    section: str
    title: str
    reason: str = ''
    warnings: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    needs: tuple[str, ...] = ()
    required: bool = False
    suggested: bool = True
    # Permissions that the user who looks at it has not got, as in "dcim.add_cable".
    not_permitted: tuple[str, ...] = ()

    @property
    def acceptable(self) -> bool:
        return bool(self.changes) and not self.not_permitted

    @property
    def accepted_by_default(self) -> bool:
        return self.acceptable and (self.required or self.suggested)


# ---------------------------------------------------------------------- making them


def known(obj: Any) -> Known:
    # Not str() alone: NetBox adds the asset tag of a device to its name there.
    name = getattr(obj, 'name', None)
    return Known(model=obj._meta.label_lower, id=obj.pk, name=name if name and isinstance(name, str) else str(obj))


def maybe_known(obj: Any) -> Known | None:
    return None if obj is None else known(obj)


def create(model: str, key: str, /, **values: Value) -> Change:
    """Make an object; what is None or '' is left to its default."""
    return Change(
        action='create',
        model=model,
        key=key,
        fields=tuple(
            Field(name=name, label=label(model, name), after=value)
            for name, value in values.items()
            if value is not None and value != ''
        ),
    )


def update(obj: Any, /, **values: Value) -> Change | None:
    """Change an object that NetBox has, where it is another; None where it is not."""
    model = obj._meta.label_lower
    fields = []
    for name, value in values.items():
        before = plain(getattr(obj, name))
        if before != value and (before or value):
            fields.append(Field(name=name, label=label(model, name), before=before, after=value))
    return Change(action='update', model=model, object=known(obj), fields=tuple(fields)) if fields else None


def update_new(model: str, obj: New | Part, /, **values: Value) -> Change:
    """Change an object that is not there yet."""
    return Change(
        action='update',
        model=model,
        object=obj,
        fields=tuple(Field(name=name, label=label(model, name), after=value) for name, value in values.items()),
    )


def delete(obj: Any) -> Change:
    return Change(action='delete', model=obj._meta.label_lower, object=known(obj))


def plain(value: Any) -> Value:
    """What stands in a field, as a value of a change."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, '_meta'):
        return known(value)
    return str(value).lower() if isinstance(value, EUI) else str(value)


# What is no field of a cable.
_SIDES = {'a_terminations': gettext_lazy('A side'), 'b_terminations': gettext_lazy('B side')}


def label(model: str, name: str) -> str:
    """What people call a field of a model."""
    if name in _SIDES:
        return str(_SIDES[name])
    try:
        field = apps.get_model(model)._meta.get_field(name)
    except FieldDoesNotExist:
        return name.replace('_', ' ')
    return str(getattr(field, 'verbose_name', None) or name.replace('_', ' '))


def shown(value: Value) -> str:
    """A value as people read it."""
    if isinstance(value, tuple):
        return ', '.join(shown(each) for each in value)
    if isinstance(value, Known | New | Part):
        return value.name
    if isinstance(value, bool):
        return _('yes') if value else _('no')
    return '' if value is None else str(value)


# ---------------------------------------------------------------------- comparing and choosing them


def digest(lines: Iterable[Line]) -> str:
    """Stands for what would be written, in whichever language it was shown."""
    essence = [
        [line.key, line.required, [
            [change.action, change.model, change.key, change.object,
             [[field.name, field.before, field.after] for field in change.fields]]
            for change in line.changes
        ]]
        for line in lines
    ]  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(essence)).hexdigest()


def permitted(lines: Iterable[Line], user: Any) -> tuple[Line, ...]:
    """The same lines, each with the permissions that the user lacks for it."""
    return tuple(msgspec.structs.replace(line, not_permitted=_lacking(line, user)) for line in lines)


def _lacking(line: Line, user: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for change in line.changes:
        permission = permission_of(change)
        obj = change.object
        touched = [obj] if isinstance(obj, Known) else []
        if change.action == 'merge':
            touched += [field.after for field in change.fields if isinstance(field.after, Known)]
        if not user.has_perm(permission) or not all(_covers(user, change, each) for each in touched):
            found[permission] = None
    return tuple(found)


def permission_of(change: Change) -> str:
    app, _, model = change.model.partition('.')
    action = {'create': 'add', 'update': 'change', 'delete': 'delete', 'merge': 'change'}[change.action]
    return f'{app}.{action}_{model}'


def _covers(user: Any, change: Change, obj: Known) -> bool:
    """Whether the constraints of the user's permission cover this object."""
    action = permission_of(change).partition('.')[2].partition('_')[0]
    return bool(apps.get_model(change.model).objects.restrict(user, action).filter(pk=obj.id).exists())


def references(line: Line) -> set[str]:
    """The keys of the changes that a line refers to."""
    found: set[str] = set()
    for change in line.changes:
        for value in (change.object, *(field.after for field in change.fields)):
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, New):
                    found.add(each.key)
                elif isinstance(each, Part):
                    found.add(each.of)
    return found - {change.key for change in line.changes}


def makers(lines: Iterable[Line]) -> Mapping[str, Line]:
    """Which line makes the object with each key."""
    return {change.key: line for line in lines for change in line.changes if change.key}
