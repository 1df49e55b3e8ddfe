use std::time::Duration;

use super::*;

fn parsed(text: &str) -> Stack {
    parse(text, Path::new("/srv")).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(text: &str) -> String {
    parse(text, Path::new("/srv")).unwrap_err().join("\n")
}

#[test]
fn a_stack_is_read_with_its_defaults_and_in_an_order_in_which_it_can_start() {
    let stack = parsed(
        r#"
        namespace = "secure-api.local"
        [services.api]
        command = ["uvicorn", "api:app", "--port", "{port}"]
        depends_on = ["redis", "worker"]
        [services.redis]
        command = ["redis-server"]
        port = 6379
        register = false
        [services.worker]
        command = ["uvicorn", "worker:app"]
        replicas = 2
        port = 8080
        addresses = ["127.0.0.2", "127.0.0.3"]
        check = "http:/health/ready"
        check_interval = "2s"
        drain = "3s"
        restart = "on-failure"
        depends_on = ["redis"]
        "#,
    );
    assert_eq!(stack.namespace.as_deref(), Some("secure-api.local"));
    let names: Vec<&str> = stack.plans.iter().map(|plan| plan.name.as_str()).collect();
    assert_eq!(names, ["redis", "worker", "api"]);
    let worker = &stack.plans[1];
    assert_eq!(worker.drain, Some(Duration::from_secs(3)));
    assert_eq!((worker.grace, worker.startup), (GRACE, STARTUP));
    assert_eq!(worker.restart, Restart::OnFailure);
    assert_eq!(worker.directory.as_deref(), Some(Path::new("/srv/")));
    assert!(!stack.plans[0].registers);
}

#[test]
fn every_fault_is_named_with_its_service_its_value_and_the_rule() {
    let text = faults(
        r#"
        [services.a]
        command = []
        [services.b]
        command = ["x"]
        port = 70000
        [services.c]
        command = ["x"]
        replicas = 2
        port = 80
        [services.d]
        command = ["x"]
        depends_on = ["nobody"]
        check = "icmp"
        "#,
    );
    for expected in [
        "services.a.command: must name a program",
        "services.b.port: 70000 must be auto or a port",
        "services.c.replicas: 2 processes cannot share port 80 on 1 addresses",
        "services.d.depends_on: \"nobody\" must be a service of this file",
        "services.d.check: \"icmp\" must be http",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn an_unknown_key_a_circle_and_an_empty_file_are_refused() {
    let unknown = faults("[services.a]\ncommand = [\"x\"]\nreplica = 2\n");
    assert!(unknown.contains("replica"), "{unknown}");
    let circle = faults(
        "[services.a]\ncommand = [\"x\"]\ndepends_on = [\"b\"]\n[services.b]\ncommand = [\"x\"]\ndepends_on = [\"a\"]\n",
    );
    assert!(circle.contains("circle"), "{circle}");
    assert!(faults("").contains("at least one"));
    assert!(
        faults("[services.a]\ncommand = [\"x\"]\ndrain = \"soon\"\n").contains("length of time")
    );
}
