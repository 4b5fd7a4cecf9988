"""The window. ``presenters`` hold what is shown and need no screen; ``views`` draw it and say what was asked."""
