"""REST view sets of boot images."""

__all__ = ()
