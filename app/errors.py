"""The one family of errors a person can act on; everything else is a bug."""

from __future__ import annotations


class KnownError(Exception):
    """Something the person can mend: the message says what happened, to which file, and what to do.

    Shown without a traceback; the command line ends with exit code 2.
    """
