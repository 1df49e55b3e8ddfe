"""Signatures that are right in themselves, but of another time, another day's or service's scope, or without the session
token of temporary credentials.
"""

import datetime
import os

import boto3
import botocore.auth
from botocore.auth import SigV4Auth
from botocore.exceptions import ClientError

now = botocore.auth.get_current_datetime


class OtherScope(SigV4Auth):
    """Signs with a scope of its own: the day before, or another service."""

    day = service = None

    def add_auth(self, request):
        self._service_name = self.service or self._service_name
        super().add_auth(request)

    def _scope(self):
        return f"{self.day}/{self._region_name}/{self._service_name}/aws4_request"

    def scope(self, request):
        return f"{self.credentials.access_key}/{self._scope()}" if self.day else super().scope(request)

    def credential_scope(self, request):
        return self._scope() if self.day else super().credential_scope(request)

    def signature(self, string_to_sign, request):
        kept = request.context["timestamp"]
        request.context["timestamp"] = self.day or kept
        signature = super().signature(string_to_sign, request)
        request.context["timestamp"] = kept
        return signature


def refusal(minutes=0, token=os.environ["AWS_SESSION_TOKEN"], day=None, service=None):
    """Gives code and message of the refusal, or nothing."""
    shift = datetime.timedelta(minutes=minutes)
    botocore.auth.get_current_datetime = lambda *zone: now(*zone) + shift
    OtherScope.day, OtherScope.service = day, service
    botocore.auth.AUTH_TYPE_MAPS["v4"] = OtherScope
    client = boto3.Session(aws_session_token=token, **pair).client("servicediscovery")
    try:
        client.list_namespaces()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


pair = {
    "aws_access_key_id": os.environ.pop("AWS_ACCESS_KEY_ID"),
    "aws_secret_access_key": os.environ.pop("AWS_SECRET_ACCESS_KEY"),
}
os.environ.pop("AWS_SESSION_TOKEN")
yesterday = (now() - datetime.timedelta(days=1)).strftime("%Y%m%d")
for minutes in (-14, 0, 14):
    assert refusal(minutes) is None, (minutes, refusal(minutes))
for arguments, words in (
    ({"minutes": -16}, "Signature expired: "),
    ({"minutes": 16}, "Signature not yet current: "),
    ({"day": yesterday}, "Date in Credential scope does not match"),
    ({"service": "s3"}, "Credential should be scoped to correct service: 'servicediscovery'"),
):
    code, message = refusal(**arguments)
    assert code == "InvalidSignatureException" and message.startswith(words), (code, message)
for token in (None, "another token"):
    assert refusal(token=token)[0] == "UnrecognizedClientException", refusal(token=token)
