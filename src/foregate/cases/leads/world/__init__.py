"""A made-up world of financial advisers whose truth is known, written as Parquet files.

People build careers at firms; some firms lose their people for a while; a desk contacts people, and some agree to a
call. Whether they do hangs on what is true of them on the day of contact (`truth.py`), while the files hold only what
had been recorded by `as_of`: late, with doubles and a little dirt (`employment.py`). A trap plants one fault on purpose
(`planted.py`). `generate` writes a world as of one day; an `Unfolding` goes on, and a desk's contacts come true in it.
"""

from .genesis import generate
from .scale import DEMO, HALF_YEAR, SEEDS, Scale, Trap
from .unfolding import Unfolding
from .variants import lay_variant

__all__ = ["DEMO", "HALF_YEAR", "SEEDS", "Scale", "Trap", "Unfolding", "generate", "lay_variant"]
