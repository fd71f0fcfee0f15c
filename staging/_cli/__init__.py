"""Carry out `staging run`, `staging get` and `staging sweep`.

Read `perform` first: it carries an order out. `orders` makes the order from the arguments, `output` and `bars` print,
and `texts` holds the help.
"""

from staging._cli.perform import main

__all__ = ["main"]
