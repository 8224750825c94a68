"""`python -m substruct_sidecar`, the same as the command substruct-sidecar."""

from .cli import main

raise SystemExit(main())
