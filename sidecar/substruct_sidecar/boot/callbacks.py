"""What machines report, as messages for the outbox: done, failed, finishing, progress, log lines, facts.  Pure.

Whatever a machine sends becomes text that NetBox can keep: decoding never fails.  A message's key is made of the
build's token and of what is said, so that a machine which repeats itself (a lost answer, a second wget) is heard once.
"""

import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ..identity import clean_mac, clean_serial, clean_uuid
from ..outbox import Message
from .identify import Claims, Holders, Known, identify

# Bytes of a log that are kept (its end), and of a report of facts.
LOG = 1 << 20
FACTS = 4 << 20
# Characters of a line that stands in a timeline.
LINE = 200
# What stands before a log whose beginning is not kept, and how many characters half a line has at most.
LEFT_OUT = '(the beginning was left out)'
HALF = 4096

# What NetBox knows as sources of facts (its FactSourceChoices).
SOURCES = frozenset(('prospector', 'redfish', 'salt', 'puppet', 'ansible', 'other'))
# JSON deeper than this is no report of a machine.
DEPTH = 60

_PHONED = frozenset(('instance_id', 'hostname', 'fqdn'))
_PERCENT = re.compile(r'\s*(\d{1,3})(?:[.,]\d+)?\s*%')
# What PostgreSQL's text and JSON cannot hold, and half characters.
_UNFIT = re.compile(r'[\x00\ud800-\udfff]')
_UNSEEN = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+')


class Refused(ValueError):
    """A report that cannot be used; the message says why, to whoever sent it."""


def text_of(body: bytes) -> str:
    """Bytes from a machine as text: UTF-8 as far as it is that, everything else as the replacement character."""
    return _UNFIT.sub('\ufffd', body.decode('utf-8', 'replace')).replace('\r\n', '\n')


def line_of(text: str) -> str:
    """The first line that says something, fit for a timeline."""
    for line in text.splitlines():
        if found := ' '.join(_UNSEEN.sub(' ', line).split()):
            return found if len(found) <= LINE else found[: LINE - 1] + '…'
    return ''


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line_of(line)), '')


def tail_of(body: bytes, cut: bool) -> str:
    """A log, from its end; `cut` says that there was more before."""
    found = text_of(body)
    if not cut:
        return found
    # The first line is half a line, and perhaps begins within a character; one without end is all that there is.
    half, _, whole = found.partition('\n')
    return f'{LEFT_OUT}\n{whole if len(half) <= HALF else found}'


def ended(build: int, digest: str, outcome: str, log: str, now: float, address: str) -> Message:
    """done or failed: `digest` is of the build's token.  The first of the two stands."""
    done = outcome == 'done'
    words = ('Reported done' if done else 'Reported failed') + f' from {address}'
    # The first line says why; of a log that is cut there is only the end, and that is nearer to it.
    said = '' if done else line_of(log) if not log.startswith(LEFT_OUT) else line_of(_last_line(log))
    return Message(
        key=f'build/{build}/{digest[:16]}/{outcome}',
        type='event',
        time=now,
        build=build,
        kind='finished' if done else 'failed',
        message=f'{words}: {said}' if said else words,
        log=log,
        progress=100 if done else None,
    )


def finishing(build: int, digest: str, text: str, now: float, address: str) -> Message:
    """The disk is written: the machine boots that from now on, where the build goes on."""
    return Message(
        key=f'build/{build}/{digest[:16]}/finishing',
        type='event',
        time=now,
        build=build,
        kind='finishing',
        message=line_of(text) or f'Disk written, reported from {address}',
    )


