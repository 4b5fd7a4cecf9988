"""sqlite-utils, imported without what it would load only to store values nobody here stores.

Where numpy and pandas are installed (learning needs numpy), sqlite-utils imports them for their number types:
a tenth of a second and some 25 MB in a program that must be on screen at once.
"""

from __future__ import annotations

import sys

__all__ = ["Migrations", "Tables"]

_kept_out = [name for name in ("numpy", "pandas") if name not in sys.modules]
# None in the place of a module makes its import fail as if it were not installed.
sys.modules.update(dict.fromkeys(_kept_out))  # type: ignore[arg-type]
try:
    from sqlite_utils import Database as Tables
    from sqlite_utils import Migrations
finally:
    for _name in _kept_out:
        del sys.modules[_name]
