"""Breaks each constraint of botocore's own model once and sees the error that AWS gives.

The requests are written by hand, since botocore checks some of the constraints itself.
"""

import json
import os
import urllib.error
import urllib.request

import botocore.session

model = botocore.session.get_session().get_service_model("servicediscovery")
endpoint = os.environ["AWS_ENDPOINT_URL_SERVICEDISCOVERY"]


def call(operation, body):
    request = urllib.request.Request(
        endpoint,
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"Route53AutoNaming_v20170314.{operation}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


LEGAL = {
    "NamespaceNamePublic": "example.org",
    "NamespaceNamePrivate": "example.local",
    "ServiceName": "web",
    "InstanceId": "one",
    "AttrValue": "value",
    "AWSAccountId": "123456789012",
}
PATTERN_BREAKERS = {
    "ServiceName": "a b",
    "AttrKey": "a b",
    "AttrValue": " x",
    "InstanceId": "a b",
    "NamespaceName": "a b",
    "NamespaceNameHttp": "arn:x",
    "NamespaceNamePrivate": "arn:x",
    "NamespaceNamePublic": "under_score.example",
}


def legal(shape):
    kind = shape.type_name
    if kind == "structure":
        return {name: legal(of) for name, of in shape.members.items() if name in shape.required_members}
    if kind == "list":
        return [legal(shape.member)]
    if kind == "map":
        return {legal(shape.key): legal(shape.value)}
    if kind in ("integer", "long"):
        return max(1, shape.metadata.get("min", 1))
    if shape.enum:
        return shape.enum[0]
    return LEGAL.get(shape.name, "text")


def breakers(shape):
    """Yields values that break one constraint each, with what the message must say."""
    kind, limits = shape.type_name, shape.metadata
    if kind == "structure":
        for name in shape.required_members:
            yield {key: legal(of) for key, of in shape.members.items() if key in shape.required_members and key != name}, "must not be null"
        for name, of in shape.members.items():
            for value, words in breakers(of):
                yield legal(shape) | {name: value}, words
        yield "text", "must be a map"
    elif kind == "list":
        for value, words in breakers(shape.member):
            yield [value], words
        if limits.get("min"):
            yield [], "length greater than or equal"
        if limits.get("max"):
            yield [legal(shape.member)] * (limits["max"] + 1), "length less than or equal"
        yield {"a": "b"}, "must be a list"
    elif kind == "map":
        for value, words in breakers(shape.key):
            if isinstance(value, str):
                yield {value: legal(shape.value)}, words
        for value, words in breakers(shape.value):
            yield {legal(shape.key): value}, words
        if limits.get("min"):
            yield {}, "length greater than or equal"
        if limits.get("max"):
            yield {f"k{at}": legal(shape.value) for at in range(limits["max"] + 1)}, "length less than or equal"
        yield ["a"], "must be a map"
    elif kind in ("integer", "long"):
        if "min" in limits:
            yield limits["min"] - 1, "greater than or equal"
        if "max" in limits:
            yield limits["max"] + 1, "less than or equal"
        yield "text", "must be a whole number"
    else:
        if limits.get("min"):
            yield "", "length greater than or equal"
        if limits.get("max"):
            yield "a" * (limits["max"] + 1), "length less than or equal"
        if limits.get("pattern"):
            yield PATTERN_BREAKERS[shape.name], "regular expression pattern"
        if shape.enum:
            yield "NO_SUCH_VALUE", "enum value set"
        yield 7, "must be a string"


count = 0
for operation in model.operation_names:
    shape = model.operation_model(operation).input_shape
    for body, words in breakers(shape):
        if not isinstance(body, dict):
            continue
        status, answer = call(operation, body)
        where = (operation, json.dumps(body)[:200], status, answer)
        assert status == 400 and answer["__type"] == "InvalidInput", where
        assert words in answer["Message"], where
        count += 1
    # What is legal by the model is refused for another reason, or not at all.
    status, answer = call(operation, legal(shape))
    assert "validation error" not in answer.get("Message", ""), (operation, answer)
assert count > 250, count
