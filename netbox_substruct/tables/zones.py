"""Tables of zones."""

__all__ = ()
