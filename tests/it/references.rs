//! The references of `docs`, which are made from the program itself: settings, commands, the HTTP API.
//!
//! Each test makes its page anew and compares; with `WAYPOST_WRITE_DOCS=1` it writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::server::{Server, waypost};

const WRITE: &str = "WAYPOST_WRITE_DOCS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn holds(page: &str, made: &str) {
    let path = root().join("docs").join(page);
    if std::env::var_os(WRITE).is_some_and(|value| value == "1") {
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let lines = kept.lines().zip(made.lines()).enumerate();
    let differs = lines
        .filter(|(_, (kept, made))| kept != made)
        .map(|(at, (kept, made))| format!("line {}: {kept:?}, made {made:?}", at + 1));
    assert!(
        kept == made,
        "docs/{page} is not what the program says; {WRITE}=1 writes it: {:?}",
        differs.take(3).collect::<Vec<_>>()
    );
}

/// Text that stands in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The fields of one struct: name, type, comment.
type Fields = Vec<(String, String, String)>;

/// Every struct of the sources with its fields.
fn structs() -> BTreeMap<String, Fields> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                read_structs(&fs::read_to_string(path).unwrap(), &mut found);
            }
        }
    }
    found
}

fn read_structs(source: &str, found: &mut BTreeMap<String, Fields>) {
    let mut name: Option<String> = None;
    let mut comment: Vec<&str> = Vec::new();
    for line in source.lines() {
        let text = line.trim();
        if let Some(said) = text.strip_prefix("/// ") {
            comment.push(said);
            continue;
        }
        if let Some((_, rest)) = line
            .split_once("pub struct ")
            .or_else(|| line.split_once("pub(crate) struct "))
        {
            name = rest.strip_suffix(" {").map(str::to_owned);
        } else if line == "}" {
            name = None;
        } else if let (Some(name), Some(field)) = (&name, text.strip_suffix(',')) {
            let field = field
                .strip_prefix("pub(crate) ")
                .or_else(|| field.strip_prefix("pub "));
            if let Some((field, kind)) = field.and_then(|field| field.split_once(": ")) {
                let kind = kind.rsplit("::").next().unwrap().to_owned();
                let field = (field.to_owned(), kind, comment.join(" "));
                found.entry(name.clone()).or_default().push(field);
            }
        }
        if !text.starts_with("#[") {
            comment.clear();
        }
    }
}

/// Follows a key such as `dns.listen` from the configuration to its field, and gives what its comment says.
fn comment_of(structs: &BTreeMap<String, Fields>, key: &str) -> String {
    let mut fields = &structs["Config"];
    let mut parts = key.split('.').peekable();
    loop {
        let part = parts.next().unwrap();
        let (_, kind, comment) = fields
            .iter()
            .find(|(name, _, _)| name == part)
            .unwrap_or_else(|| panic!("{key}: no field {part}"));
        if parts.peek().is_none() {
            return comment.clone();
        }
        fields = structs
            .get(kind)
            .unwrap_or_else(|| panic!("{key}: no struct {kind}"));
    }
}

