//! The inputs of the 30 operations: names, types, bounds and patterns of AWS's service model (`servicediscovery`,
//! 2017-03-14, as botocore 1.44.5 has it). `tests/it/cloudmap` compares them with botocore's.

use crate::pattern;
use crate::shape::{Operation, Shape, member};

/// Every operation, by name.
pub(crate) static OPERATIONS: [Operation; 30] = [
    Operation {
        name: "CreateHttpNamespace",
        input: &CREATE_HTTP_NAMESPACE_REQUEST,
    },
    Operation {
        name: "CreatePrivateDnsNamespace",
        input: &CREATE_PRIVATE_DNS_NAMESPACE_REQUEST,
    },
    Operation {
        name: "CreatePublicDnsNamespace",
        input: &CREATE_PUBLIC_DNS_NAMESPACE_REQUEST,
    },
    Operation {
        name: "CreateService",
        input: &CREATE_SERVICE_REQUEST,
    },
    Operation {
        name: "DeleteNamespace",
        input: &DELETE_NAMESPACE_REQUEST,
    },
    Operation {
        name: "DeleteService",
        input: &DELETE_SERVICE_REQUEST,
    },
    Operation {
        name: "DeleteServiceAttributes",
        input: &DELETE_SERVICE_ATTRIBUTES_REQUEST,
    },
    Operation {
        name: "DeregisterInstance",
        input: &DEREGISTER_INSTANCE_REQUEST,
    },
    Operation {
        name: "DiscoverInstances",
        input: &DISCOVER_INSTANCES_REQUEST,
    },
    Operation {
        name: "DiscoverInstancesRevision",
        input: &DISCOVER_INSTANCES_REVISION_REQUEST,
    },
    Operation {
        name: "GetInstance",
        input: &GET_INSTANCE_REQUEST,
    },
    Operation {
        name: "GetInstancesHealthStatus",
        input: &GET_INSTANCES_HEALTH_STATUS_REQUEST,
    },
    Operation {
        name: "GetNamespace",
        input: &GET_NAMESPACE_REQUEST,
    },
    Operation {
        name: "GetOperation",
        input: &GET_OPERATION_REQUEST,
    },
    Operation {
        name: "GetService",
        input: &GET_SERVICE_REQUEST,
    },
    Operation {
        name: "GetServiceAttributes",
        input: &GET_SERVICE_ATTRIBUTES_REQUEST,
    },
    Operation {
        name: "ListInstances",
        input: &LIST_INSTANCES_REQUEST,
    },
    Operation {
        name: "ListNamespaces",
        input: &LIST_NAMESPACES_REQUEST,
    },
    Operation {
        name: "ListOperations",
        input: &LIST_OPERATIONS_REQUEST,
    },
    Operation {
        name: "ListServices",
        input: &LIST_SERVICES_REQUEST,
    },
    Operation {
        name: "ListTagsForResource",
        input: &LIST_TAGS_FOR_RESOURCE_REQUEST,
    },
    Operation {
        name: "RegisterInstance",
        input: &REGISTER_INSTANCE_REQUEST,
    },
    Operation {
        name: "TagResource",
        input: &TAG_RESOURCE_REQUEST,
    },
    Operation {
        name: "UntagResource",
        input: &UNTAG_RESOURCE_REQUEST,
    },
    Operation {
        name: "UpdateHttpNamespace",
        input: &UPDATE_HTTP_NAMESPACE_REQUEST,
    },
    Operation {
        name: "UpdateInstanceCustomHealthStatus",
        input: &UPDATE_INSTANCE_CUSTOM_HEALTH_STATUS_REQUEST,
    },
    Operation {
        name: "UpdatePrivateDnsNamespace",
        input: &UPDATE_PRIVATE_DNS_NAMESPACE_REQUEST,
    },
    Operation {
        name: "UpdatePublicDnsNamespace",
        input: &UPDATE_PUBLIC_DNS_NAMESPACE_REQUEST,
    },
    Operation {
        name: "UpdateService",
        input: &UPDATE_SERVICE_REQUEST,
    },
    Operation {
        name: "UpdateServiceAttributes",
        input: &UPDATE_SERVICE_ATTRIBUTES_REQUEST,
    },
];

