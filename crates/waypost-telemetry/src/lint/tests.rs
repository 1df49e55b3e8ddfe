//! The faults that the lint names.

use super::lint_metric_names;

fn faults(text: &str) -> String {
    lint_metric_names(text).join("; ")
}

#[test]
fn well_named_metrics_have_no_fault() {
    let text = "# HELP waypost_http_requests Requests.\n# TYPE waypost_http_requests counter\n\
        waypost_http_requests_total{route=\"a \\\"b\\\", Bad=\\\"x\",method=\"GET\"} 1\n\
        # HELP waypost_check_duration_seconds Time.\n# TYPE waypost_check_duration_seconds histogram\n\
        # UNIT waypost_check_duration_seconds seconds\n\
        waypost_check_duration_seconds_bucket{le=\"+Inf\"} 1\n\
        # HELP waypost_instances Instances.\n# TYPE waypost_instances gauge\nwaypost_instances 3\n# EOF\n";
    assert_eq!(faults(text), "");
}

#[test]
fn every_rule_names_the_metric_that_breaks_it() {
    let rows = [
        (
            "# HELP other_x X.\n# TYPE other_x gauge\n",
            "other_x does not start with waypost_",
        ),
        (
            "# HELP waypost_aB X.\n# TYPE waypost_aB gauge\n",
            "waypost_aB is not in snake case",
        ),
        (
            "# HELP waypost_a__b X.\n# TYPE waypost_a__b gauge\n",
            "waypost_a__b is not in snake case",
        ),
        (
            "# HELP waypost_a .\n# TYPE waypost_a gauge\n",
            "waypost_a has no help text",
        ),
        ("# TYPE waypost_a gauge\n", "waypost_a has no help text"),
        ("# HELP waypost_a X.\n", "waypost_a has no type"),
        ("waypost_a 1\n", "waypost_a has neither help nor type"),
        (
            "# HELP waypost_a_ms X.\n# TYPE waypost_a_ms gauge\n",
            "ends in _ms, which is not a base unit",
        ),
        (
            "# HELP waypost_a X.\n# TYPE waypost_a histogram\n",
            "does not end in a unit",
        ),
        (
            "# HELP waypost_a_total X.\n# TYPE waypost_a_total counter\n",
            "shown as waypost_a_total_total",
        ),
        (
            "# HELP waypost_a_total X.\n# TYPE waypost_a_total gauge\n",
            "ends in _total but is a gauge",
        ),
        (
            "# HELP waypost_a X.\n# TYPE waypost_a gauge\n# HELP waypost_a X.\n",
            "waypost_a is described twice",
        ),
        (
            "# HELP waypost_a X.\n# TYPE waypost_a gauge\nwaypost_a{ok=\"1\",serviceName=\"x\"} 1\n",
            "waypost_a has the label serviceName, which is not in snake case",
        ),
    ];
    for (text, fault) in rows {
        assert!(faults(text).contains(fault), "{text} gave {}", faults(text));
    }
}
