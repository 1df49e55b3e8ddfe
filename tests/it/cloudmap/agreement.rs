//! A random script over REST and Cloud Map: after every step both, and DNS, show the same.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};

use super::request;
use crate::dns_server::question;
use crate::server::Server;

const STEPS: usize = 300;
const IDS: u64 = 6;
const INSTANCES: &str = "/v1/namespaces/demo.local/services/web/instances";
/// Bytes of an A record whose owner is a pointer.
const RECORD: usize = 16;

/// Numbers that look random and are the same in each run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

struct Script {
    server: Server,
    service: String,
    dns: UdpSocket,
}

impl Script {
    fn start() -> Self {
        let server = Server::start();
        let call = |operation: &str, body: Value| {
            let (status, answer) = server.post_aws(&request(operation, &body));
            assert_eq!(status, 200, "{answer}");
            answer
        };
        call(
            "CreatePrivateDnsNamespace",
            json!({ "Name": "demo.local", "Vpc": "v" }),
        );
        let namespaces = call("ListNamespaces", json!({}));
        let service = call(
            "CreateService",
            json!({
                "Name": "web",
                "NamespaceId": namespaces["Namespaces"][0]["Id"],
                "DnsConfig": { "DnsRecords": [{ "Type": "A", "TTL": 1 }] },
                "HealthCheckCustomConfig": { "FailureThreshold": 1 },
            }),
        );
        let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
        dns.connect(server.dns()).unwrap();
        dns.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self {
            service: service["Service"]["Id"].as_str().unwrap().to_owned(),
            server,
            dns,
        }
    }

    /// Does one step; what is refused, because its instance is not there, changes nothing.
    fn step(&self, chance: &mut Chance) -> String {
        let number = chance.below(IDS);
        let (id, ip) = (format!("i-{number}"), format!("10.0.0.{number}"));
        let call = |operation: &str, more: Value| {
            let mut body = json!({ "ServiceId": self.service, "InstanceId": id });
            let members = more.as_object().unwrap().clone();
            body.as_object_mut().unwrap().extend(members);
            let (status, answer) = self.server.post_aws(&request(operation, &body));
            format!("{operation} {id}: {status} {answer}")
        };
        let mode = format!("{INSTANCES}/{id}/mode");
        match chance.below(8) {
            0 => {
                let attributes = json!({ "AWS_INSTANCE_IPV4": ip, "AWS_INSTANCE_PORT": "80" });
                call("RegisterInstance", json!({ "Attributes": attributes }))
            }
            1 => {
                let attributes =
                    json!({ "AWS_INSTANCE_IPV4": ip, "AWS_INIT_HEALTH_STATUS": "UNHEALTHY" });
                call("RegisterInstance", json!({ "Attributes": attributes }))
            }
            2 => {
                let body = json!({ "address": ip, "port": 80 });
                let answer = self.server.put(&format!("{INSTANCES}/{id}"), &body);
                format!("PUT {id}: {}", answer.status)
            }
            3 => call("DeregisterInstance", json!({})),
            4 => format!(
                "DELETE {id}: {}",
                self.server.delete(&format!("{INSTANCES}/{id}")).status
            ),
            5 => {
                let status = if chance.below(2) == 0 {
                    "HEALTHY"
                } else {
                    "UNHEALTHY"
                };
                call(
                    "UpdateInstanceCustomHealthStatus",
                    json!({ "Status": status }),
                )
            }
            6 => {
                let body = json!({ "mode": "Draining", "reason": "test" });
                format!("drain {id}: {}", self.server.put(&mode, &body).status)
            }
            _ => format!("resume {id}: {}", self.server.delete(&mode).status),
        }
    }

    /// Who may be sent traffic by REST: id and address; and whether that is fail-open.
    fn rest(&self) -> (BTreeMap<String, String>, bool) {
        let found = self.server.get("/v1/discover/web?namespace=demo.local");
        let found = found.expect(200).json();
        let pairs = found["instances"].as_array().unwrap().iter().map(|one| {
            let of = |name: &str| one[name].as_str().unwrap().to_owned();
            (of("id"), of("ipv4"))
        });
        (pairs.collect(), found["tier"] == "fail_open")
    }

    fn cloud_map(&self, filter: &str) -> BTreeMap<String, String> {
        let body =
            json!({ "NamespaceName": "demo.local", "ServiceName": "web", "HealthStatus": filter });
        let (_, found) = self.server.post_aws(&request("DiscoverInstances", &body));
        let instances = found["Instances"].as_array().unwrap().iter();
        let pairs = instances.map(|one| {
            let ip = one["Attributes"]["AWS_INSTANCE_IPV4"].as_str().unwrap();
            (
                one["InstanceId"].as_str().unwrap().to_owned(),
                ip.to_owned(),
            )
        });
        pairs.collect()
    }

    fn addresses(&self) -> Vec<String> {
        let asked = question("web.demo.local");
        self.dns.send(&asked).unwrap();
        let mut answer = [0; 1_500];
        let len = self.dns.recv(&mut answer).unwrap();
        let count = usize::from(u16::from_be_bytes([answer[6], answer[7]]));
        let records = answer[asked.len()..len].chunks(RECORD).take(count);
        let mut found: Vec<String> = records
            .map(|record| {
                let ip = &record[RECORD - 4..];
                format!("{}.{}.{}.{}", ip[0], ip[1], ip[2], ip[3])
            })
            .collect();
        found.sort();
        found
    }
}

#[test]
fn rest_dns_and_cloud_map_agree_after_every_step_of_a_random_script() {
    let script = Script::start();
    let mut chance = Chance(7);
    let mut seen_open = false;
    for number in 0..STEPS {
        let step = script.step(&mut chance);
        let (rest, is_open) = script.rest();
        let mut addresses: Vec<String> = rest.values().cloned().collect();
        addresses.sort();
        assert_eq!(script.addresses(), addresses, "step {number}: {step}");
        let healthy = script.cloud_map("HEALTHY");
        if is_open {
            seen_open = true;
            assert!(healthy.is_empty(), "step {number}: {step}: {healthy:?}");
            // Whoever asks for all when none is healthy sees those too that drain.
            let all = script.cloud_map("HEALTHY_OR_ELSE_ALL");
            let are_there = rest.iter().all(|(id, ip)| all.get(id) == Some(ip));
            assert!(are_there, "step {number}: {step}: {all:?}");
        } else {
            assert_eq!(healthy, rest, "step {number}: {step}");
        }
    }
    assert!(
        seen_open,
        "the script came to no service without a healthy instance"
    );
}
