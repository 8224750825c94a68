"""Pages of boot images."""

__all__ = ()
