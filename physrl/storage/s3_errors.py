"""Translation of boto3's errors into StorageErrors of one line with a remedy."""

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
from botocore.parsers import ResponseParserError

from physrl.errors import MissingObjectError, PhysRLError, StorageError, one_line, reason_of
from physrl.storage.passwords import without_password
from physrl.storage.s3_causes import cause

LOST_RACE = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"
"""Code of a conditional write while another one of the key, which may yet fail, is in progress."""


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
        except ResponseParserError:
            raise StorageError(
                f"{self.location} cannot be {action}: {self.endpoint} does not answer like an S3 "
                "server: check AWS_ENDPOINT_URL, and proxies"
            ) from None
        except BotoCoreError as error:
            raise StorageError(
                f"{self.location} cannot be {action}: {without_password(str(error))}: "
                "check the AWS_ settings"
            ) from None
        except PhysRLError:
            raise
        except Exception as error:
            reason = without_password(reason_of(error))
            if isinstance(error, ValueError) and "endpoint" in reason.lower():
                raise StorageError(
                    f"{self.location}: {reason}: set AWS_ENDPOINT_URL to a URL such as "
                    "https://host:9000, or unset it"
                ) from None
            raise StorageError(
                f"{self.location} cannot be {action} ({type(error).__name__}: {reason}): check "
                "the server and the AWS_ settings"
            ) from error

    def _client_error(self, action: str, error: ClientError) -> StorageError:
        told = error.response.get("Error", {})
        code, message = (one_line(str(told.get(key) or "")) for key in ("Code", "Message"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
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
        kind = ConflictError if code == CONFLICT else StorageError
        said = f"{code}: {message}" if message else code
        return kind(
            f"{failed}: {self.endpoint} answers {without_password(said)}; {cause(code, status)}"
        )
