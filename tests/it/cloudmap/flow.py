"""Source 002's flow and the rest of the API, as a boto3 user writes it.

Arguments: the port of Waypost's DNS. The endpoint and the credentials are in the environment.
"""

import sys

import boto3
import dns.resolver
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client("servicediscovery", config=Config(retries={"max_attempts": 1}))
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = ["127.0.0.1"], int(sys.argv[1])


def addresses(name):
    answer = resolver.resolve(name, "A", raise_on_no_answer=False)
    return sorted(record.address for record in answer.rrset or [])


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, (found, error)
        assert isinstance(error, getattr(client.exceptions, code, ClientError))
        return error.response
    raise AssertionError(f"{code} was expected")


def done(answer):
    operation = client.get_operation(OperationId=answer["OperationId"])["Operation"]
    assert operation["Status"] == "SUCCESS", operation
    return operation["Targets"]


namespace = done(
    client.create_private_dns_namespace(
        Name="demo.local",
        Vpc="vpc-1",
        CreatorRequestId="request-1",
        Description="a test",
        Properties={"DnsProperties": {"SOA": {"TTL": 60}}},
        Tags=[{"Key": "team", "Value": "one"}],
    )
)["NAMESPACE"]
again = client.create_private_dns_namespace(
    Name="demo.local",
    Vpc="vpc-1",
    CreatorRequestId="request-1",
    Description="a test",
    Properties={"DnsProperties": {"SOA": {"TTL": 60}}},
    Tags=[{"Key": "team", "Value": "one"}],
)
assert done(again)["NAMESPACE"] == namespace
there = refused(
    "NamespaceAlreadyExists", client.create_http_namespace, Name="demo.local", CreatorRequestId="other"
)
assert there["NamespaceId"] == namespace and there["CreatorRequestId"] == "request-1"

shown = client.get_namespace(Id=namespace)["Namespace"]
assert shown["Type"] == "DNS_PRIVATE" and shown["Properties"]["DnsProperties"]["SOA"]["TTL"] == 60
assert shown["Arn"].endswith(f":namespace/{namespace}")
assert client.get_namespace(Id=shown["Arn"])["Namespace"]["Id"] == namespace

refused(
    "InvalidInput",
    client.create_service,
    Name="probed",
    NamespaceId=namespace,
    HealthCheckConfig={"Type": "HTTP"},
)
service = client.create_service(
    Name="backend",
    NamespaceId=namespace,
    CreatorRequestId="request-2",
    DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 10}]},
    HealthCheckCustomConfig={"FailureThreshold": 1},
)["Service"]
assert service["Type"] == "DNS_HTTP" and service["DnsConfig"]["RoutingPolicy"] == "MULTIVALUE"
same = client.create_service(Name="backend", NamespaceId=namespace, CreatorRequestId="request-2")
assert same["Service"]["Id"] == service["Id"]
refused("ServiceAlreadyExists", client.create_service, Name="backend", NamespaceId=namespace)

for number in (1, 2):
    targets = done(
        client.register_instance(
            ServiceId=service["Id"],
            InstanceId=f"i-{number}",
            Attributes={
                "AWS_INSTANCE_IPV4": f"10.0.0.{number}",
                "AWS_INSTANCE_PORT": "80",
                "stage": "test",
                "number": str(number),
            },
        )
    )
    assert targets == {"SERVICE": service["Id"], "INSTANCE": f"i-{number}"}, targets
assert addresses("backend.demo.local") == ["10.0.0.1", "10.0.0.2"]


def found(**more):
    answer = client.discover_instances(NamespaceName="demo.local", ServiceName="backend", **more)
    return {one["InstanceId"]: one["HealthStatus"] for one in answer["Instances"]}


def revision():
    answer = client.discover_instances_revision(NamespaceName="demo.local", ServiceName="backend")
    return answer["InstancesRevision"]


before = revision()
assert found() == {"i-1": "HEALTHY", "i-2": "HEALTHY"}
assert found(QueryParameters={"number": "2"}) == {"i-2": "HEALTHY"}
assert found(OptionalParameters={"number": "9"}) == found()
assert found(OptionalParameters={"number": "1"}) == {"i-1": "HEALTHY"}
assert len(found(MaxResults=1)) == 1
unhealthy = {"ServiceId": service["Id"], "Status": "UNHEALTHY"}
client.update_instance_custom_health_status(InstanceId="i-1", **unhealthy)
assert addresses("backend.demo.local") == ["10.0.0.2"], "unhealthy is out of DNS at once"
assert found() == {"i-2": "HEALTHY"}
assert found(HealthStatus="UNHEALTHY") == {"i-1": "UNHEALTHY"}
assert found(HealthStatus="ALL") == {"i-1": "UNHEALTHY", "i-2": "HEALTHY"}
client.update_instance_custom_health_status(InstanceId="i-2", **unhealthy)
assert addresses("backend.demo.local") == ["10.0.0.1", "10.0.0.2"], "nobody is healthy: all are answered"
assert found(HealthStatus="HEALTHY") == {}
assert len(found(HealthStatus="HEALTHY_OR_ELSE_ALL")) == 2
assert revision() == before, "health does not move the revision"
statuses = client.get_instances_health_status(ServiceId=service["Id"])["Status"]
assert statuses == {"i-1": "UNHEALTHY", "i-2": "UNHEALTHY"}