#[test]
fn the_reference_of_settings_is_what_the_program_has() {
    let folder = tempfile::tempdir().unwrap();
    let output = waypost(["config", "show", "-o", "json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let structs = structs();
    let mut page = String::from(
        "# Settings\n\nMade from the program: `WAYPOST_WRITE_DOCS=1 cargo test -p waypost --test it references`.\n\n\
         Layers, each above the one before: defaults, `--config FILE` (TOML), the environment (`WAYPOST__DNS__LISTEN`; with `_FILE` behind it \
         the value is read from a file), flags. `waypost config show` prints each value and where it came from.\n",
    );
    let mut section = "";
    for setting in settings.as_array().unwrap() {
        let key = setting["key"].as_str().unwrap();
        let (of, _) = key.split_once('.').unwrap();
        if of != section {
            section = of;
            write!(
                page,
                "\n## [{section}]\n\n| setting | default | what it is |\n|---|---|---|\n"
            )
            .unwrap();
        }
        let comment = comment_of(&structs, key);
        assert!(!comment.is_empty(), "{key} has no comment");
        let value = match &setting["value"] {
            Value::Null => "not set".to_owned(),
            value => format!("`{value}`"),
        };
        writeln!(page, "| `{key}` | {} | {} |", cell(&value), cell(&comment)).unwrap();
    }
    holds("settings.md", &page);
}

fn help(path: &[String]) -> String {
    let output = waypost(path.iter().map(String::as_str).chain(["--help"]))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The names below `Commands:`.
fn below(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty());
    let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_reference_of_commands_is_what_the_program_has() {
    let mut page = String::from(
        "# Commands\n\nMade from the program: `WAYPOST_WRITE_DOCS=1 cargo test -p waypost --test it references`.\n\n\
         Data goes to standard output, all else to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not there, 4 not well, 5 denied, 6 \
         unreachable, 7 conflict, 8 no answer in time.\n",
    );
    let mut waiting = vec![Vec::new()];
    let mut count = 0;
    while let Some(path) = waiting.pop() {
        let text = help(&path);
        let commands = below(&text);
        for name in commands.iter().rev() {
            waiting.push(path.iter().cloned().chain([name.clone()]).collect());
        }
        // What every command has stands once.
        let own = match path.is_empty() {
            true => text.as_str(),
            false => text.split("\nGlobal options:").next().unwrap(),
        };
        let title = ["waypost".to_owned()]
            .into_iter()
            .chain(path)
            .collect::<Vec<_>>()
            .join(" ");
        write!(page, "\n## {title}\n\n```text\n{}\n```\n", own.trim_end()).unwrap();
        count += 1;
    }
    assert!(count >= 35, "{count} commands");
    holds("commands.md", &page);
}

fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(either) = schema["oneOf"]
        .as_array()
        .or_else(|| schema["anyOf"].as_array())
    {
        return either.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let word = match &schema["type"] {
        Value::String(word) => word.clone(),
        Value::Array(words) => words
            .iter()
            .map(|word| word.as_str().unwrap())
            .collect::<Vec<_>>()
            .join(" or "),
        _ => String::new(),
    };
    if word.starts_with("array") {
        return format!("list of {}", kind(&schema["items"]));
    }
    let values = schema["enum"].as_array().map(|values| {
        values
            .iter()
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", ")
    });
    match (values, schema["const"].as_str()) {
        (Some(values), _) => values,
        (None, Some(value)) => format!("`{value}`"),
        (None, None) => word,
    }
}

fn operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    let summary = operation["summary"].as_str().unwrap();
    write!(
        page,
        "\n### {} {path}\n\n{summary}.\n",
        method.to_uppercase()
    )
    .unwrap();
    let parameters = operation["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !parameters.is_empty() {
        page.push_str("\n| parameter | in | what it is |\n|---|---|---|\n");
        for parameter in parameters {
            let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
            writeln!(
                page,
                "| `{}` | {} | {} |",
                text("name"),
                text("in"),
                cell(&text("description"))
            )
            .unwrap();
        }
    }
    let content = |content: &Value| {
        let content = content.as_object().into_iter().flatten().next();
        content.map(|(kind_of, content)| match kind(&content["schema"]) {
            schema if schema.is_empty() => kind_of.clone(),
            schema => schema,
        })
    };
    if let Some(body) = content(&operation["requestBody"]["content"]) {
        write!(page, "\nBody: {body}.\n").unwrap();
    }
    let answers = operation["responses"].as_object().unwrap();
    let answers: Vec<String> = answers
        .iter()
        .filter(|(status, _)| *status != "default")
        .map(|(status, answer)| match content(&answer["content"]) {
            Some(shape) if status.starts_with('2') => format!("{status} {shape}"),
            _ => status.clone(),
        })
        .collect();
    write!(page, "\nAnswers: {}.\n", answers.join(", ")).unwrap();
}

#[test]
fn the_reference_of_the_api_is_what_the_openapi_document_says() {
    let server = Server::start();
    let document = server.get("/openapi.json").expect(200).json();
    let mut page = String::from(
        "# HTTP API\n\nMade from `/openapi.json`: `WAYPOST_WRITE_DOCS=1 cargo test -p waypost --test it references`. `/docs` shows the same, live.\n\n\
         Errors are problem documents (RFC 9457) with `field`, `value` and `rule`. Once there is a credential, `Authorization: Bearer ...` is needed.\n",
    );
    let mut by_tag: BTreeMap<String, Vec<(&String, &String, &Value)>> = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, said) in methods.as_object().unwrap() {
            let tag = said["tags"][0].as_str().unwrap().to_owned();
            by_tag.entry(tag).or_default().push((method, path, said));
        }
    }
    for (tag, operations) in by_tag {
        write!(page, "\n## {tag}\n").unwrap();
        for (method, path, said) in operations {
            operation(&mut page, method, path, said);
        }
    }
    page.push_str("\n## Shapes\n");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let about = schema["description"].as_str().unwrap_or_default();
        write!(page, "\n### {name}\n\n{about}\n").unwrap();
        if let Some(properties) = schema["properties"].as_object() {
            page.push_str("\n| field | type | what it is |\n|---|---|---|\n");
            for (field, schema) in properties {
                let about = schema["description"].as_str().unwrap_or_default();
                writeln!(
                    page,
                    "| `{field}` | {} | {} |",
                    cell(&kind(schema)),
                    cell(about)
                )
                .unwrap();
            }
        } else {
            write!(page, "\n{}\n", kind(schema)).unwrap();
        }
    }
    holds("api.md", &page);
}

/// The settings that a page tells the defaults of are checked, so that it cannot fall behind.
#[test]
fn the_table_of_bounds_tells_the_defaults() {
    let read = |page: &str| fs::read_to_string(root().join("docs").join(page)).unwrap();
    let settings: BTreeMap<String, String> = read("settings.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`').to_owned();
            Some((name, cells.next()?.trim_matches('`').to_owned()))
        })
        .collect();
    let page = read("operations/secure.md");
    let (_, bounds) = page.split_once("## Bounds").unwrap();
    let mut checked = 0;
    for line in bounds.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let names: Vec<&str> = cells[1]
            .split(", ")
            .map(|name| name.trim_matches('`'))
            .collect();
        let [name] = names[..] else { continue };
        let Some(default) = settings.get(name) else {
            continue;
        };
        if default.parse::<u64>().is_ok() {
            let told: String = cells[2].split([' ', '/']).next().unwrap().replace(',', "");
            let told = match cells[2].contains("MiB") {
                true => (told.parse::<u64>().unwrap() << 20).to_string(),
                false => told.chars().filter(char::is_ascii_digit).collect(),
            };
            assert_eq!(&told, default, "{line}");
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked} bounds were compared");
}
