"""Tables of discovery rules."""

__all__ = ()
