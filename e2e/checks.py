"""What the Python programs check with."""


def check(what, condition, detail=""):
    if not condition:
        raise AssertionError(f"{what}: {detail}")


def same(what, got, expected):
    check(what, got == expected, f"got {got!r}, not {expected!r}")


def failure(kind, action):
    """What an action fails with, where it must fail."""
    try:
        result = action()
    except kind as error:
        return error
    raise AssertionError(f"this should have failed, and gave {result!r}")
