"""Causes of a refused request by the code of the server's own answer, and what to do about them.

Codes are those of AWS S3 and, beginning with X, of MinIO; SeaweedFS and Ceph use a part of them.
"""

CREDENTIALS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
SESSION = "log in again for new keys and a new AWS_SESSION_TOKEN, or unset the token"
CLOCK = "the clocks of this machine and the server differ: set this machine's clock (NTP)"
REGION = "the bucket is in another region: set AWS_DEFAULT_REGION to it"
BUSY = "the server is busy: try again later"
SPACE = "the space or quota there is used up: delete something, or ask for more"
DISABLED = "the account or bucket is disabled: ask its owner"
CHANGED = "the bytes were changed on the way: try again, and check the network"
KEYS = "the server's encryption keys cannot be used: ask the bucket's owner"
LACKING = "the server lacks a function that is needed: update it, or choose another"

CAUSES = {
    "AccessDenied": "these credentials lack the permission: ask the bucket's owner for it",
    "AccountProblem": DISABLED,
    "AllAccessDisabled": DISABLED,
    "AuthorizationHeaderMalformed": REGION,
    "BadDigest": CHANGED,
    "BucketAlreadyExists": "the bucket belongs to another account: choose another name",
    "ExpiredToken": f"the session has expired: {SESSION}",
    "ExpiredTokenException": f"the session has expired: {SESSION}",
    "IllegalLocationConstraintException": REGION,
    "InsufficientStorage": SPACE,
    "InternalError": "the server failed: try again, or check its log",
    "InvalidAccessKeyId": f"the server does not know this key: {CREDENTIALS}",
    "InvalidDigest": CHANGED,
    "InvalidObjectState": "the object is archived: restore it first",
    "InvalidToken": f"the session's token is not valid: {SESSION}",
    "KMS.DisabledException": KEYS,
    "KMS.NotFoundException": KEYS,
    "KMS.KMSInvalidStateException": KEYS,
    "MethodNotAllowed": "the server forbids this kind of request: check AWS_ENDPOINT_URL",
    "NotImplemented": LACKING,
    "PermanentRedirect": REGION,
    "QuotaExceeded": SPACE,
    "Redirect": REGION,
    "RequestExpired": CLOCK,
    "RequestLimitExceeded": BUSY,
    "RequestTimeTooSkewed": CLOCK,
    "RequestTimeout": "the upload was too slow for the server: try again, and check the network",
    "ServiceUnavailable": BUSY,
    "SignatureDoesNotMatch": f"the secret does not belong to the key: {CREDENTIALS}",
    "SlowDown": BUSY,
    "TemporaryRedirect": REGION,
    "Throttling": BUSY,
    "ThrottlingException": BUSY,
    "TokenRefreshRequired": f"the session has expired: {SESSION}",
    "TooManyRequests": BUSY,
    "UnauthorizedAccess": f"the server knows no such user: {CREDENTIALS}",
    "XAmzContentSHA256Mismatch": CHANGED,
    "XMinioAdminBucketQuotaExceeded": SPACE,
    "XMinioServerNotInitialized": "the server has not finished its start: try again later",
    "XMinioStorageFull": SPACE,
}
STATUSES = {
    401: f"the server does not accept these credentials: {CREDENTIALS}",
    403: f"the server refuses without a reason: {CREDENTIALS}, their permissions and the clock",
    407: "a proxy wants a user: set it in the proxy's URL, or the server's host in NO_PROXY",
    413: SPACE,
    429: BUSY,
    500: "the server failed: try again, or check its log",
    501: LACKING,
    502: BUSY,
    503: BUSY,
    504: BUSY,
    507: SPACE,
}
"""Causes by the status of an answer without a code."""
UNKNOWN = "try again, or check the server"


def cause(code: str, status: int) -> str:
    """Return the cause and remedy of a refusal."""
    named = code not in ("", str(status))
    return CAUSES.get(code, UNKNOWN) if named else STATUSES.get(status, UNKNOWN)
