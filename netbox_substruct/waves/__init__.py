"""Waves: many machines built a few at a time, canaries first, within a maintenance window.

`window` knows when builds may be begun and `deciding` what is to be done next; both are pure.  `moves` is what people
do with a wave, `running` carries it on, `choosing` is which machines may be in one, `summary` what pages and the REST
API show of it.  Nothing here knows of HTTP requests or forms; builds are requested through `lifecycle` alone.
"""
