//! The endpoints for operators.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::support::{body_of, header, local, start, status};
use crate::Rejection;
use crate::exposition::accepts_openmetrics;
use crate::{Condition, Ops, ReadyReport, openmetrics_to_text, ops_routes};

const EXPOSITION: &str = "# HELP waypost_build The build.\n# TYPE waypost_build info\n\
    waypost_build_info{version=\"1\"} 1\n# HELP waypost_x Things.\n# TYPE waypost_x counter\n\
    waypost_x_total 3\n# HELP waypost_y_seconds Time.\n# TYPE waypost_y_seconds gauge\n\
    # UNIT waypost_y_seconds seconds\nwaypost_y_seconds 1.5\n# EOF\n";

fn ops(is_draining: &Arc<AtomicBool>) -> Ops {
    let is_draining = Arc::clone(is_draining);
    Ops {
        may_read: Arc::new(|head| match head.bearer() {
            Some("wrong") => Err(Rejection::Unauthenticated { reason: "wrong" }),
            Some("narrow") => Err(Rejection::Denied { reason: "narrow" }),
            _ => Ok(()),
        }),
        ready: Arc::new(move || {
            let draining = if is_draining.load(Relaxed) {
                Condition::failed("not-draining", "the server is shutting down")
            } else {
                Condition::ok("not-draining")
            };
            ReadyReport {
                conditions: vec![Condition::ok("store-writes"), draining],
            }
        }),
        metrics: Arc::new(|| EXPOSITION.to_owned()),
    }
}

#[tokio::test]
async fn readiness_follows_its_conditions_and_liveness_does_not() {
    let is_draining = Arc::new(AtomicBool::new(false));
    let server = start(ops_routes(ops(&is_draining)), &local());
    let response = server.get("/readyz").await;
    assert_eq!((status(&response), body_of(&response)), (200, "ok\n"));
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    let expected = "[+]store-writes ok\n[+]not-draining ok\nreadyz check passed\n";
    assert_eq!(body_of(&server.get("/readyz?verbose").await), expected);
    is_draining.store(true, Relaxed);
    for path in ["/readyz", "/readyz?verbose"] {
        let response = server.get(path).await;
        assert_eq!(status(&response), 503);
        let expected = "[+]store-writes ok\n\
            [-]not-draining failed: the server is shutting down\nreadyz check failed\n";
        assert_eq!(body_of(&response), expected);
    }
    let response = server.get("/livez").await;
    assert_eq!((status(&response), body_of(&response)), (200, "ok\n"));
}

#[test]
fn only_the_routes_about_life_and_readiness_are_open() {
    let routes = ops_routes(ops(&Arc::default())).routes();
    let open: Vec<(&str, bool)> = routes
        .iter()
        .map(|route| (route.pattern.as_str(), route.is_open))
        .collect();
    assert_eq!(
        open,
        [("/livez", true), ("/metrics", false), ("/readyz", true)]
    );
}

#[tokio::test]
async fn metrics_are_refused_to_whoever_may_not_read_them() {
    let server = start(ops_routes(ops(&Arc::default())), &local());
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer wrong\r\n\r\n";
    let response = server.exchange(request.to_owned()).await;
    assert_eq!(status(&response), 401);
}

#[tokio::test]
async fn metrics_are_openmetrics_for_those_who_name_it_and_text_for_all_others() {
    let server = start(ops_routes(ops(&Arc::default())), &local());
    // What Prometheus 2.42 sends.
    let accept = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n\r\n"
    );
    let response = server.exchange(request).await;
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(header(&response, "content-type"), Some(open));
    assert_eq!(body_of(&response), EXPOSITION);
    let response = server.get("/metrics").await;
    let text = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(header(&response, "content-type"), Some(text));
    assert_eq!(body_of(&response), openmetrics_to_text(EXPOSITION));
}

#[test]
fn the_text_form_has_only_types_and_names_that_it_knows() {
    let expected = "# HELP waypost_build_info The build.\n# TYPE waypost_build_info gauge\n\
        waypost_build_info{version=\"1\"} 1\n# HELP waypost_x_total Things.\n\
        # TYPE waypost_x_total counter\nwaypost_x_total 3\n# HELP waypost_y_seconds Time.\n\
        # TYPE waypost_y_seconds gauge\nwaypost_y_seconds 1.5\n";
    assert_eq!(openmetrics_to_text(EXPOSITION), expected);
}

#[test]
fn openmetrics_is_sent_only_when_it_is_named() {
    for accept in ["*/*", "text/plain", "application/openmetrics-text;q=0", ""] {
        assert!(!accepts_openmetrics(Some(accept)), "{accept}");
    }
    assert!(!accepts_openmetrics(None));
    assert!(accepts_openmetrics(Some(
        "text/plain, Application/OpenMetrics-Text; version=1.0.0"
    )));
}
