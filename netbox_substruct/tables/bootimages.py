"""Tables of boot images."""

__all__ = ()
