"""Carrying out lines: all of what was accepted, or nothing."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.utils.translation import gettext as _

from utilities.exceptions import AbortRequest

from .changes import Change, Known, Line, New, Object, Part, Value, makers, permission_of, plain, references, shown
from .errors import Incomplete, NotPermitted, Stale, Unwritable


@dataclass(slots=True)
class Written:
    """The objects that were made, changed and removed, each once, in order."""

    created: list[Any] = field(default_factory=list)
    updated: list[Any] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


def chosen(lines: Iterable[Line], accept: Collection[str] | None) -> list[Line]:
    """The lines that are accepted, in their order; without `accept` those that are suggested.

    Raises Incomplete where they cannot stand without others, NotPermitted where a required one may not be.
    """
    lines = list(lines)
    keys = {line.key for line in lines}
    if accept is not None and (unknown := [key for key in accept if key not in keys]):
        raise Incomplete(_('There are no lines {keys} (any more).').format(keys=', '.join(sorted(unknown))))
    found = []
    for line in lines:
        if not line.changes:
            if accept is not None and line.key in accept:
                raise Incomplete(_('"{line}" has nothing that could be accepted.').format(line=line.title))
            continue
        wanted = line.accepted_by_default if accept is None else line.required or line.key in accept
        if (wanted or line.required) and line.not_permitted:
            raise NotPermitted(
                _('"{line}" needs the permissions {permissions}.').format(
                    line=line.title, permissions=', '.join(line.not_permitted)
                )
            )
        if wanted:
            found.append(line)
    there = {line.key for line in found}
    made_by = makers(lines)
    titles = {line.key: line.title for line in lines}
    for line in list(found):
        needed = {*line.needs, *(made_by[key].key for key in references(line) if key in made_by)} - {line.key}
        if missing := sorted(needed - there):
            if accept is None:
                found.remove(line)
                there.discard(line.key)
                continue
            raise Incomplete(
                _('"{line}" needs {others}: accept both, or neither.').format(
                    line=line.title, others=', '.join(f'"{titles[key]}"' for key in missing)
                )
            )
    return found


class Writer:
    """Carries out changes within a transaction of the caller's.  With a `user`, only what that user may do."""

    def __init__(self, user: Any = None) -> None:
        self._user = user
        self._made: dict[str, Any] = {}
        self._gone: set[tuple[str, int]] = set()
        self.written = Written()

    def write(self, lines: Iterable[Line]) -> Written:
        """Raises Stale, NotPermitted or Unwritable."""
        for line in lines:
            for change in line.changes:
                try:
                    self._write(change)
                except ValidationError as error:
                    raise _unwritable(change, error) from error
                except AbortRequest as error:
                    raise Unwritable(f'{_title(change)}: {error}', change.model, _name(change)) from error
                except IntegrityError as error:
                    raise Stale(
                        _('{object} cannot be written: somebody else has just written something like it. Look again.')
                        .format(object=_title(change))
                    ) from error  # fmt: skip
        return self.written

    def made(self, key: str) -> Any:
        """The object that the change with this key has made."""
        return self._made[key]

    # ------------------------------------------------------------------ one change

    def _write(self, change: Change) -> None:
        permission = permission_of(change)
        if self._user is not None and not self._user.has_perm(permission):
            raise NotPermitted(
                _('{object} needs the permission {permission}.').format(object=_title(change), permission=permission)
            )
        match change.action:
            case 'create':
                self._create(change, permission)
            case 'update':
                self._update(change, permission)
            case 'delete':
                self._delete(change, permission)
            case 'merge':
                self._merge(change, permission)

    def _create(self, change: Change, permission: str) -> None:
        values = {each.name: self._resolve(each.after) for each in change.fields}
        obj = apps.get_model(change.model)()
        for name, value in values.items():
            setattr(obj, name, value)
        obj.full_clean()
        obj.save()
        self._must_cover(obj, change, permission)
        self._made[change.key] = obj
        self.written.created.append(obj)

    def _update(self, change: Change, permission: str) -> None:
        assert change.object is not None
        obj = self._fresh(change.object)
        if isinstance(change.object, Known):
            self._must_cover(obj, change, permission)
            for each in change.fields:
                if not _same(plain(getattr(obj, each.name)), each.before):
                    raise Stale(
                        _('{object}: {field} is no longer "{before}" but "{now}". Look again.').format(
                            object=_title(change), field=each.label, before=shown(each.before),
                            now=shown(plain(getattr(obj, each.name))),
                        )
                    )  # fmt: skip
        obj.snapshot()
        for each in change.fields:
            setattr(obj, each.name, self._resolve(each.after))
        obj.full_clean()
        obj.save()
        self._must_cover(obj, change, permission)
        if isinstance(change.object, New):
            self._made[change.object.key] = obj
        elif obj not in self.written.updated:
            self.written.updated.append(obj)

    def _delete(self, change: Change, permission: str) -> None:
        assert isinstance(change.object, Known)
        place = (change.object.model, change.object.id)
        if place in self._gone:
            return  # another line had it removed: two cables that were swapped make way for each other
        self._gone.add(place)
        obj = self._fresh(change.object)
        self._must_cover(obj, change, permission)
        obj.snapshot()
        self.written.deleted.append(_title(change))
        try:
            obj.delete()
        except models.ProtectedError as error:
            raise Unwritable(
                _('{object} cannot be removed: others depend on it.').format(object=_title(change)), change.model
            ) from error

    def _merge(self, change: Change, permission: str) -> None:
        from .merging import merge

        assert change.object is not None
        into = self._resolve(next(each.after for each in change.fields if each.name == 'into'))
        obj = self._fresh(change.object)
        for each in (obj, into):
            self._must_cover(each, change, permission)
        self.written.deleted.append(_title(change))
        self.written.updated.append(merge(obj, into))

    # ------------------------------------------------------------------ objects

    def _must_cover(self, obj: Any, change: Change, permission: str) -> None:
        """The constraints of the user's permission hold for the object, before and after."""
        if self._user is None:
            return
        action = permission.partition('.')[2].partition('_')[0]
        if not type(obj).objects.restrict(self._user, action).filter(pk=obj.pk).exists():
            raise NotPermitted(
                _('Your permission {permission} does not cover {object}.').format(
                    permission=permission, object=_title(change)
                )
            )

    def _resolve(self, value: Value) -> Any:
        if isinstance(value, tuple):
            return [self._object(each) for each in value]
        return self._object(value) if isinstance(value, Known | New | Part) else value

    def _object(self, obj: Object) -> Any:
        if isinstance(obj, New):
            return self._made[obj.key]
        return self._fresh(obj, lock=False)

    def _fresh(self, obj: Object, *, lock: bool = True) -> Any:
        """As it stands in the database now: what is kept in memory lacks counters that others have moved."""
        if isinstance(obj, New):
            made = self._made[obj.key]
            return type(made).objects.get(pk=made.pk)
        rows = apps.get_model(obj.model).objects.all()
        if lock:
            rows = rows.select_for_update(of=('self',))
        try:
            if isinstance(obj, Part):
                return rows.get(device=self._made[obj.of], name=obj.name)
            return rows.get(pk=obj.id)
        except apps.get_model(obj.model).DoesNotExist:
            raise Stale(_('{object} is not there (any more). Look again.').format(object=obj.name)) from None


def _same(one: Value, other: Value) -> bool:
    """Objects are the same whatever they are called meanwhile."""
    if isinstance(one, Known) and isinstance(other, Known):
        return (one.model, one.id) == (other.model, other.id)
    return one == other or (not one and not other)


def _title(change: Change) -> str:
    kind = str(apps.get_model(change.model)._meta.verbose_name)
    name = _name(change)
    return f'{kind} "{name}"' if name else kind


def _name(change: Change) -> str:
    if change.object is not None:
        return change.object.name
    wanted = ('name', 'model', 'mac_address', 'address')
    return next((shown(each.after) for name in wanted for each in change.fields if each.name == name), '')


def _unwritable(change: Change, error: ValidationError) -> Unwritable:
    """NetBox's reason, with the object and the field."""
    if hasattr(error, 'error_dict'):
        found = [(name, '; '.join(messages)) for name, messages in error.message_dict.items()]
    else:
        found = [('', '; '.join(error.messages))]
    words = '; '.join(f'{name}: {text}' if name and name != '__all__' else text for name, text in found)
    name = found[0][0] if found else ''
    return Unwritable(f'{_title(change)}: {words}', change.model, _name(change), '' if name == '__all__' else name)
