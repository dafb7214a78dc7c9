"""The connection to a CVAT server: cvat-sdk's client, logged in, with version and token checked before work begins.

Options and environment variables have the names of cvat-cli, and profiles saved by cvat-cli work too. Every error is a
CvatError whose message is a sentence.
"""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any

from cvat_sdk.api_client.exceptions import OpenApiException
from cvat_sdk.core.auth import DEFAULT_SERVER, AuthStore, make_client_from_profile
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config, Credentials, PasswordCredentials
from cvat_sdk.core.exceptions import CvatSdkException
from packaging.version import Version

from promptable.cvat.server.errors import CvatError, WebPageError
from promptable.cvat.server.http.rest import PAUSES, Rest

OLDEST = Version("2.56.1")
"""The first CVAT version that takes the score of a shape (2.56.0 only gives it); access tokens came before.

The commands were run against it and against 2.73. docs/workflow.md says what is known of later ones.
"""

_NO_CVAT = "{} is no CVAT: expected the address that its pages begin with, such as http://localhost:8080, and no more"
_LOGIN_IN_ADDRESS = "CVAT's address holds a login: leave it out, and say who logs in with --auth USER and CVAT_PASSWORD"
_NO_LOGIN = "say who logs in: --auth USER (CVAT_PASSWORD holds the password), CVAT_ACCESS_TOKEN, or --profile NAME"


@dataclass(frozen=True)
class Login:
    """The address of CVAT and the account. If all fields are None, cvat-cli's default profile is used.

    A ``url`` without a scheme means https. ``organization`` is the short name (slug) of an organization, or "" for the
    personal workspace.
    """

    url: str | None = None
    user: str | None = None
    profile: str | None = None
    organization: str | None = None


@contextmanager
def connect(login: Login, *, writes: bool = False) -> Iterator[Any]:
    """A cvat-sdk Client (``cvat_sdk.Client``) that is logged in. Raises CvatError.

    ``writes`` says that the command stores something or calls a function: a read-only access token is then an error.
    """
    try:
        client, credentials = _client(login)
    except CvatSdkException as error:
        raise CvatError(f"{error}") from None
    with client:
        rest = client.api_client.rest_client = Rest(client.api_client.configuration)
        _check_version(client)
        rest.pauses = PAUSES  # the server has answered once, so it is worth waiting for
        client.login(credentials)
        _check_token(client, writes)
        if login.organization is not None:
            client.organization_slug = login.organization
        with _answers_understood(client):
            yield client


@contextmanager
def _answers_understood(client: Any) -> Iterator[None]:
    """Turn cvat-sdk's error for an answer in another form than its schema's, or for no JSON, into a CvatError."""
    try:
        yield
    except (OpenApiException, JSONDecodeError) as error:
        host, version = client.api_map.host, client.get_server_version()
        raise CvatError(f"{host} (CVAT {version}) answers in a form that is not known here: {error}") from error


def _client(login: Login) -> tuple[Any, Any]:
    """The client and its credentials; sends no request to the server."""
    store, config = AuthStore(), Config()
    token = os.environ.get("CVAT_ACCESS_TOKEN")
    user = login.user or (None if token or login.profile else os.environ.get("CVAT_USERNAME")) or None
    if login.profile is not None:
        profile = store.get_profile(login.profile)
        if profile is None:
            raise CvatError(f"there is no profile {login.profile!r}: cvat-cli profile list shows those there are")
    elif login.url is None and not (token or user) and (default := store.get_default_profile()):
        profile = default[1]
    else:
        url = login.url or store.get_default_server() or DEFAULT_SERVER
        if "@" in url:  # it would appear on pages, in names of journals, and to every user of this machine
            raise CvatError(_LOGIN_IN_ADDRESS)
        credentials = _credentials(user, token, url)
        return Client(url, config=config, check_server_version=False), credentials
    return make_client_from_profile(profile, config=config), AccessTokenCredentials(profile.token)


def _credentials(user: str | None, token: str | None, url: str) -> Credentials:
    if user is not None:
        return PasswordCredentials(user, _password(user, url))
    if token:
        return AccessTokenCredentials(token)
    raise CvatError(_NO_LOGIN)


def _password(user: str, url: str) -> str:
    password = os.environ.get("PASS") or os.environ.get("CVAT_PASSWORD")
    if password:
        return password
    if not sys.stdin.isatty():
        raise CvatError(f"there is no password for {user}: set CVAT_PASSWORD, or CVAT_ACCESS_TOKEN")
    return getpass.getpass(f"Password for {user} at {url}: ")


def _check_version(client: Any) -> None:
    """Raise CvatError for a server that is not CVAT, or is an older version than ``OLDEST``."""
    try:
        version = client.get_server_version()
    except (OpenApiException, WebPageError):
        raise CvatError(_NO_CVAT.format(client.api_map.host)) from None
    except CvatError as error:
        raise CvatError(_NO_CVAT.format(client.api_map.host), 404) if error.status == 404 else error from None
    if version < OLDEST:
        raise CvatError(f"{client.api_map.host} runs CVAT {version}: the commands need {OLDEST} or later")


def _check_token(client: Any, writes: bool) -> None:
    """Raise CvatError for a token that the server refuses, or for a read-only token if the command writes."""
    if not client.api_client.configuration.access_token:
        return
    token, _ = client.api_client.auth_api.retrieve_access_tokens_self()
    if writes and token.read_only:
        raise CvatError(
            "the access token only reads, and this stores annotations or calls a function: make one with "
            "'read only' off (in CVAT: profile, security, access tokens)"
        )