refused("ResourceInUse", client.delete_namespace, Id=namespace)
refused("ResourceInUse", client.delete_service, Id=service["Id"])
refused("ServiceNotFound", client.get_service, Id="srv-0000000000000000")
refused("NamespaceNotFound", client.get_namespace, Id="ns-0000000000000000")
refused("InstanceNotFound", client.get_instance, ServiceId=service["Id"], InstanceId="nobody")
refused("OperationNotFound", client.get_operation, OperationId="nothing")
refused("ResourceNotFoundException", client.list_tags_for_resource, ResourceARN="arn:aws:s3:::bucket")
refused("InvalidInput", client.register_instance, ServiceId=service["Id"], InstanceId="x", Attributes={"a": "b"})

instance = client.get_instance(ServiceId=service["Arn"], InstanceId="i-1")["Instance"]
assert instance["Attributes"]["AWS_INSTANCE_IPV4"] == "10.0.0.1", instance
pages = client.get_paginator("list_instances").paginate(ServiceId=service["Id"], PaginationConfig={"PageSize": 1})
assert [one["Id"] for page in pages for one in page["Instances"]] == ["i-1", "i-2"]
assert client.get_service(Id=service["Id"])["Service"]["InstanceCount"] == 2
listed = client.list_services(Filters=[{"Name": "NAMESPACE_ID", "Values": [namespace]}])["Services"]
assert [one["Name"] for one in listed] == ["backend"]
listed = client.list_namespaces(Filters=[{"Name": "NAME", "Values": ["demo."], "Condition": "BEGINS_WITH"}])
assert [one["Id"] for one in listed["Namespaces"]] == [namespace]
kinds = client.list_operations(Filters=[{"Name": "TYPE", "Values": ["REGISTER_INSTANCE"]}])["Operations"]
assert len(kinds) == 2

done(
    client.update_service(
        Id=service["Id"],
        Service={"Description": "new", "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 20}]}},
    )
)
changed = client.get_service(Id=service["Id"])["Service"]
assert changed["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 20}] and changed["Description"] == "new"
assert changed["HealthCheckCustomConfig"], "it cannot be taken away"
refused(
    "InvalidInput",
    client.update_service,
    Id=service["Id"],
    Service={"DnsConfig": {"DnsRecords": [{"Type": "AAAA", "TTL": 20}]}},
)

client.tag_resource(ResourceARN=service["Arn"], Tags=[{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}])
client.untag_resource(ResourceARN=service["Arn"], TagKeys=["a"])
assert client.list_tags_for_resource(ResourceARN=service["Arn"])["Tags"] == [{"Key": "c", "Value": ""}]
client.update_service_attributes(ServiceId=service["Id"], Attributes={"k": "v", "l": "w"})
client.delete_service_attributes(ServiceId=service["Id"], Attributes=["l"])
assert client.get_service_attributes(ServiceId=service["Id"])["ServiceAttributes"]["Attributes"] == {"k": "v"}

weighted = client.create_service(
    Name="alias",
    NamespaceId=namespace,
    DnsConfig={"RoutingPolicy": "WEIGHTED", "DnsRecords": [{"Type": "CNAME", "TTL": 5}]},
)["Service"]
done(
    client.register_instance(
        ServiceId=weighted["Id"], InstanceId="x", Attributes={"AWS_INSTANCE_CNAME": "www.example.org"}
    )
)
alias = resolver.resolve("alias.demo.local", "CNAME")
assert [record.target.to_text() for record in alias] == ["www.example.org."]
done(client.deregister_instance(ServiceId=weighted["Id"], InstanceId="x"))
client.delete_service(Id=weighted["Id"])

http = done(client.create_http_namespace(Name="plain"))["NAMESPACE"]
bare = client.create_service(Name="jobs", NamespaceId=http)["Service"]
assert bare["Type"] == "HTTP" and "DnsConfig" not in bare
done(client.register_instance(ServiceId=bare["Id"], InstanceId="one", Attributes={"url": "https://example.org"}))
only = client.discover_instances(NamespaceName="plain", ServiceName="jobs")["Instances"]
assert [one["Attributes"] for one in only] == [{"url": "https://example.org"}]
done(client.deregister_instance(ServiceId=bare["Id"], InstanceId="one"))
client.delete_service(Id=bare["Id"])
done(client.delete_namespace(Id=http))

for number in (1, 2):
    done(client.deregister_instance(ServiceId=service["Id"], InstanceId=f"i-{number}"))
client.delete_service(Id=service["Id"])
done(client.delete_namespace(Id=namespace))
assert client.list_namespaces()["Namespaces"] == []
