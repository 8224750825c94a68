"""Forms of zones."""

__all__ = ()
