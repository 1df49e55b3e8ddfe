//! `waypost schema`: the JSON Schema of what each command prints with `-o json` and `-o jsonl`.

use std::io::Write as _;

use clap::Args;
use serde_json::{Map, Value, json};
use waypost_cli::{Exit, OutputFormat};

use crate::serve;

/// What the server sends is described by its own document; these are the shapes that only the command line has.
const SHAPES: &str = include_str!("schema/shapes.json");

/// Each command with the shape of its `-o json`, and that of a line of `-o jsonl`.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("audit", "AuditPage", "AuditLine"),
    ("completions", "Completions", "Completions"),
    ("config show", "Settings", "Settings"),
    ("deregister", "Removal", "Removal"),
    ("discover", "Rotation", "Instance"),
    ("doctor", "DoctorReport", "DoctorLine"),
    ("drain", "ModeReport", "ModeReport"),
    ("env", "Environment", "Environment"),
    ("explain", "Explanation", "Explanation"),
    ("export", "ResolverConfig", "ResolverConfig"),
    ("get SERVICE", "Service", "Service"),
    ("get SERVICE/ID", "Instance", "Instance"),
    ("heartbeat", "HeartbeatAnswer", "HeartbeatAnswer"),
    ("history", "HistoryPage", "HistoryLine"),
    ("ls", "ServicePage", "Service"),
    ("ls SERVICE", "InstancePage", "Instance"),
    ("maintenance", "ModeReport", "ModeReport"),
    ("namespace create", "Namespace", "Namespace"),
    ("namespace get", "Namespace", "Namespace"),
    ("namespace ls", "NamespacePage", "Namespace"),
    ("namespace rm", "Removed", "Removed"),
    ("namespace set", "Namespace", "Namespace"),
    ("override", "ModeReport", "ModeReport"),
    ("register", "Instance", "Instance"),
    ("register -f", "Registrations", "RegistrationResult"),
    ("report", "ReportAnswer", "ReportAnswer"),
    ("resolve", "Resolution", "Resolution"),
    ("resume", "Resumption", "Resumption"),
    ("schema", "Schemas", "Schemas"),
    ("service create", "Service", "Service"),
    ("service get", "Service", "Service"),
    ("service ls", "ServicePage", "Service"),
    ("service rm", "Removed", "Removed"),
    ("service set", "Service", "Service"),
    ("snapshot inspect", "SnapshotContents", "SnapshotContents"),
    ("snapshot restore", "RestoredSnapshot", "RestoredSnapshot"),
    ("snapshot save", "Snapshot", "Snapshot"),
    ("snapshot verify", "Snapshot", "Snapshot"),
    ("token create", "Token", "Token"),
    ("token rotate", "Token", "Token"),
    ("token ls", "TokenList", "Token"),
    ("top", "Top", "TopService"),
    ("version", "Version", "Version"),
    ("watch", "Event", "Event"),
];

/// Arguments of `schema`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SchemaArguments {
    /// The command, such as `ls` or `namespace get`; without one, all that have one are listed
    #[arg(value_name = "COMMAND", num_args = 0..)]
    command: Vec<String>,

    /// Of one line of `-o jsonl` instead of the whole of `-o json`
    #[arg(long)]
    line: bool,
}

/// Prints a schema, or the commands that have one.
pub(crate) fn print(arguments: &SchemaArguments, output: OutputFormat) -> Exit {
    let text = if arguments.command.is_empty() {
        let names: Vec<&str> = COMMANDS.iter().map(|(name, _, _)| *name).collect();
        match output {
            OutputFormat::Table => names.join("\n"),
            OutputFormat::Json | OutputFormat::Jsonl => json!({ "commands": names }).to_string(),
        }
    } else {
        let name = arguments.command.join(" ");
        let Some((_, whole, line)) = COMMANDS.iter().find(|(known, _, _)| *known == name) else {
            let why =
                format!("there is no schema of {name:?}; `waypost schema` lists those there are");
            return serve::fail(&why, Exit::NotFound);
        };
        match schema(if arguments.line { line } else { whole }) {
            Ok(schema) => format!("{schema:#}"),
            Err(error) => {
                return serve::fail(&format!("the schema is broken: {error}"), Exit::Failure);
            }
        }
    };
    // A reader that went away is content with what it has.
    drop(writeln!(std::io::stdout(), "{text}"));
    Exit::Ok
}

/// Makes a schema that needs nothing else: the shape, and every other that it names.
fn schema(shape: &str) -> Result<Value, serde_json::Error> {
    let mut shapes: Map<String, Value> = serde_json::from_str(SHAPES)?;
    let document = waypost_api_rest::openapi(env!("CARGO_PKG_VERSION"));
    let components = document.pointer("/components/schemas");
    let text = components.map(Value::to_string).unwrap_or_default();
    let theirs: Map<String, Value> =
        serde_json::from_str(&text.replace("#/components/schemas/", "#/$defs/"))?;
    for (name, schema) in theirs {
        shapes.entry(name).or_insert(schema);
    }
    let mut needed = Map::new();
    let mut waiting = vec![shape.to_owned()];
    while let Some(name) = waiting.pop() {
        if needed.contains_key(&name) {
            continue;
        }
        let Some(schema) = shapes.get(&name) else {
            continue;
        };
        named(schema, &mut waiting);
        needed.insert(name, schema.clone());
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("#/$defs/{shape}"),
        "$defs": needed,
    }))
}

/// Collects the shapes that a schema names.
fn named(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(name)) = members.get("$ref") {
                names.extend(name.strip_prefix("#/$defs/").map(str::to_owned));
            }
            members.values().for_each(|member| named(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| named(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_has_all_that_it_names() {
        for (command, whole, line) in COMMANDS {
            for shape in [whole, line] {
                let schema = schema(shape).unwrap();
                let mut names = Vec::new();
                named(&schema, &mut names);
                for name in names {
                    assert!(schema["$defs"].get(&name).is_some(), "{command}: {name}");
                }
            }
        }
    }
}
