"""REST view sets of discovery rules."""

__all__ = ()