static NAMESPACE_NAME_HTTP: Shape = Shape::Text {
    min: 0,
    max: 1024,
    pattern: Some(&pattern::NAMESPACE_NAME_HTTP),
    values: &[],
};
static RESOURCE_ID: Shape = Shape::Text {
    min: 0,
    max: 64,
    pattern: None,
    values: &[],
};
static RESOURCE_DESCRIPTION: Shape = Shape::Text {
    min: 0,
    max: 1024,
    pattern: None,
    values: &[],
};
static TAG_KEY: Shape = Shape::Text {
    min: 1,
    max: 128,
    pattern: None,
    values: &[],
};
static TAG_VALUE: Shape = Shape::Text {
    min: 0,
    max: 256,
    pattern: None,
    values: &[],
};
static TAG: Shape = Shape::Structure(&[
    member("Key", &TAG_KEY, true),
    member("Value", &TAG_VALUE, true),
]);
static TAG_LIST: Shape = Shape::List {
    of: &TAG,
    min: 0,
    max: 200,
};
static CREATE_HTTP_NAMESPACE_REQUEST: Shape = Shape::Structure(&[
    member("Name", &NAMESPACE_NAME_HTTP, true),
    member("CreatorRequestId", &RESOURCE_ID, false),
    member("Description", &RESOURCE_DESCRIPTION, false),
    member("Tags", &TAG_LIST, false),
]);
static NAMESPACE_NAME_PRIVATE: Shape = Shape::Text {
    min: 0,
    max: 253,
    pattern: Some(&pattern::NAMESPACE_NAME_PRIVATE),
    values: &[],
};
static RECORD_TTL: Shape = Shape::Number {
    min: 0,
    max: 2147483647,
};
static SOA: Shape = Shape::Structure(&[member("TTL", &RECORD_TTL, true)]);
static PRIVATE_DNS_PROPERTIES_MUTABLE: Shape = Shape::Structure(&[member("SOA", &SOA, true)]);
static PRIVATE_DNS_NAMESPACE_PROPERTIES: Shape = Shape::Structure(&[member(
    "DnsProperties",
    &PRIVATE_DNS_PROPERTIES_MUTABLE,
    true,
)]);
static CREATE_PRIVATE_DNS_NAMESPACE_REQUEST: Shape = Shape::Structure(&[
    member("Name", &NAMESPACE_NAME_PRIVATE, true),
    member("CreatorRequestId", &RESOURCE_ID, false),
    member("Description", &RESOURCE_DESCRIPTION, false),
    member("Vpc", &RESOURCE_ID, true),
    member("Tags", &TAG_LIST, false),
    member("Properties", &PRIVATE_DNS_NAMESPACE_PROPERTIES, false),
]);
static NAMESPACE_NAME_PUBLIC: Shape = Shape::Text {
    min: 0,
    max: 253,
    pattern: Some(&pattern::NAMESPACE_NAME_PUBLIC),
    values: &[],
};
static PUBLIC_DNS_PROPERTIES_MUTABLE: Shape = Shape::Structure(&[member("SOA", &SOA, true)]);
static PUBLIC_DNS_NAMESPACE_PROPERTIES: Shape = Shape::Structure(&[member(
    "DnsProperties",
    &PUBLIC_DNS_PROPERTIES_MUTABLE,
    true,
)]);
static CREATE_PUBLIC_DNS_NAMESPACE_REQUEST: Shape = Shape::Structure(&[
    member("Name", &NAMESPACE_NAME_PUBLIC, true),
    member("CreatorRequestId", &RESOURCE_ID, false),
    member("Description", &RESOURCE_DESCRIPTION, false),
    member("Tags", &TAG_LIST, false),
    member("Properties", &PUBLIC_DNS_NAMESPACE_PROPERTIES, false),
]);
static SERVICE_NAME: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: Some(&pattern::SERVICE_NAME),
    values: &[],
};
static ARN: Shape = Shape::Text {
    min: 0,
    max: 255,
    pattern: None,
    values: &[],
};
static ROUTING_POLICY: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["MULTIVALUE", "WEIGHTED"],
};
static RECORD_TYPE: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["SRV", "A", "AAAA", "CNAME"],
};
static DNS_RECORD: Shape = Shape::Structure(&[
    member("Type", &RECORD_TYPE, true),
    member("TTL", &RECORD_TTL, true),
]);
static DNS_RECORD_LIST: Shape = Shape::List {
    of: &DNS_RECORD,
    min: 0,
    max: usize::MAX,
};
static DNS_CONFIG: Shape = Shape::Structure(&[
    member("NamespaceId", &RESOURCE_ID, false),
    member("RoutingPolicy", &ROUTING_POLICY, false),
    member("DnsRecords", &DNS_RECORD_LIST, true),
]);
static HEALTH_CHECK_TYPE: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["HTTP", "HTTPS", "TCP"],
};
static RESOURCE_PATH: Shape = Shape::Text {
    min: 0,
    max: 255,
    pattern: None,
    values: &[],
};
static FAILURE_THRESHOLD: Shape = Shape::Number { min: 1, max: 10 };
static HEALTH_CHECK_CONFIG: Shape = Shape::Structure(&[
    member("Type", &HEALTH_CHECK_TYPE, true),
    member("ResourcePath", &RESOURCE_PATH, false),
    member("FailureThreshold", &FAILURE_THRESHOLD, false),
]);
static HEALTH_CHECK_CUSTOM_CONFIG: Shape =
    Shape::Structure(&[member("FailureThreshold", &FAILURE_THRESHOLD, false)]);
