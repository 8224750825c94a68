"""`python -m lab`, which is what bin/lab runs."""

from lab.cli import main

raise SystemExit(main())
