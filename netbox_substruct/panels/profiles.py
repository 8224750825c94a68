"""Panels on the pages of profiles and their templates."""

__all__ = ()