static SERVICE_TYPE_OPTION: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["HTTP"],
};
static CREATE_SERVICE_REQUEST: Shape = Shape::Structure(&[
    member("Name", &SERVICE_NAME, true),
    member("NamespaceId", &ARN, false),
    member("CreatorRequestId", &RESOURCE_ID, false),
    member("Description", &RESOURCE_DESCRIPTION, false),
    member("DnsConfig", &DNS_CONFIG, false),
    member("HealthCheckConfig", &HEALTH_CHECK_CONFIG, false),
    member(
        "HealthCheckCustomConfig",
        &HEALTH_CHECK_CUSTOM_CONFIG,
        false,
    ),
    member("Tags", &TAG_LIST, false),
    member("Type", &SERVICE_TYPE_OPTION, false),
]);
static DELETE_NAMESPACE_REQUEST: Shape = Shape::Structure(&[member("Id", &ARN, true)]);
static DELETE_SERVICE_REQUEST: Shape = Shape::Structure(&[member("Id", &ARN, true)]);
static SERVICE_ATTRIBUTE_KEY: Shape = Shape::Text {
    min: 0,
    max: 255,
    pattern: None,
    values: &[],
};
static SERVICE_ATTRIBUTE_KEY_LIST: Shape = Shape::List {
    of: &SERVICE_ATTRIBUTE_KEY,
    min: 1,
    max: 30,
};
static DELETE_SERVICE_ATTRIBUTES_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("Attributes", &SERVICE_ATTRIBUTE_KEY_LIST, true),
]);
static DEREGISTER_INSTANCE_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("InstanceId", &RESOURCE_ID, true),
]);
static NAMESPACE_NAME: Shape = Shape::Text {
    min: 0,
    max: 1024,
    pattern: Some(&pattern::NAMESPACE_NAME),
    values: &[],
};
static DISCOVER_MAX_RESULTS: Shape = Shape::Number { min: 1, max: 1000 };
static ATTR_KEY: Shape = Shape::Text {
    min: 0,
    max: 255,
    pattern: Some(&pattern::ATTR_KEY),
    values: &[],
};
static ATTR_VALUE: Shape = Shape::Text {
    min: 0,
    max: 1024,
    pattern: Some(&pattern::ATTR_VALUE),
    values: &[],
};
static ATTRIBUTES: Shape = Shape::Map {
    key: &ATTR_KEY,
    value: &ATTR_VALUE,
    min: 0,
    max: usize::MAX,
};
static HEALTH_STATUS_FILTER: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL"],
};
static AWSACCOUNT_ID: Shape = Shape::Text {
    min: 12,
    max: 12,
    pattern: None,
    values: &[],
};
static DISCOVER_INSTANCES_REQUEST: Shape = Shape::Structure(&[
    member("NamespaceName", &NAMESPACE_NAME, true),
    member("ServiceName", &SERVICE_NAME, true),
    member("MaxResults", &DISCOVER_MAX_RESULTS, false),
    member("QueryParameters", &ATTRIBUTES, false),
    member("OptionalParameters", &ATTRIBUTES, false),
    member("HealthStatus", &HEALTH_STATUS_FILTER, false),
    member("OwnerAccount", &AWSACCOUNT_ID, false),
]);
static DISCOVER_INSTANCES_REVISION_REQUEST: Shape = Shape::Structure(&[
    member("NamespaceName", &NAMESPACE_NAME, true),
    member("ServiceName", &SERVICE_NAME, true),
    member("OwnerAccount", &AWSACCOUNT_ID, false),
]);
static GET_INSTANCE_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("InstanceId", &RESOURCE_ID, true),
]);
static INSTANCE_ID_LIST: Shape = Shape::List {
    of: &RESOURCE_ID,
    min: 1,
    max: usize::MAX,
};
static MAX_RESULTS: Shape = Shape::Number { min: 1, max: 100 };
static NEXT_TOKEN: Shape = Shape::Text {
    min: 0,
    max: 4096,
    pattern: None,
    values: &[],
};
static GET_INSTANCES_HEALTH_STATUS_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("Instances", &INSTANCE_ID_LIST, false),
    member("MaxResults", &MAX_RESULTS, false),
    member("NextToken", &NEXT_TOKEN, false),
]);
static GET_NAMESPACE_REQUEST: Shape = Shape::Structure(&[member("Id", &ARN, true)]);
static OPERATION_ID: Shape = Shape::Text {
    min: 0,
    max: 255,
    pattern: None,
    values: &[],
};
static GET_OPERATION_REQUEST: Shape = Shape::Structure(&[
    member("OperationId", &OPERATION_ID, true),
    member("OwnerAccount", &AWSACCOUNT_ID, false),
]);
static GET_SERVICE_REQUEST: Shape = Shape::Structure(&[member("Id", &ARN, true)]);
static GET_SERVICE_ATTRIBUTES_REQUEST: Shape = Shape::Structure(&[member("ServiceId", &ARN, true)]);
static LIST_INSTANCES_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("NextToken", &NEXT_TOKEN, false),
    member("MaxResults", &MAX_RESULTS, false),
]);
static NAMESPACE_FILTER_NAME: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["TYPE", "NAME", "HTTP_NAME", "RESOURCE_OWNER"],
};
static FILTER_VALUE: Shape = Shape::Text {
    min: 1,
    max: 255,
    pattern: None,
    values: &[],
};
static FILTER_VALUES: Shape = Shape::List {
    of: &FILTER_VALUE,
    min: 0,
    max: usize::MAX,
};
static FILTER_CONDITION: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["EQ", "IN", "BETWEEN", "BEGINS_WITH"],
};
static NAMESPACE_FILTER: Shape = Shape::Structure(&[
    member("Name", &NAMESPACE_FILTER_NAME, true),
    member("Values", &FILTER_VALUES, true),
    member("Condition", &FILTER_CONDITION, false),
]);
static NAMESPACE_FILTERS: Shape = Shape::List {
    of: &NAMESPACE_FILTER,
    min: 0,
    max: usize::MAX,
};
static LIST_NAMESPACES_REQUEST: Shape = Shape::Structure(&[
    member("NextToken", &NEXT_TOKEN, false),
    member("MaxResults", &MAX_RESULTS, false),
    member("Filters", &NAMESPACE_FILTERS, false),
]);
static OPERATION_FILTER_NAME: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &[
        "NAMESPACE_ID",
        "SERVICE_ID",
        "STATUS",
        "TYPE",
        "UPDATE_DATE",
    ],
};
static OPERATION_FILTER: Shape = Shape::Structure(&[
    member("Name", &OPERATION_FILTER_NAME, true),
    member("Values", &FILTER_VALUES, true),
    member("Condition", &FILTER_CONDITION, false),
]);
static OPERATION_FILTERS: Shape = Shape::List {
    of: &OPERATION_FILTER,
    min: 0,
    max: usize::MAX,
};
static LIST_OPERATIONS_REQUEST: Shape = Shape::Structure(&[
    member("NextToken", &NEXT_TOKEN, false),
    member("MaxResults", &MAX_RESULTS, false),
    member("Filters", &OPERATION_FILTERS, false),
]);
static SERVICE_FILTER_NAME: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["NAMESPACE_ID", "RESOURCE_OWNER"],
};
static SERVICE_FILTER: Shape = Shape::Structure(&[
    member("Name", &SERVICE_FILTER_NAME, true),
    member("Values", &FILTER_VALUES, true),
    member("Condition", &FILTER_CONDITION, false),
]);
static SERVICE_FILTERS: Shape = Shape::List {
    of: &SERVICE_FILTER,
    min: 0,
    max: usize::MAX,
};
static LIST_SERVICES_REQUEST: Shape = Shape::Structure(&[
    member("NextToken", &NEXT_TOKEN, false),
    member("MaxResults", &MAX_RESULTS, false),
    member("Filters", &SERVICE_FILTERS, false),
]);
static AMAZON_RESOURCE_NAME: Shape = Shape::Text {
    min: 1,
    max: 1011,
    pattern: None,
    values: &[],
};
static LIST_TAGS_FOR_RESOURCE_REQUEST: Shape =
    Shape::Structure(&[member("ResourceARN", &AMAZON_RESOURCE_NAME, true)]);
