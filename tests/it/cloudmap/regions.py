"""Two regions against one server: ARNs carry the caller's region, through boto3 and through the AWS CLI."""

import contextlib
import io
import json

import boto3
from awscli.clidriver import create_clidriver

REGIONS = ("eu-west-1", "us-east-2")
clients = {region: boto3.client("servicediscovery", region_name=region) for region in REGIONS}
driver = create_clidriver()


def cli(region, *arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert driver.main(["--region", region, "servicediscovery", *arguments]) == 0
    return json.loads(out.getvalue())


def arn(region, kind, id):
    return f"arn:aws:servicediscovery:{region}:123456789012:{kind}/{id}"


for region, other in (REGIONS, REGIONS[::-1]):
    client, there = clients[region], clients[other]
    made = client.create_http_namespace(Name=region)
    namespace = client.get_operation(OperationId=made["OperationId"])["Operation"]["Targets"]["NAMESPACE"]
    service = client.create_service(Name="jobs", NamespaceId=namespace)["Service"]
    assert service["Arn"] == arn(region, "service", service["Id"])
    client.tag_resource(ResourceARN=service["Arn"], Tags=[{"Key": "made", "Value": region}])
    # One registry: what was made in one region is there in both, under the ARN of whoever asks.
    for asking, where in ((client, region), (there, other)):
        assert asking.get_namespace(Id=namespace)["Namespace"]["Arn"] == arn(where, "namespace", namespace)
        assert asking.get_service(Id=service["Arn"])["Service"]["Arn"] == arn(where, "service", service["Id"])
        [tag] = asking.list_tags_for_resource(ResourceARN=service["Arn"])["Tags"]
        assert tag == {"Key": "made", "Value": region}
        shown = cli(where, "get-service", "--id", service["Id"])["Service"]
        assert shown["Arn"] == arn(where, "service", service["Id"])
        listed = cli(where, "list-namespaces", "--filters", f"Name=NAME,Values={region},Condition=EQ")
        assert [row["Arn"] for row in listed["Namespaces"]] == [arn(where, "namespace", namespace)]
