"""Translation of boto3's errors into StorageErrors of one line with a remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from physrl.errors import MissingObjectError, StorageError

FORBIDDEN = {
    "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"
}  # fmt: skip
LOST_RACE = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"
"""Code of a conditional write while another one of the key, which may yet fail, is in progress."""
_PASSWORD = re.compile(r"(\w+://)?[^\s'\"]*@")
"""The scheme, user and password before the host of a URL."""


class ConflictError(StorageError):
    """Error that another conditional write of the key is in progress."""


class LostRaceError(StorageError):
    """Error that a conditional write found an existing object."""


@dataclass(slots=True)
class S3Errors:
    """A translator of the errors of one store."""

    location: str
    bucket: str
    endpoint: str = ""
    """URL of the server, without a password."""

    @contextmanager
    def translated(self, action: str) -> Iterator[None]:
        """Translate the errors of the block.

        Args:
            action: a participle, such as `read (key)`, that completes "cannot be ...".
        """
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError):
            raise StorageError(
                f"{self.location}: no credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or run where a role provides them"
            ) from None
        except ClientError as error:
            raise self._client_error(action, error) from None
        except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
            raise StorageError(
                f"{self.location} cannot be {action}: {self.endpoint} does not answer "
                f"({type(error).__name__}): check the server, the network and AWS_ENDPOINT_URL"
            ) from None
        except ParamValidationError:
            raise StorageError(
                f"{self.location}: '{self.bucket}' is not a valid bucket name: write "
                "s3://bucket/prefix"
            ) from None
        except BotoCoreError as error:
            raise StorageError(
                f"{self.location} cannot be {action}: {without_password(str(error))}: "
                "check the AWS_ settings"
            ) from None
        except ValueError as error:  # raised by boto3 for an endpoint that is not a URL
            raise StorageError(
                f"{self.location}: {without_password(str(error))}: set AWS_ENDPOINT_URL to a URL "
                "such as https://host:9000, or unset it"
            ) from None

    def _client_error(self, action: str, error: ClientError) -> StorageError:
        code, message = (error.response["Error"].get(key, "") for key in ("Code", "Message"))
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        failed = f"{self.location} cannot be {action}"
        if code == "NoSuchBucket":
            return StorageError(
                f"bucket '{self.bucket}' does not exist at {self.endpoint}: create it, or choose "
                "an existing one"
            )
        if code == LOST_RACE:
            return LostRaceError(f"{failed}: another process is writing it: try again")
        if code == "NoSuchKey" or (status == 404 and action.startswith("read")):
            return MissingObjectError(f"{failed}: the object does not exist")
        if code in FORBIDDEN or status == 403:
            return StorageError(
                f"{failed}: {self.endpoint} refuses these credentials ({code}): check "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role's permissions"
            )
        kind = ConflictError if code == CONFLICT else StorageError
        return kind(
            f"{failed}: {self.endpoint} returned {code} ({message}): try again, or check the server"
        )


def without_password(text: str) -> str:
    """Remove user and password from the URLs in a text."""
    return _PASSWORD.sub(r"\1", text)
