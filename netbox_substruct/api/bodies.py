"""Bodies of requests that are read as one typed value, and how they are described in the OpenAPI schema."""

from typing import Any

import msgspec
from rest_framework import status
from rest_framework.exceptions import APIException

from ..reports.messages import LARGEST_BODY

__all__ = ('Invalid', 'openapi', 'read')


class Invalid(APIException):
    """400: the body is not what it should be.  The text names the place."""

    def __init__(self, why: str) -> None:
        self.status_code = status.HTTP_400_BAD_REQUEST
        super().__init__(detail={'detail': why, 'code': 'invalid'})


class TooLarge(APIException):
    """413: nobody reads that much."""

    def __init__(self) -> None:
        self.status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
        super().__init__(detail={'detail': f'At most {LARGEST_BODY} bytes are taken.', 'code': 'too-large'})


def read[T](request: Any, type_: type[T]) -> T:
    """The body of a request, which has not been read yet, as a value of the type."""
    raw = b'' if request.stream is None else request.stream.read(LARGEST_BODY + 1)
    if len(raw) > LARGEST_BODY:
        raise TooLarge
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(str(error)) from error


def openapi(type_: Any) -> dict[str, Any]:
    """The schema of a type, with everything that it refers to in place."""
    schema = msgspec.json.schema(type_)
    definitions = schema.pop('$defs', {})

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(each) for each in value]
        if not isinstance(value, dict):
            return value
        if '$ref' in value:
            return plain(definitions[value['$ref'].rpartition('/')[2]])
        # A discriminator maps names to definitions, which have gone.
        return {key: plain(each) for key, each in value.items() if key != 'discriminator'}

    found: dict[str, Any] = plain(schema)
    return found
