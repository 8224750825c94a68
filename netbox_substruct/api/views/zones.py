"""REST view sets of zones."""

__all__ = ()
