"""Why something was not carried out.  Each says what was wrong, with which object, and what to do."""

from ..lifecycle.errors import Conflict, LifecycleError, NotPermitted

__all__ = ('Incomplete', 'NotPermitted', 'Stale', 'Unwritable')


class Stale(Conflict):
    """What was shown is not what would be done now: look at it again."""

    code = 'stale'


class Incomplete(LifecycleError):
    """Something must be chosen or corrected first."""

    code = 'incomplete'


class Unwritable(LifecycleError):
    """NetBox does not take an object as it would be written.  `field` is '' where it is about the whole object."""

    code = 'unwritable'

    def __init__(self, words: str, model: str = '', name: str = '', field: str = '') -> None:
        super().__init__(words)
        self.model = model
        self.name = name
        self.field = field
