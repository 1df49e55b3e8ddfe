"""Signatures of clients whose clock is wrong, and of temporary credentials without their session token."""

import datetime
import os

import boto3
import botocore.auth
from botocore.exceptions import ClientError

now = botocore.auth.get_current_datetime


def refusal(minutes, token=os.environ["AWS_SESSION_TOKEN"]):
    """Gives code and message of the refusal, or nothing."""
    shift = datetime.timedelta(minutes=minutes)
    botocore.auth.get_current_datetime = lambda *zone: now(*zone) + shift
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
for minutes in (-14, 0, 14):
    assert refusal(minutes) is None, (minutes, refusal(minutes))
for minutes, words in ((-16, "Signature expired: "), (16, "Signature not yet current: ")):
    code, message = refusal(minutes)
    assert code == "InvalidSignatureException" and message.startswith(words), (code, message)
for token in (None, "another token"):
    assert refusal(0, token)[0] == "UnrecognizedClientException", refusal(0, token)
