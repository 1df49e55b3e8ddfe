"""The calls that Terraform's AWS provider makes, in its order: create, plan, update, import, destroy.

Written after what the provider does for aws_service_discovery_{private_dns,public_dns,http}_namespace, _service and
_instance. A state is what was read last; a plan is empty when it equals the configuration. The endpoint and the
credentials are in the environment.
"""

import boto3
from botocore.exceptions import ClientError

client = boto3.client("servicediscovery")
calls = []
client.meta.events.register("before-call.servicediscovery", lambda model, **_: calls.append(model.name))


def made(*names):
    """Checks which calls were made since the last time."""
    assert calls == list(names), calls
    calls.clear()


def wait(answer):
    """Polls as the provider does: anything but SUBMITTED, PENDING and SUCCESS ends the apply."""
    for _ in range(300):
        operation = client.get_operation(OperationId=answer["OperationId"])["Operation"]
        if operation["Status"] == "SUCCESS":
            return operation
        assert operation["Status"] in ("SUBMITTED", "PENDING"), operation
    raise AssertionError(operation)


def without_none(**members):
    return {name: value for name, value in members.items() if value}


def tag_list(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def refused(code, call):
    try:
        call()
    except ClientError as error:
        # The provider looks at the type of the error, which the model gives.
        assert isinstance(error, getattr(client.exceptions, code)), error
        return
    raise AssertionError(f"{code} was expected")


class Resource:
    """One resource: its configuration, and its state as it was read last, if it is there."""

    def __init__(self, **config):
        self.config = {"description": "", "tags": {}} | config
        self.id = self.state = None

    def refresh(self):
        try:
            self.state = self.read()
        except self.gone():
            self.id = self.state = None

    def read_tags(self, arn):
        return {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceARN=arn)["Tags"]}

    def plan(self):
        """Gives what differs: name, what is there, what is wanted."""
        self.refresh()
        if self.state is None:
            return ["to be created"]
        wanted = self.config.items()
        return [(name, self.state[name], value) for name, value in wanted if self.state[name] != value]

    def apply(self, **change):
        self.config |= change
        if self.id is None:
            self.create()
        else:
            self.update()
            self.update_tags()
        self.refresh()
        calls_of_apply = list(calls)
        assert self.plan() == [], self.plan()
        calls[:] = calls_of_apply

    def update_tags(self):
        old, new = self.state.get("tags", {}), self.config.get("tags", {})
        if removed := [key for key in old if key not in new]:
            client.untag_resource(ResourceARN=self.state["arn"], TagKeys=removed)
        if changed := {key: value for key, value in new.items() if old.get(key) != value}:
            client.tag_resource(ResourceARN=self.state["arn"], Tags=tag_list(changed))

    def imported(self, id):
        """Gives the same resource as if somebody else had made it."""
        copy = type(self)(**self.config)
        copy.id = id
        assert copy.plan() == [], copy.plan()
        return copy


class Namespace(Resource):
    def __init__(self, kind, **config):
        super().__init__(**config)
        self.kind = kind

    def gone(self):
        return client.exceptions.NamespaceNotFound

    def create(self):
        call = getattr(client, f"create_{self.kind}_namespace")
        members = without_none(Description=self.config["description"], Tags=tag_list(self.config["tags"]))
        if self.kind == "private_dns":
            members["Vpc"] = "vpc-0123456789abcdef0"
        self.id = wait(call(Name=self.config["name"], **members))["Targets"]["NAMESPACE"]

    def read(self):
        namespace = client.get_namespace(Id=self.id)["Namespace"]
        # The provider takes a namespace without properties for one that is not there.
        properties = namespace["Properties"]
        return {
            "name": namespace["Name"],
            "description": namespace.get("Description", ""),
            "arn": namespace["Arn"],
            "hosted_zone": properties.get("DnsProperties", {}).get("HostedZoneId"),
            "http_name": properties["HttpProperties"]["HttpName"],
            "tags": self.read_tags(namespace["Arn"]),
        }

    def update(self):
        if self.state["description"] != self.config["description"]:
            call = getattr(client, f"update_{self.kind}_namespace")
            wait(call(Id=self.id, Namespace={"Description": self.config["description"]}))

    def destroy(self):
        wait(client.delete_namespace(Id=self.id))

    def imported(self, id):
        copy = Namespace(self.kind, **self.config)
        copy.id = id
        assert copy.plan() == [], copy.plan()
        return copy


