"""Forms of boot images."""

__all__ = ()
