"""Pages of zones."""

__all__ = ()
