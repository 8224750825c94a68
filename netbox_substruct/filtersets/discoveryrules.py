"""Filter sets of discovery rules."""

__all__ = ()
