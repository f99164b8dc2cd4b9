"""All readers, by name: each prepares a folder for the file that it reads."""

from fuzz.arrays import ARRAYS
from fuzz.texts import TEXTS

READERS = {**TEXTS, **ARRAYS}
