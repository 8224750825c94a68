"""Pages of boot servers."""

__all__ = ()
