"""Pages of discovery rules."""

__all__ = ()
