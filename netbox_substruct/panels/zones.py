"""Panels on the pages of zones."""

__all__ = ()
