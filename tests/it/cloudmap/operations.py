"""Every operation once, through boto3 or the AWS CLI; with `bad`, each is first refused to two wrong credentials.

Arguments: `boto3` or `cli`, and perhaps `bad`. The endpoint and the good credentials are in the environment.
"""

import contextlib
import io
import json
import os
import sys

import boto3
from awscli.clidriver import create_clidriver
from botocore import xform_name
from botocore.exceptions import ClientError

KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


class Boto3:
    def __init__(self, key, secret):
        token = os.environ.get("AWS_SESSION_TOKEN")
        session = boto3.Session(key, secret, token)
        self.client = session.client("servicediscovery")

    def call(self, operation, members):
        """Gives the error's code, or nothing, and the answer."""
        try:
            return None, getattr(self.client, xform_name(operation))(**members)
        except ClientError as error:
            return error.response["Error"]["Code"], {}


class Cli:
    def __init__(self, key, secret):
        os.environ |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        self.driver = create_clidriver()
        # The session reads the environment when it is first asked.
        assert self.driver.session.get_credentials().access_key == key

    def call(self, operation, members):
        arguments = ["servicediscovery", xform_name(operation, "-")]
        for name, value in members.items():
            text = value if isinstance(value, str) else json.dumps(value)
            arguments += [f"--{xform_name(name, '-')}", text]
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = self.driver.main(arguments)
        if status == 0:
            return None, json.loads(out.getvalue() or "{}")
        said = errors.getvalue()
        assert f"when calling the {operation} operation" in said, said
        return said.split("(", 1)[1].split(")", 1)[0], {}


make = {"boto3": Boto3, "cli": Cli}[sys.argv[1]]
good = make(KEY, SECRET)
wrong = {}
if "bad" in sys.argv:
    wrong["InvalidSignatureException"] = make(KEY, SECRET[:-1] + "x")
    wrong["UnrecognizedClientException"] = make("AKIAWAYPOSTTEST99999", SECRET)
called = set()


def call(operation, **members):
    for code, client in wrong.items():
        found, _ = client.call(operation, members)
        assert found == code, (operation, found)
    code, answer = good.call(operation, members)
    assert code is None, (operation, code)
    called.add(operation)
    return answer


def done(answer):
    operation = call("GetOperation", OperationId=answer["OperationId"])["Operation"]
    assert operation["Status"] == "SUCCESS", operation
    return operation["Targets"]


def updated(kind, namespace, **change):
    done(call(f"Update{kind}Namespace", Id=namespace, Namespace={"Description": "new"} | change))
    assert call("GetNamespace", Id=namespace)["Namespace"]["Description"] == "new"


def ids(rows):
    return sorted(row["Id"] for row in rows)


http = done(call("CreateHttpNamespace", Name="plain"))["NAMESPACE"]
private = done(call("CreatePrivateDnsNamespace", Name="demo.local", Vpc="vpc-1"))["NAMESPACE"]
public = done(call("CreatePublicDnsNamespace", Name="demo.example"))["NAMESPACE"]
updated("Http", http)
updated("PrivateDns", private, Properties={"DnsProperties": {"SOA": {"TTL": 30}}})
updated("PublicDns", public)
assert ids(call("ListNamespaces")["Namespaces"]) == sorted([http, private, public])

records = {"DnsRecords": [{"Type": "A", "TTL": 10}]}
made = call(
    "CreateService", Name="web", NamespaceId=private, DnsConfig=records, HealthCheckCustomConfig={"FailureThreshold": 1}
)
service, arn = made["Service"]["Id"], made["Service"]["Arn"]
done(call("UpdateService", Id=service, Service={"Description": "new", "DnsConfig": records}))
assert call("GetService", Id=service)["Service"]["Description"] == "new"
assert ids(call("ListServices")["Services"]) == [service]
call("UpdateServiceAttributes", ServiceId=service, Attributes={"a": "b", "c": "d"})
call("DeleteServiceAttributes", ServiceId=service, Attributes=["c"])
assert call("GetServiceAttributes", ServiceId=service)["ServiceAttributes"]["Attributes"] == {"a": "b"}
call("TagResource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}])
call("UntagResource", ResourceARN=arn, TagKeys=["c"])
assert call("ListTagsForResource", ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]

one = {"ServiceId": service, "InstanceId": "one"}
attributes = {"AWS_INSTANCE_IPV4": "10.0.0.1", "stage": "test"}
done(call("RegisterInstance", **one, Attributes=attributes))
assert call("GetInstance", **one)["Instance"]["Attributes"] == attributes
assert ids(call("ListInstances", ServiceId=service)["Instances"]) == ["one"]
call("UpdateInstanceCustomHealthStatus", **one, Status="UNHEALTHY")
assert call("GetInstancesHealthStatus", ServiceId=service)["Status"] == {"one": "UNHEALTHY"}
names = {"NamespaceName": "demo.local", "ServiceName": "web"}
found = call("DiscoverInstances", **names, HealthStatus="ALL", QueryParameters={"stage": "test"})
assert [(row["InstanceId"], row["HealthStatus"]) for row in found["Instances"]] == [("one", "UNHEALTHY")]
assert call("DiscoverInstancesRevision", **names)["InstancesRevision"] == found["InstancesRevision"]

done(call("DeregisterInstance", **one))
call("DeleteService", Id=service)
for namespace in (http, private, public):
    done(call("DeleteNamespace", Id=namespace))
assert call("ListNamespaces")["Namespaces"] == []
assert call("ListOperations")["Operations"]

everything = boto3.Session().client("servicediscovery").meta.service_model.operation_names
assert called == set(everything), set(everything) - called