static INSTANCE_ID: Shape = Shape::Text {
    min: 0,
    max: 64,
    pattern: Some(&pattern::INSTANCE_ID),
    values: &[],
};
static REGISTER_INSTANCE_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("InstanceId", &INSTANCE_ID, true),
    member("CreatorRequestId", &RESOURCE_ID, false),
    member("Attributes", &ATTRIBUTES, true),
]);
static TAG_RESOURCE_REQUEST: Shape = Shape::Structure(&[
    member("ResourceARN", &AMAZON_RESOURCE_NAME, true),
    member("Tags", &TAG_LIST, true),
]);
static TAG_KEY_LIST: Shape = Shape::List {
    of: &TAG_KEY,
    min: 0,
    max: 200,
};
static UNTAG_RESOURCE_REQUEST: Shape = Shape::Structure(&[
    member("ResourceARN", &AMAZON_RESOURCE_NAME, true),
    member("TagKeys", &TAG_KEY_LIST, true),
]);
static HTTP_NAMESPACE_CHANGE: Shape =
    Shape::Structure(&[member("Description", &RESOURCE_DESCRIPTION, true)]);
static UPDATE_HTTP_NAMESPACE_REQUEST: Shape = Shape::Structure(&[
    member("Id", &ARN, true),
    member("UpdaterRequestId", &RESOURCE_ID, false),
    member("Namespace", &HTTP_NAMESPACE_CHANGE, true),
]);
static CUSTOM_HEALTH_STATUS: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
    pattern: None,
    values: &["HEALTHY", "UNHEALTHY"],
};
static UPDATE_INSTANCE_CUSTOM_HEALTH_STATUS_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("InstanceId", &RESOURCE_ID, true),
    member("Status", &CUSTOM_HEALTH_STATUS, true),
]);
static SOACHANGE: Shape = Shape::Structure(&[member("TTL", &RECORD_TTL, true)]);
static PRIVATE_DNS_PROPERTIES_MUTABLE_CHANGE: Shape =
    Shape::Structure(&[member("SOA", &SOACHANGE, true)]);
