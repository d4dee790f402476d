"""
A locale of our own whose alphabet is that of people: whatever has to be sorted by bytes shows
whether it is, also on a machine that has no other locale than C{C}.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from string import ascii_letters, ascii_lowercase

#: Not in C{C} order: punctuation, digits, and then a A b B.
ALPHABET = [
    *(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ascii_letters),
    *(letter for lower in ascii_lowercase for letter in (lower, lower.upper())),
]

NAME = "people.utf8"

CHARACTERS = """\
<code_set_name> UTF-8
<comment_char> %
<escape_char> /
<mb_cur_min> 1
<mb_cur_max> 6
CHARMAP
{}
END CHARMAP
"""

ORDER = """\
comment_char %
escape_char /
LC_COLLATE
order_start forward
{}
UNDEFINED
order_end
END LC_COLLATE
"""


def make_locale(directory: Path) -> str | None:
    """
    Make the locale below C{directory}, for programs that have that in their C{LOCPATH}.

    @return: its name, or None where the C library does not make locales.
    """
    if shutil.which("localedef") is None:
        return None
    characters, order = directory / "characters", directory / "order"
    names = "\n".join(f"<U{code:04X}> /x{code:02x}" for code in range(0x80))
    characters.write_text(CHARACTERS.format(names))
    order.write_text(ORDER.format("\n".join(f"<U{ord(letter):04X}>" for letter in ALPHABET)))
    # It warns of all that is not said here, and so ends with 1, though it has made the locale.
    made = directory / NAME
    done = subprocess.run(
        ["localedef", "--no-archive", "-c", "-f", characters, "-i", order, made],
        capture_output=True,
        text=True,
        check=False,
    )
    if not (made / "LC_COLLATE").exists():
        raise RuntimeError(f"localedef made no locale: {done.stderr}")
    return NAME
