"""Forms of discovery rules."""

__all__ = ()
