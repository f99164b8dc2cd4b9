"""The command `mmfer`: what is typed, and what is printed for it. The files under tools/ are doors to the same."""
