"""Filter sets of zones."""

__all__ = ()
