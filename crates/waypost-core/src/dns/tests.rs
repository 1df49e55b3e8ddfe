use super::*;
use crate::name::Owner;
use crate::text::text;

fn key(namespace: &str, service: &str) -> ServiceKey {
    ServiceKey::new(namespace, service).unwrap()
}

fn label(id: &str) -> String {
    let service = key("svc.internal", "web");
    instance_label(&service, &InstanceId::new(id).unwrap()).into_owned()
}

#[test]
fn an_id_that_is_a_label_is_kept_as_written() {
    assert_eq!(label("web-1"), "web-1");
    assert_eq!(label("Web-1"), "Web-1");
}

#[test]
fn an_id_that_is_no_label_is_hashed_the_same_in_any_case() {
    let hashed = label("10.0.0.1:8080");
    assert_eq!(hashed.len(), HASHED_LABEL_BYTES);
    assert!(hashed.starts_with("i-") && is_dns_label(&hashed));
    assert_eq!(label("A:b"), label("a:B"));
    assert_ne!(label("10.0.0.1:8080"), label("10.0.0.1:8081"));
    assert!(label("_tcp").starts_with("i-"));
}

#[test]
fn an_id_that_would_make_the_name_too_long_is_hashed() {
    let zone = ["a".repeat(60), "b".repeat(60), "c".repeat(50)].join(".");
    let service = key(&zone, &"s".repeat(40));
    let id = InstanceId::new(&"i".repeat(60)).unwrap();
    let label = instance_label(&service, &id);
    assert_eq!(label.len(), HASHED_LABEL_BYTES);
    assert!(format!("{label}.{service}").len() <= DNS_NAME_BYTES_MAX);
}

#[test]
fn a_service_that_cannot_be_a_name_is_refused_with_the_rule() {
    for good in ["web", "user_service", "_web._tcp", "a.b", "0"] {
        check_dns_service(&key("svc.internal", good)).unwrap();
    }
    let long = "x".repeat(64);
    for bad in [
        "a/b", "a..b", ".a", "a.", "-a", "a-", "a:1", "_tcp", "_UDP", &long,
    ] {
        let error = check_dns_service(&key("svc.internal", bad)).unwrap_err();
        assert!(error.to_string().contains("service_name"), "{error}");
    }
    let zone = ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".");
    let error = check_dns_service(&key(&zone, &"d".repeat(60))).unwrap_err();
    assert!(error.to_string().contains("at most 234 bytes"), "{error}");
}

#[test]
fn an_instance_has_the_service_its_own_and_its_srv_names() {
    let port = |name: &str, protocol: &str| Port {
        name: text(name),
        number: 1,
        protocol: text(protocol),
        path: text(""),
    };
    let key = key("svc.internal", "web").instance(Owner::SELF, InstanceId::new("a:1").unwrap());
    let names = DnsNames::of(
        &key,
        &[
            port("default", "http"),
            port("stats", "UDP"),
            port("a b", "http"),
        ],
    );
    let names = names.unwrap();
    assert_eq!(names.service, "web.svc.internal");
    assert_eq!(names.instance, format!("{}.web.svc.internal", label("a:1")));
    let srv = [
        "_web._tcp.svc.internal",
        "_default._tcp.web.svc.internal",
        "_stats._udp.web.svc.internal",
    ];
    assert_eq!(names.srv, srv);
}
