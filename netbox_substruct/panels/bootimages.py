"""Panels on the pages of boot images."""

__all__ = ()
