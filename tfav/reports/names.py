"""What readers call what results call otherwise."""

# Directions of voices and faces, which stand beside each other in tables; others are called what
# they are.
SHORT = {"v2f": "V->F", "f2v": "F->V"}
LONG = {"v2f": "Voice → face", "f2v": "Face → voice"}


def stratum(name: str) -> str:
    """Returns what a reader calls a stratum, such as `same-gender`."""
    return name.replace("_", "-")


def sentence(text: str) -> str:
    """Returns a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def listed(words: list[str], last: str = "and") -> str:
    """Returns `a, b and c`."""
    *others, end = words
    return f"{', '.join(others)} {last} {end}" if others else end


def encodable(text: str) -> str:
    """Returns a text as UTF-8 can hold it: what it cannot is written with a backslash."""
    return text.encode("utf-8", "backslashreplace").decode()
