"""The bodies of what a boot server sends, typed, and of the answers.  Pure.

What is not named here is passed over, so that an older plugin understands a newer sidecar.  Texts may be of any length
and hold anything; what is kept of them is cut and cleaned (`kept`).  Times are seconds since 1970, or ISO 8601 with
zone.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

# Bodies of more bytes than this are refused unread.
LARGEST_BODY = 64 << 20
MOST_PROBLEMS = 1000
MOST_MESSAGES = 500
MOST_TASKS = 100

# What is kept of texts, in characters.
WORDS = 200
TEXT = 2000
LOG = 1 << 20
# Facts of more bytes than this are no facts.
LARGEST_FACTS = 4 << 20

# A machine's clock that is further ahead than this is wrong.
AHEAD = timedelta(minutes=1)

type Time = float | Annotated[datetime, Meta(tz=True)]
type Name = Annotated[str, Meta(min_length=1, max_length=100)]
type Key = Annotated[str, Meta(min_length=1, max_length=500)]
type Count = Annotated[int, Meta(ge=0, le=2**53)]
type Severity = Literal['warning', 'error']


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What all bodies share."""


# ---------------------------------------------------------------------- how it is


class Planned(Body, frozen=True, kw_only=True):
    """How many things a service is going to add, change and remove."""

    add: Count = 0
    change: Count = 0
    remove: Count = 0


class Service(Body, frozen=True, kw_only=True):
    """One service of a boot server: dhcp, dns, files, …

    `existing` is how many things of Substruct it has now; `cannot` is what its backend cannot do, in sentences.
    `difference` is what is planned in lines, the first of them where there are many.
    """

    name: Name
    backend: str = ''
    state: Literal['ok', 'degraded', 'down', 'off'] = 'ok'
    message: str = ''
    existing: Count | None = None
    planned: Planned = Planned()
    last_plan: Time | None = None
    last_apply: Time | None = None
    cannot: Annotated[list[str], Meta(max_length=100)] = []
    difference: Annotated[list[str], Meta(max_length=500)] = []


class Problem(Body, frozen=True, kw_only=True):
    """What cannot be served as it stands in NetBox.  `what` and `id` name the object as the feed does."""

    service: str = ''
    what: Name
    id: int
    name: str = ''
    message: str
    remedy: str = ''
    severity: Severity = 'error'


class Heartbeat(Body, frozen=True, kw_only=True):
    """`instance` names the running sidecar; `state_age` is the age of its desired state in seconds."""

    instance: Name
    version: str = ''
    applied_cursor: str = ''
    services: Annotated[list[Service], Meta(max_length=50)] = []
    problems: Annotated[list[Problem], Meta(max_length=MOST_PROBLEMS)] = []
    started: Time | None = None
    state_age: float | None = None


class Instance(Body, frozen=True, kw_only=True):
    instance: str
    version: str
    last_heard: str
    started: str | None = None
    state_age: float | None = None


class BootServer(Body, frozen=True, kw_only=True):
    id: int
    name: str
    status: str
    base_url: str


class Heard(Body, frozen=True, kw_only=True):
    """The answer to a heartbeat: NetBox's clock, and who else reports under this name."""

    boot_server: BootServer
    time: str
    other_instances: list[Instance]


# ---------------------------------------------------------------------- tasks


class Claim(Body, frozen=True, kw_only=True):
    """`key` names this request: when its answer was lost, the same key gives the same tasks."""

    instance: Name
    key: Annotated[str, Meta(min_length=1, max_length=64)]
    limit: Annotated[int, Meta(ge=1, le=MOST_TASKS)] = 10


class Claimed(Body, frozen=True, kw_only=True):
    """A task that the asker is to do.  `attempt` names this try; `lease_expires` is when it is given to others."""

    id: int
    kind: str
    machine: int | None
    build: int | None
    parameters: dict[str, Any]
    attempt: int
    lease_expires: str


class Claims(Body, frozen=True, kw_only=True):
    """`lease` is how many seconds a claim lasts; renew it well before, and stop working when that is not possible."""

    tasks: list[Claimed]
    lease: int


class Renewal(Body, frozen=True, kw_only=True):
    instance: Name
    attempt: int


class Renewed(Body, frozen=True, kw_only=True):
    id: int
    lease_expires: str


class Answer(Body, frozen=True, kw_only=True):
    """What became of a task; with an `error` it failed."""

    instance: Name
    attempt: int
    answer: dict[str, Any] | None = None
    error: str = ''


