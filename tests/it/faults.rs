//! What a machine does to a server: it stands still, its clocks jump, its disk is full, its files are damaged. Nothing that
//! was acknowledged is lost, nothing is silently wrong, and what is refused says why and what to do.
//!
//! Write and sync errors and power cuts are in `durability`, ends of the process in `kills`.

mod clocks;
mod damage;
mod full;
mod stopped;

use serde_json::{Value, json};

use crate::server::Server;

const SERVICE: &str = "/v1/namespaces/svc.internal/services/web";

fn instance(id: &str) -> String {
    format!("{SERVICE}/instances/{id}")
}

fn register(server: &Server, id: &str, lease_seconds: Option<u32>) {
    let body = json!({"address": "10.0.0.1", "port": 80, "lease_seconds": lease_seconds});
    server.put(&instance(id), &body).expect(201);
}

fn beat(server: &Server, id: &str) {
    let path = format!("{}/heartbeat", instance(id));
    server.post(&path, &json!({})).expect(200);
}

/// The ids that may be sent traffic, with the tier that they are in.
fn rotation(server: &Server) -> (Vec<String>, Value) {
    let rotation = server.get("/v1/discover/web").expect(200).json();
    let instances = rotation["instances"].as_array().unwrap().iter();
    let mut ids: Vec<String> = instances
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    (ids, rotation["tier"].clone())
}

/// A metric without labels.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").expect(200).text();
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}