static PRIVATE_DNS_NAMESPACE_PROPERTIES_CHANGE: Shape = Shape::Structure(&[member(
    "DnsProperties",
    &PRIVATE_DNS_PROPERTIES_MUTABLE_CHANGE,
    true,
)]);
static PRIVATE_DNS_NAMESPACE_CHANGE: Shape = Shape::Structure(&[
    member("Description", &RESOURCE_DESCRIPTION, false),
    member(
        "Properties",
        &PRIVATE_DNS_NAMESPACE_PROPERTIES_CHANGE,
        false,
    ),
]);
static UPDATE_PRIVATE_DNS_NAMESPACE_REQUEST: Shape = Shape::Structure(&[
    member("Id", &ARN, true),
    member("UpdaterRequestId", &RESOURCE_ID, false),
    member("Namespace", &PRIVATE_DNS_NAMESPACE_CHANGE, true),
]);
static PUBLIC_DNS_PROPERTIES_MUTABLE_CHANGE: Shape =
    Shape::Structure(&[member("SOA", &SOACHANGE, true)]);
static PUBLIC_DNS_NAMESPACE_PROPERTIES_CHANGE: Shape = Shape::Structure(&[member(
    "DnsProperties",
    &PUBLIC_DNS_PROPERTIES_MUTABLE_CHANGE,
    true,
)]);
static PUBLIC_DNS_NAMESPACE_CHANGE: Shape = Shape::Structure(&[
    member("Description", &RESOURCE_DESCRIPTION, false),
    member("Properties", &PUBLIC_DNS_NAMESPACE_PROPERTIES_CHANGE, false),
]);
static UPDATE_PUBLIC_DNS_NAMESPACE_REQUEST: Shape = Shape::Structure(&[
    member("Id", &ARN, true),
    member("UpdaterRequestId", &RESOURCE_ID, false),
    member("Namespace", &PUBLIC_DNS_NAMESPACE_CHANGE, true),
]);
static DNS_CONFIG_CHANGE: Shape = Shape::Structure(&[member("DnsRecords", &DNS_RECORD_LIST, true)]);
static SERVICE_CHANGE: Shape = Shape::Structure(&[
    member("Description", &RESOURCE_DESCRIPTION, false),
    member("DnsConfig", &DNS_CONFIG_CHANGE, false),
    member("HealthCheckConfig", &HEALTH_CHECK_CONFIG, false),
]);
static UPDATE_SERVICE_REQUEST: Shape = Shape::Structure(&[
    member("Id", &ARN, true),
    member("Service", &SERVICE_CHANGE, true),
]);
static SERVICE_ATTRIBUTE_VALUE: Shape = Shape::Text {
    min: 0,
    max: 1024,
    pattern: None,
    values: &[],
};
static SERVICE_ATTRIBUTES_MAP: Shape = Shape::Map {
    key: &SERVICE_ATTRIBUTE_KEY,
    value: &SERVICE_ATTRIBUTE_VALUE,
    min: 1,
    max: 30,
};
static UPDATE_SERVICE_ATTRIBUTES_REQUEST: Shape = Shape::Structure(&[
    member("ServiceId", &ARN, true),
    member("Attributes", &SERVICE_ATTRIBUTES_MAP, true),
]);