class Answered(Body, frozen=True, kw_only=True):
    id: int
    state: str
    attempts: int


# ---------------------------------------------------------------------- what machines reported


class Keyed(Body, frozen=True, kw_only=True):
    key: Key


class Message(Keyed, frozen=True, kw_only=True, tag_field='type'):
    """`key` is unique for ever; `time` is when it happened."""

    time: Time


class Event(Message, tag='event', frozen=True, kw_only=True):
    """A step of a build."""

    build: int
    kind: str
    message: str = ''
    progress: Annotated[int, Meta(ge=0, le=100)] | None = None
    log: str = ''


class Said(Body, frozen=True, kw_only=True):
    """What a machine says that it is."""

    uuid: str | None = None
    serial: str | None = None
    macs: Annotated[list[str], Meta(max_length=1000)] = []


class Facts(Message, tag='facts', frozen=True, kw_only=True):
    """What a machine is made of.  Without `machine` it is found by its identity, or is a new one."""

    machine: int | None = None
    source: str = 'prospector'
    format_version: Annotated[int, Meta(ge=0, le=32767)] = 1
    data: dict[str, Any]
    identity: Said = Said()


class Seen(Message, tag='seen', frozen=True, kw_only=True):
    """A machine showed itself."""

    machine: int
    data: dict[str, Any] = {}


class Fetched(Body, frozen=True, kw_only=True):
    """How far a boot server is with a boot file.  `state` is a word; `bytes` of `total` are there."""

    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    sha256: str | None = None
    state: Name
    bytes: Count = 0
    total: Count | None = None
    error: str = ''


class File(Message, tag='file', frozen=True, kw_only=True):
    data: Fetched


class ServedOnce(Message, tag='served-once', frozen=True, kw_only=True):
    """A machine got what it was asked to boot once (`machine` … `action` rescue, discovery or wipe)."""

    machine: int
    action: str


type AnyMessage = Event | Facts | Seen | File | ServedOnce


class Delivery(Body, frozen=True, kw_only=True):
    """Messages in their order.  Each is read by itself, so that one that is malformed costs no other."""

    messages: Annotated[list[msgspec.Raw], Meta(max_length=MOST_MESSAGES)]


class Result(Body, frozen=True, kw_only=True):
    """`refused` is final: the message will not be taken later either."""

    key: str
    status: Literal['ok', 'duplicate', 'refused']
    code: str = ''
    detail: str = ''


class Results(Body, frozen=True, kw_only=True):
    results: list[Result]


# ---------------------------------------------------------------------- being woken


class Hook(Body, frozen=True, kw_only=True):
    """Where NetBox is to call; '' ends it.  `ssl_verification` off is for certificates that nobody signed."""

    url: Annotated[str, Meta(max_length=500)]
    ssl_verification: bool = True


class Hooked(Body, frozen=True, kw_only=True):
    """`secret` is the key of the HMAC-SHA512 in X-Hook-Signature; the others are ids."""

    secret: str
    webhook: int | None
    event_rule: int | None


# ---------------------------------------------------------------------- what is kept


def kept(value: Any, length: int = TEXT) -> Any:
    """A value as PostgreSQL can hold it, its texts cut: U+0000 is no character there, in text or in JSON."""
    if isinstance(value, str):
        value = value.replace('\0', '\N{REPLACEMENT CHARACTER}')
        return value if len(value) <= length else value[: length - 1] + '…'
    if isinstance(value, list | tuple):
        return [kept(each, length) for each in value]
    if isinstance(value, dict):
        return {kept(key, length): kept(each, length) for key, each in value.items()}
    return value


def digest(key: str) -> str:
    """A key in 64 characters."""
    return hashlib.sha256(key.encode()).hexdigest()


def end_of(log: str) -> str:
    """A log as it is kept: of one that is too long the end, which says why."""
    log = log.replace('\0', '\N{REPLACEMENT CHARACTER}')
    return log if len(log) <= LOG else '[…]\n' + log[4 - LOG :]


def moment(value: Time, now: datetime) -> datetime:
    """A time of a machine's or a boot server's clock; `now` where that clock is ahead.  Raises ValueError for none."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f'{value} is no time; give seconds since 1970.') from error
    if found.year < 1970:
        raise ValueError(f'{value} is no time; give seconds since 1970.')
    return now if found > now + AHEAD else found