class Service(Resource):
    def gone(self):
        return client.exceptions.ServiceNotFound

    def create(self):
        config = self.config
        members = without_none(
            Description=config["description"],
            DnsConfig=config.get("dns_config"),
            HealthCheckConfig=config.get("health_check_config"),
            HealthCheckCustomConfig=config.get("health_check_custom_config"),
            NamespaceId=config.get("namespace_id"),
            Type=config.get("type"),
            Tags=tag_list(config["tags"]),
        )
        self.id = client.create_service(Name=config["name"], **members)["Service"]["Id"]

    def read(self):
        service = client.get_service(Id=self.id)["Service"]
        return {
            "name": service["Name"],
            "description": service.get("Description", ""),
            "arn": service["Arn"],
            "namespace_id": service["NamespaceId"],
            "type": service["Type"],
            "dns_config": service.get("DnsConfig"),
            "health_check_config": service.get("HealthCheckConfig"),
            "health_check_custom_config": service.get("HealthCheckCustomConfig"),
            "tags": self.read_tags(service["Arn"]),
        }

    def update(self):
        if all(self.state[name] == value for name, value in self.config.items() if name != "tags"):
            return
        change = {"Description": self.config["description"]}
        if config := self.config.get("dns_config"):
            change["DnsConfig"] = {"DnsRecords": config["DnsRecords"]}
        if config := self.config.get("health_check_config"):
            change["HealthCheckConfig"] = config
        wait(client.update_service(Id=self.id, Service=change))

    def destroy(self, force=False):
        if force:
            for page in client.get_paginator("list_instances").paginate(ServiceId=self.id):
                for instance in page["Instances"]:
                    wait(client.deregister_instance(ServiceId=self.id, InstanceId=instance["Id"]))
        client.delete_service(Id=self.id)


class Instance(Resource):
    def __init__(self, **config):
        super().__init__()
        self.config = config

    def gone(self):
        return client.exceptions.InstanceNotFound

    def key(self):
        return {"ServiceId": self.config["service_id"], "InstanceId": self.config["instance_id"]}

    def create(self):
        wait(client.register_instance(Attributes=self.config["attributes"], **self.key()))
        self.id = self.config["instance_id"]

    update = create

    def update_tags(self):
        """Instances have none."""

    def read(self):
        attributes = client.get_instance(**self.key())["Instance"]["Attributes"]
        return self.config | {"attributes": attributes}

    def destroy(self):
        wait(client.deregister_instance(**self.key()))


# The namespaces, one of each kind.
private = Namespace("private_dns", name="internal.example", description="inside", tags={"team": "one"})
private.apply()
made("CreatePrivateDnsNamespace", "GetOperation", "GetNamespace", "ListTagsForResource")
public = Namespace("public_dns", name="public.example")
public.apply()
made("CreatePublicDnsNamespace", "GetOperation", "GetNamespace", "ListTagsForResource")
http = Namespace("http", name="plain", tags={"empty": ""})
http.apply()
made("CreateHttpNamespace", "GetOperation", "GetNamespace", "ListTagsForResource")
assert private.state["hosted_zone"] and public.state["hosted_zone"] and not http.state["hosted_zone"]
assert http.state["http_name"] == "plain"

# What the provider's own examples declare.
weighted = {"RoutingPolicy": "WEIGHTED", "DnsRecords": [{"Type": "A", "TTL": 5}]}
several = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}, {"Type": "AAAA", "TTL": 5}]}
backend = Service(
    name="backend",
    dns_config={"NamespaceId": private.id} | several,
    health_check_custom_config={"FailureThreshold": 1},
    tags={"a": "b", "c": "d"},
)
backend.apply()
made("CreateService", "GetService", "ListTagsForResource")
assert backend.state["namespace_id"] == private.id and backend.state["type"] == "DNS_HTTP"
probe = {"Type": "HTTP", "ResourcePath": "/path", "FailureThreshold": 5}
web = Service(
    name="web", description="test", dns_config={"NamespaceId": public.id} | weighted, health_check_config=probe
)
web.apply()
# The provider's example leaves the slash out; it is taken, and shown with it.
documented = Service(
    name="documented", dns_config={"NamespaceId": public.id} | several, health_check_config=probe | {"ResourcePath": "path"}
)
documented.create()
assert documented.plan() == [("health_check_config", probe, probe | {"ResourcePath": "path"})], documented.plan()
documented.destroy()
six_first = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "AAAA", "TTL": 5}, {"Type": "A", "TTL": 10}]}
ordered = Service(name="ordered", dns_config={"NamespaceId": public.id} | six_first)
ordered.apply()
jobs = Service(name="jobs", namespace_id=http.id)
jobs.apply()
assert jobs.state["type"] == "HTTP"
only_api = Service(name="api", namespace_id=private.id, type="HTTP", dns_config=None)
only_api.apply()
calls.clear()
one = Instance(
    service_id=backend.id,
    instance_id="one",
    attributes={"AWS_INSTANCE_IPV4": "172.18.0.1", "AWS_INSTANCE_IPV6": "2001:db8::1", "custom_attribute": "custom"},
)
one.apply()
made("RegisterInstance", "GetOperation", "GetInstance")
job = Instance(service_id=jobs.id, instance_id="job", attributes={"url": "https://example.org"})
job.apply()
everything = [private, public, http, backend, web, ordered, jobs, only_api, one, job]

