"""The same client with botocore forced to smithy-rpc-v2-cbor, which its model prefers since 1.44.1."""

import boto3
import botocore.session
from botocore.exceptions import ClientError

session = botocore.session.get_session()
loader = session.get_component("data_loader")
model = loader.load_service_model("servicediscovery", "service-2")
model["metadata"]["protocol"] = "smithy-rpc-v2-cbor"
model["metadata"]["protocols"] = ["smithy-rpc-v2-cbor"]
client = boto3.Session(botocore_session=session).client("servicediscovery")
assert client.meta.service_model.resolved_protocol == "smithy-rpc-v2-cbor"

answer = client.create_http_namespace(Name="plain", Tags=[{"Key": "a", "Value": "b"}])
operation = client.get_operation(OperationId=answer["OperationId"])["Operation"]
assert operation["Status"] == "SUCCESS" and operation["CreateDate"].year > 2025, operation
namespace = operation["Targets"]["NAMESPACE"]
service = client.create_service(Name="jobs", NamespaceId=namespace)["Service"]
client.register_instance(ServiceId=service["Id"], InstanceId="one", Attributes={"url": "x"})
found = client.discover_instances(NamespaceName="plain", ServiceName="jobs", MaxResults=5)
assert found["Instances"][0]["Attributes"] == {"url": "x"} and found["InstancesRevision"] > 0
for code, call in (
    ("ServiceNotFound", lambda: client.get_service(Id="srv-none")),
    ("InvalidInput", lambda: client.create_service(Name="a b", NamespaceId=namespace)),
):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["Error"]["Message"], error
    else:
        raise AssertionError(code)
