//! What each command prints, against the schema that the program gives for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Server, Setup};
use crate::skips::{peer, skipped};

/// Each command with what is typed for it, in an order in which each finds what it needs.
const TYPED: [(&str, &str); 44] = [
    ("namespace create", "namespace create shop.internal"),
    (
        "namespace set",
        "namespace set shop.internal --description x",
    ),
    ("namespace get", "namespace get shop.internal"),
    ("namespace ls", "namespace ls"),
    (
        "service create",
        "service create cart -n shop.internal --tag x --record A:5s",
    ),
    (
        "service set",
        "service set cart -n shop.internal --fail-open true",
    ),
    ("service get", "service get cart -n shop.internal"),
    ("service ls", "service ls -n shop.internal"),
    ("service rm", "service rm cart -n shop.internal"),
    ("namespace rm", "namespace rm shop.internal"),
    ("register", "register web a --address 127.0.0.1 --port 80"),
    ("register -f", "register -f {folder}/many.json"),
    ("ls", "ls"),
    ("ls SERVICE", "ls web"),
    ("get SERVICE", "get web"),
    ("get SERVICE/ID", "get web/a"),
    ("discover", "discover web"),
    ("explain", "explain web/a"),
    ("heartbeat", "heartbeat web/a"),
    ("resolve", "resolve web --explain"),
    ("export", "export unbound"),
    ("env", "env aws"),
    ("watch", "watch --count 1"),
    ("top", "top"),
    ("report", "report said/s smoke passing --for 1h"),
    ("drain", "drain web/a --for 1h --reason x --author ann"),
    ("maintenance", "maintenance web/a --author ann"),
    (
        "override",
        "override web/a --weight 3 --health unhealthy --author ann",
    ),
    ("resume", "resume web/a"),
    ("deregister", "deregister web/b --block 1h --author ann"),
    ("completions", "completions bash"),
    ("version", "version"),
    ("schema", "schema"),
    ("config show", "config show"),
    ("snapshot save", "snapshot save {folder}/a.snapshot --force"),
    ("snapshot verify", "snapshot verify {folder}/a.snapshot"),
    ("snapshot inspect", "snapshot inspect {folder}/a.snapshot"),
    (
        "snapshot restore",
        "snapshot restore {folder}/a.snapshot --data-dir {folder}/restored",
    ),
    ("doctor", "doctor"),
    ("audit", "audit"),
    ("history", "history said/s"),
    ("token create", "token create ann"),
    ("token ls", "token ls"),
    ("token rotate", "token rotate {token} --grace 1h"),
];

const VALIDATE: &str = r#"
import json, sys
import jsonschema_rs

for line in sys.stdin:
    case = json.loads(line)
    validator = jsonschema_rs.validator_for(case["schema"])
    for error in validator.iter_errors(case["value"]):
        sys.exit(f"{case['name']}: {error}: {json.dumps(case['value'])}")
    # A schema that takes anything checks nothing.
    if validator.is_valid(17):
        sys.exit(f"{case['name']}: its schema takes anything")
print("all valid")
"#;

fn schema(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?} {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Has every value checked against its schema by a program of others.
fn validate(python: &Path, file: &Path, cases: &str) {
    fs::write(file, cases).unwrap();
    let output = Command::new(python)
        .args(["-c", VALIDATE])
        .stdin(fs::File::open(file).unwrap())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(out.trim(), "all valid", "{err}");
}

#[test]
fn every_command_prints_what_its_schema_says() {
    let name = "schemas::every_command_prints_what_its_schema_says";
    let python = match peer("WAYPOST_PEER_PYTHON") {
        Ok(program) => program,
        Err(why) => return skipped(name, &why),
    };
    let server = Setup::new().start();
    let listed = server.cli(&["schema", "-o", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let listed = listed["commands"].as_array().unwrap().iter();
    let listed: BTreeSet<&str> = listed.map(|name| name.as_str().unwrap()).collect();
    assert_eq!(listed, TYPED.iter().map(|(name, _)| *name).collect());
    let folder = tempfile::tempdir().unwrap();
    let many = json!([{"service": "web", "id": "b", "address": "127.0.0.1"}, {"id": "c"}]);
    fs::write(folder.path().join("many.json"), many.to_string()).unwrap();
    let said = json!({"address": "127.0.0.1", "checks": [{"id": "smoke", "kind": "reported"}]});
    let path = "/v1/namespaces/svc.internal/services/said/instances/s";
    assert!(server.put(path, &said).is_success());
    let (mut cases, mut issued) = (String::new(), String::new());
    for (name, typed) in TYPED {
        let typed = typed.replace("{folder}", folder.path().to_str().unwrap());
        let typed = typed.replace("{token}", &issued);
        for form in ["json", "jsonl"] {
            // What was made or removed is not there a second time.
            let once = ["create", "rm", "deregister", "restore", "rotate"]
                .iter()
                .any(|word| name.contains(word));
            if once && form == "jsonl" {
                continue;
            }
            let mut arguments: Vec<&str> = typed.split(' ').collect();
            arguments.extend(["-o", form]);
            // The first token closes the server to everybody without one.
            let token = folder.path().join("token");
            if token.exists() {
                arguments.extend(["--token-file", token.to_str().unwrap()]);
            }
            let output = server.cli(&arguments);
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                !text.is_empty(),
                "{typed}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let mut asked: Vec<&str> = ["schema"].into_iter().chain(name.split(' ')).collect();
            if asked.contains(&"-f") {
                asked = vec!["schema", "--", "register", "-f"];
            }
            if form == "jsonl" {
                asked.insert(1, "--line");
            }
            let schema = schema(&server, &asked);
            let values: Vec<Value> = serde_json::Deserializer::from_str(&text)
                .into_iter()
                .map(|value| value.unwrap_or_else(|error| panic!("{typed}: {error}: {text}")))
                .collect();
            if name == "token create" {
                let secret = values[0]["secret"].as_str().unwrap();
                fs::write(&token, secret).unwrap();
                issued = values[0]["id"].as_str().unwrap().to_owned();
            }
            for value in values {
                let case =
                    json!({"name": format!("{name} -o {form}"), "schema": schema, "value": value});
                cases.push_str(&format!("{case}\n"));
            }
        }
    }
    validate(&python, &folder.path().join("cases.jsonl"), &cases);
}