# Updates, each followed by an empty plan.
calls.clear()
private.apply(description="changed")
made("UpdatePrivateDnsNamespace", "GetOperation", "GetNamespace", "ListTagsForResource")
public.apply(description="new")
made("UpdatePublicDnsNamespace", "GetOperation", "GetNamespace", "ListTagsForResource")
public.apply(description="")
http.apply(description="new")
assert "UpdateHttpNamespace" in calls
calls.clear()
private.apply(tags={"team": "two", "stage": "test"})
made("TagResource", "GetNamespace", "ListTagsForResource")
backend.apply(tags={"c": "other"})
made("UntagResource", "TagResource", "GetService", "ListTagsForResource")
longer = {"DnsRecords": [{"Type": "A", "TTL": 60}, {"Type": "AAAA", "TTL": 30}]}
backend.apply(description="changed", dns_config=backend.config["dns_config"] | longer)
made("UpdateService", "GetOperation", "GetService", "ListTagsForResource")
backend.apply(description="")
web.apply(health_check_config=probe | {"FailureThreshold": 3, "ResourcePath": "/updated-path"})
web.apply(health_check_config=None, description="")
jobs.apply(tags={"key": "value"})
one.apply(attributes={"AWS_INSTANCE_IPV4": "172.18.0.2", "AWS_INSTANCE_IPV6": "2001:db8::2"})
for resource in everything:
    assert resource.plan() == [], resource.plan()

# Imports, and the data sources, which look names up.
for resource in everything:
    resource.imported(resource.id)
for kind, namespace in (("DNS_PRIVATE", private), ("DNS_PUBLIC", public), ("HTTP", http)):
    filters = [{"Name": "TYPE", "Values": [kind], "Condition": "EQ"}]
    pages = client.get_paginator("list_namespaces").paginate(Filters=filters)
    assert [row["Id"] for page in pages for row in page["Namespaces"]] == [namespace.id]
filters = [{"Name": "NAMESPACE_ID", "Values": [private.id], "Condition": "EQ"}]
pages = client.get_paginator("list_services").paginate(Filters=filters)
found = {row["Name"]: row["Id"] for page in pages for row in page["Services"]}
assert found == {"backend": backend.id, "api": only_api.id}

# Out of order nothing goes, and nothing changes.
refused("ResourceInUse", private.destroy)
refused("ResourceInUse", backend.destroy)
refused("ResourceInUse", jobs.destroy)
for resource in everything:
    assert resource.plan() == [], resource.plan()

# With force_destroy a service takes its instances with it, those of others too.
for number in range(120):
    attributes = {"AWS_INSTANCE_IPV4": "172.18.1.1", "AWS_INSTANCE_IPV6": "2001:db8::3"}
    wait(client.register_instance(ServiceId=backend.id, InstanceId=f"other-{number}", Attributes=attributes))
calls.clear()
backend.destroy(force=True)
assert calls.count("ListInstances") == 2 and calls.count("DeregisterInstance") == 121, calls
assert backend.plan() == ["to be created"]
try:
    one.read()
except client.exceptions.ServiceNotFound:
    pass
else:
    raise AssertionError("an instance outlives its service")

# In order everything goes, and is gone for the next plan.
job.destroy()
assert job.plan() == ["to be created"]
for service in (web, ordered, jobs, only_api):
    service.destroy()
    assert service.plan() == ["to be created"]
for namespace in (private, public, http):
    calls.clear()
    namespace.destroy()
    made("DeleteNamespace", "GetOperation")
    kept = namespace.id
    assert namespace.plan() == ["to be created"]
    # Who destroys what is gone already goes on.
    refused("NamespaceNotFound", lambda: client.delete_namespace(Id=kept))
refused("ServiceNotFound", lambda: client.delete_service(Id=found["backend"]))
assert client.list_services()["Services"] == [] and client.list_namespaces()["Namespaces"] == []
