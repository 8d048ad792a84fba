"""The refusals of the venue: code and text of its error body, all with HTTP status 400.

Codes from binance-spot-api-docs, errors.md; texts are not stable there and no client may read them.
"""

from __future__ import annotations


class VenueError(Exception):
    """A refused request."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def illegal_characters(name: str, legal: str) -> VenueError:
    """A value outside the parameter's alphabet."""
    return VenueError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def too_many_parameters(expected: int, received: int) -> VenueError:
    """Parameters for an endpoint that takes none."""
    return VenueError(
        -1101, f"Too many parameters; expected '{expected}' and received '{received}'."
    )


def duplicate_values() -> VenueError:
    """A parameter sent twice."""
    return VenueError(-1101, "Duplicate values for a parameter detected.")


def too_many_values(name: str, most: int) -> VenueError:
    """A list that is too long."""
    return VenueError(-1101, f"Too many values sent for parameter '{name}'; at most {most}.")


def mandatory_missing(name: str) -> VenueError:
    """A mandatory parameter that was not sent or cannot be read."""
    return VenueError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def unread_parameters(read: int, sent: int) -> VenueError:
    """Parameters that the endpoint does not know."""
    return VenueError(
        -1104,
        f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.",
    )


def empty_parameter(name: str) -> VenueError:
    """A parameter without a value."""
    return VenueError(-1105, f"Parameter '{name}' was empty.")


def invalid_interval() -> VenueError:
    """No interval of the venue; case matters."""
    return VenueError(-1120, "Invalid interval.")


def invalid_symbol() -> VenueError:
    """A symbol that the venue has not got."""
    return VenueError(-1121, "Invalid symbol.")


def invalid_symbol_status() -> VenueError:
    """No status that can be asked for."""
    return VenueError(-1122, "Invalid symbolStatus.")


def other_symbol_status() -> VenueError:
    """The symbol has another status than the one that was asked for."""
    return VenueError(-1220, "The symbol's status does not match the requested symbolStatus.")


def bad_combination() -> VenueError:
    """Optional parameters that exclude each other."""
    return VenueError(-1128, "Combination of optional parameters invalid.")


def invalid_data(name: str) -> VenueError:
    """A value that makes no sense."""
    return VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")


def repeated_symbol() -> VenueError:
    """A symbol twice in one list."""
    return VenueError(-1151, "Symbol is present multiple times in the list.")


def invalid_time_unit() -> VenueError:
    """A bad X-MBX-TIME-UNIT."""
    return VenueError(
        -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
    )
