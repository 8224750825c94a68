"""Why a move was refused.  Each message says what was wrong, with which object, and what to do."""


class LifecycleError(Exception):
    """A move that is not allowed.  `code` is stable and meant for programs; the text is meant for people."""

    code = 'refused'


class NotAllowed(LifecycleError):
    """The state of the object does not permit the move."""

    code = 'not-allowed'


class Conflict(LifecycleError):
    """Somebody else was first: the machine has a build pending or under way already."""

    code = 'conflict'


class OverrideRequired(LifecycleError):
    """The device is active or protected: building it needs its name as an explicit override."""

    code = 'override-required'


class NotReady(LifecycleError):
    """Something that a build needs is missing or wrong: profile, boot image, parameter or template."""

    code = 'not-ready'


class NotPermitted(LifecycleError):
    """The user may not do a part of it."""

    code = 'not-permitted'


class Lost(Conflict):
    """The claim of a task is not (or no longer) that of whoever comes with it."""

    code = 'lost'
