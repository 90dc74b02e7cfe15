"""What the API answers when it says no; the code is the discriminator, the status follows from it."""

STATUS_OF = {
    "missingParameter": 400,
    "invalidValue": 400,
    "wrongpass": 400,
    "unauthorized": 401,
    "invalidToken": 401,
    "forbidden": 403,
    "notFound": 404,
    "methodNotAllowed": 405,
    "conflict": 409,
    "noAccount": 409,
    "tooLarge": 413,
    "bug": 500,
}


class Refused(Exception):
    """A request this API turns down, with the protocol's own code."""

    def __init__(self, code: str, description: str, message: str | None = None) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.message = message