def phoned_home(body: str) -> str | None:
    """What cloud-init's phone_home says, a line for each value; None for any other text.

    It is a form (application/x-www-form-urlencoded), as is what wget and curl call so without being one: therefore its
    names decide (cloud-init, config/cc_phone_home.py).
    """
    if len(body) > 65536 or 'instance_id=' not in body:
        return None
    try:
        pairs = parse_qsl(body.strip(), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        return None
    if not all(name in _PHONED or name.startswith('pub_key_') for name, _ in pairs):
        return None
    return ''.join(f'{name}: {value.strip()}\n' for name, value in pairs)


def progress(build: int, digest: str, text: str, now: float) -> Message:
    """A line of progress; a percentage at its beginning ("40 % packages") is kept as a number too.  Said later, the
    same line is another message: a machine that begins anew says all of them again."""
    line = line_of(text) or 'Progress'
    percent = _PERCENT.match(line)
    return Message(
        key=f'build/{build}/{digest[:16]}/progress/{_digest(line)}/{now:.3f}',
        type='event',
        time=now,
        build=build,
        kind='progress',
        message=line,
        progress=min(100, int(percent[1])) if percent else None,
    )


def log_lines(build: int, digest: str, log: str, now: float, address: str) -> Message:
    return Message(
        key=f'build/{build}/{digest[:16]}/log/{_digest(log)}',
        type='event',
        time=now,
        build=build,
        kind='note',
        message=f'Log from {address}',
        log=log,
    )


def step(build: int, digest: str, kind: str, words: str, now: float) -> Message:
    """A step of a build that this boot server saw by itself; each kind once for a build."""
    return Message(
        key=f'build/{build}/{digest[:16]}/{kind}', type='event', time=now, build=build, kind=kind, message=words
    )


def note(build: int, digest: str, words: str, now: float) -> Message:
    """Something that people should see on the build's page; each wording once."""
    return Message(
        key=f'build/{build}/{digest[:16]}/note/{_digest(words)}', type='event', time=now, build=build, kind='note',
        message=line_of(words),
    )  # fmt: skip


def served_once(machine: int, action: str, revision: int, now: float) -> Message:
    return Message(
        key=f'once/{machine}/{action}/{revision}/{int(now)}', type='served-once', time=now, machine=machine,
        action=action,
    )  # fmt: skip


# ---------------------------------------------------------------------- facts


class Facts(msgspec.Struct, frozen=True):
    """A report of facts: who it is about, and what it says."""

    uuid: str | None
    serial: str | None
    macs: list[str]
    source: str
    format_version: int
    data: dict[str, Any]


def facts_of(body: bytes) -> Facts:
    """Read {"source": "prospector", "format_version": 1, "identity": {"uuid", "serial", "macs"}, "data": {…}}.

    Without "data" the whole object is the data.  Placeholders of firmware among the identifiers are left out.  Raises
    Refused.
    """
    try:
        found = msgspec.json.decode(body.decode('utf-8', 'replace'))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(f'This is no JSON: {error}') from error
    if not isinstance(found, dict):
        raise Refused('Facts are a JSON object: {"identity": {"macs": […]}, "data": {…}}.')
    identity = found.get('identity')
    identity = identity if isinstance(identity, dict) else {}
    data = found.get('data')
    source, version = found.get('source'), found.get('format_version')
    macs = identity.get('macs')
    cleaned = [clean_mac(mac) for mac in macs[:256] if isinstance(mac, str)] if isinstance(macs, list) else []
    facts = Facts(
        uuid=clean_uuid(_str(identity.get('uuid'))),
        serial=clean_serial(_str(identity.get('serial'))),
        macs=list(dict.fromkeys(mac for mac in cleaned if mac)),
        source=source if isinstance(source, str) and source in SOURCES else 'other',
        format_version=version if isinstance(version, int) and 1 <= version <= 32767 else 1,
        data=_fit(data if isinstance(data, dict) and data else found, DEPTH),
    )
    if not facts.macs and not facts.uuid and not facts.serial:
        raise Refused('The facts do not say of which machine they are: "identity" needs uuid, serial or macs.')
    return facts


def facts(body: bytes, found: Facts, machine: int | None, now: float) -> Message:
    """Raises Refused if NetBox would not take it."""
    message = Message(
        key=f'facts/{hashlib.sha256(body).hexdigest()}',
        type='facts',
        time=now,
        machine=machine,
        source=found.source,
        format_version=found.format_version,
        data=found.data,
        identity={'uuid': found.uuid, 'serial': found.serial, 'macs': found.macs},
    )
    if len(msgspec.json.encode(message)) > FACTS:
        raise Refused(f'Facts have at most {FACTS} bytes.')
    return message


def seen(machine: int, now: float) -> Message:
    return Message(key=f'seen/{machine}/{int(now)}', type='seen', time=now, machine=machine)


def machine_of(found: Facts, holders: Holders) -> int | None:
    """The machine that they are of, if all that they say leads to one."""
    said = Claims(mac=next(iter(found.macs), None), other_macs=tuple(found.macs[1:]), uuid=found.uuid,
                  serial=found.serial)  # fmt: skip
    known = identify(said, holders)
    return known.machine if isinstance(known, Known) else None


def _str(value: object) -> str | None:
    return _UNFIT.sub('', value)[:200] if isinstance(value, str) else None


def _fit(value: Any, depth: int) -> Any:
    """The same, but for characters that a database cannot hold.  Raises Refused if it is nested too deeply."""
    if depth <= 0:
        raise Refused('The facts are nested too deeply.')
    if isinstance(value, str):
        return _UNFIT.sub('\ufffd', value)
    if isinstance(value, dict):
        return {_UNFIT.sub('\ufffd', key): _fit(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_fit(item, depth - 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:24]
