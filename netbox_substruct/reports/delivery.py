"""What machines reported to a boot server: taken in order, each once, each by itself.

A message is known by its key.  What it changes and that it was taken are one transaction, so that a boot server which
did not hear the answer may send it again.  A message that cannot be taken now or ever is refused, with the reason, and
costs no other; what is wrong for a while (`Later`) ends the delivery, and the boot server comes again from there.

A boot server speaks for the machines that it serves, and for those about which it has spoken before: a machine may move
to another boot server while it is being built.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..discovery import automatic, taking
from ..discovery.finding import Contradictory
from ..feed import reader
from ..identity import Identity
from ..lifecycle import builds, events, machines
from ..lifecycle.errors import LifecycleError
from . import messages as m

RECEIVED = 'netbox_substruct_received'
# Keys are remembered for longer than any boot server repeats itself.
REMEMBERED = '90 days'
MOST_FILES = 500

logger = logging.getLogger('netbox.substruct.reports')

_keyed = msgspec.json.Decoder(m.Keyed)
_message = msgspec.json.Decoder(m.AnyMessage)


class Unknown(LifecycleError):
    """There is no such build or machine (any more)."""

    code = 'unknown'


class NotServed(LifecycleError):
    """The boot server does not serve the machine, and has never spoken about it."""

    code = 'not-served'


class Invalid(LifecycleError):
    """The message is malformed."""

    code = 'invalid'


class Later(Exception):
    """The database is in trouble; what was not answered has not been taken."""


def deliver(boot_server: Any, raws: Iterable[bytes], user: Any = None) -> list[m.Result]:
    """Take messages, each the JSON of one.  Raises Later, and Invalid where a message has not even a key."""
    raws = list(raws)
    try:
        keys = [_keyed.decode(raw).key for raw in raws]
    except msgspec.ValidationError as error:
        raise Invalid(_('A message has no key: {why}.').format(why=error)) from error
    speaker = _Speaker(boot_server, user)
    try:
        found = [speaker.take(key, raw) for key, raw in zip(keys, raws, strict=True)]
        _forget()
    except (OperationalError, InterfaceError) as error:
        raise Later(str(error)) from error
    return found


def _forget() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {RECEIVED} WHERE at < now() - interval '{REMEMBERED}'")  # noqa: S608


class _Speaker:
    """One boot server that delivers."""

    def __init__(self, boot_server: Any, user: Any) -> None:
        self.boot_server = boot_server
        self.user = user
        self.speaks_for: set[int] = set()
        # The machines whose facts were just taken, for the rules to look at when they are committed.
        self.discovered: list[int] = []

    def take(self, key: str, raw: bytes) -> m.Result:
        key = m.kept(key)
        self.discovered.clear()
        try:
            message = _message.decode(raw)
            for last in (False, True):
                try:
                    result = self._take(key, message, len(raw))
                except IntegrityError:
                    # Somebody else was at the same object; now it can be seen what they made of it.
                    if last:
                        raise
                else:
                    for machine in self.discovered:
                        automatic.adopt_by_rule(machine, self.user)
                    return result
        except msgspec.ValidationError as error:
            return m.Result(key=key, status='refused', code='invalid', detail=str(error))
        except Contradictory as error:
            assert isinstance(message, m.Facts)
            taking.contradicted(error, _identity(message))
            return m.Result(key=key, status='refused', code=error.code, detail=str(error))
        except LifecycleError as error:
            return m.Result(key=key, status='refused', code=error.code, detail=str(error))
        except ValidationError as error:
            return m.Result(key=key, status='refused', code='invalid', detail='; '.join(error.messages))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # one message must not keep all others from being delivered for ever
            logger.exception('Boot server %s: message %s cannot be taken', self.boot_server, key)
            return m.Result(key=key, status='refused', code='error', detail=f'{type(error).__name__}: {error}'[:500])
        raise AssertionError('unreachable')

    def _take(self, key: str, message: m.AnyMessage, size: int) -> m.Result:
        try:
            time = m.moment(message.time, timezone.now())
        except ValueError as error:
            raise Invalid(str(error)) from error
        with events.alone(self.user), connection.cursor() as cursor:
            cursor.execute(
                f'INSERT INTO {RECEIVED} (boot_server_id, key) VALUES (%s, %s) ON CONFLICT DO NOTHING',  # noqa: S608
                [self.boot_server.pk, key],
            )
            if not cursor.rowcount:
                if isinstance(message, m.Facts):
                    self._discovered_before(key)
                return m.Result(key=key, status='duplicate')
            known = True
            machine: int | None = None
            match message:
                case m.Event():
                    machine, known = self._event(message, key, time)
                case m.Facts():
                    machine = self._facts(message, time, size)
                case m.Seen():
                    machine = self._seen(message, time)
                case m.File():
                    self._file(message, time)
                case m.ServedOnce():
                    machine = self._served_once(message, time)
            if machine is not None:
                cursor.execute(
                    f'UPDATE {RECEIVED} SET machine_id = %s WHERE boot_server_id = %s AND key = %s',  # noqa: S608
                    [machine, self.boot_server.pk, key],
                )
        if machine is not None:
            self.speaks_for.add(machine)
        return m.Result(key=key, status='ok' if known else 'duplicate')

    def _discovered_before(self, key: str) -> None:
        """Let the rules look once more at a machine whose facts come again: what took them the first time may have been
        stopped before it came to the rules."""
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT machine_id FROM {RECEIVED} '  # noqa: S608
                'WHERE boot_server_id = %s AND key = %s AND machine_id IS NOT NULL',
                [self.boot_server.pk, key],
            )
            self.discovered += [machine for (machine,) in cursor.fetchall()]

    # ------------------------------------------------------------------ each type; gives the machine's id

    def _event(self, message: m.Event, key: str, time: datetime) -> tuple[int, bool]:
        """The machine, and whether the event was new."""
        from ..models import Build, BuildEvent

        build = Build.objects.defer('request').select_related('requested_by').filter(pk=message.build).first()
        if build is None:
            raise Unknown(_('There is no build #{build} (any more).').format(build=message.build))
        self._must_speak_for(build.machine_id)
        # Keys of events are unique in all of NetBox: several boot servers may tell of the same step.
        key = key if len(key) <= 64 else m.digest(key)
        known = BuildEvent.objects.filter(key=key, build=build).exists()
        builds.record(
            build, message.kind, message=m.kept(message.message, 500), time=time, progress=message.progress,
            log=m.end_of(message.log), key=key, user=self.user,
        )  # fmt: skip
        _saw(build.machine_id, time)
        return build.machine_id, not known

    def _facts(self, message: m.Facts, time: datetime, size: int) -> int:
        from ..models import Machine

        if size > m.LARGEST_FACTS:
            raise Invalid(
                _('Facts of {size} bytes are no facts; at most {limit} are taken.').format(
                    size=size, limit=m.LARGEST_FACTS
                )
            )
        machine = None
        if message.machine is not None:
            machine = Machine.objects.filter(pk=message.machine).first()
            if machine is None:
                raise Unknown(_('There is no machine with the id {id} (any more).').format(id=message.machine))
            self._must_speak_for(machine.pk)
        machine = taking.take(
            machine, _identity(message), source=message.source or 'prospector', collected=time,
            format_version=message.format_version, data=m.kept(message.data, m.LARGEST_FACTS),
        )  # fmt: skip
        _saw(machine.pk, time)
        self.discovered.append(machine.pk)
        return machine.pk

    def _seen(self, message: m.Seen, time: datetime) -> int:
        self._must_exist(message.machine)
        self._must_speak_for(message.machine)
        _saw(message.machine, time)
        return message.machine

    def _served_once(self, message: m.ServedOnce, time: datetime) -> int:
        machine = self._must_exist(message.machine)
        self._must_speak_for(message.machine)
        machines.served(machine, message.action, user=self.user)
        _saw(message.machine, time)
        return message.machine

    def _file(self, message: m.File, time: datetime) -> None:
        """Kept with the boot server, one entry for each URL, the newest first."""
        from ..models import BootServer

        locked = BootServer.objects.select_for_update(of=('self',)).only('id', 'files').get(pk=self.boot_server.pk)
        data = msgspec.to_builtins(message.data)
        # "url" would be taken by API clients for the address of an object of NetBox's.
        entry = {'source': data.pop('url'), **m.kept(data), 'time': time.isoformat(timespec='seconds')}
        others = []
        for other in locked.files:
            if other['source'] == entry['source']:
                if datetime.fromisoformat(other['time']) > time.replace(microsecond=0):
                    return  # news that was overtaken
            else:
                others.append(other)
        found = others if message.data.state == 'removed' else [entry, *others]
        BootServer.objects.filter(pk=self.boot_server.pk).update(files=found[:MOST_FILES])

    # ------------------------------------------------------------------ who may speak for whom

    @staticmethod
    def _must_exist(machine_id: int) -> Any:
        from ..models import Machine

        machine = Machine.objects.filter(pk=machine_id).first()
        if machine is None:
            raise Unknown(_('There is no machine with the id {id} (any more).').format(id=machine_id))
        return machine

    def _must_speak_for(self, machine_id: int) -> None:
        """Raise NotServed unless the boot server serves the machine, or has spoken about it before."""
        if machine_id in self.speaks_for:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT 1 FROM {RECEIVED} WHERE boot_server_id = %s AND machine_id = %s LIMIT 1',  # noqa: S608
                [self.boot_server.pk, machine_id],
            )
            before = cursor.fetchone() is not None
        if not before and not reader.served(self.boot_server.pk, [machine_id]):
            raise NotServed(
                _('Boot server {boot_server} does not serve the machine with the id {machine}.').format(
                    boot_server=self.boot_server, machine=machine_id
                )
            )
        self.speaks_for.add(machine_id)


def _identity(message: m.Facts) -> Identity:
    said = message.identity
    return Identity.of(said.uuid, said.serial, said.macs)


def _saw(machine_id: int, time: datetime) -> None:
    """When a machine last showed itself; no change that somebody made."""
    from ..models import Machine

    Machine.objects.filter(Q(last_seen__isnull=True) | Q(last_seen__lt=time), pk=machine_id).update(last_seen=time)
