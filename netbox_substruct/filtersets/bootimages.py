"""Filter sets of boot images."""

__all__ = ()
