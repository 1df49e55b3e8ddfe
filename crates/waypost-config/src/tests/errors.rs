use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::*;

fn errors(loader: Loader) -> Vec<ConfigError> {
    loader
        .load::<Config>()
        .unwrap_err()
        .iter()
        .cloned()
        .collect()
}

/// Gives the error's parts with the file's name in place of its path.
fn parts(error: &ConfigError) -> (String, Option<String>, String, String) {
    let origin = match &error.origin {
        Origin::File { line, .. } => format!("file:{line}"),
        other => other.to_string(),
    };
    (
        error.field.clone().unwrap_or_default(),
        error.value.clone(),
        error.rule.clone(),
        origin,
    )
}

fn only(loader: Loader) -> (String, Option<String>, String, String) {
    let errors = errors(loader);
    assert_eq!(errors.len(), 1, "{errors:?}");
    parts(&errors[0])
}

#[track_caller]
fn assert_error(loader: Loader, field: &str, value: Option<&str>, rule: &str, origin: &str) {
    let expected = (
        field.to_owned(),
        value.map(str::to_owned),
        rule.to_owned(),
        origin.to_owned(),
    );
    assert_eq!(only(loader), expected);
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let file = File::of(
        "[http]\nlisten = \"nonsense\"\nbody_limit_bytes = -1\nratoi = 1\n\n\
         [acess]\nx = 1\n\n[tls]\ncertificate = \"c\"\n",
    );
    let pairs = [
        ("WAYPOST__HTTP__WORKERS", "many"),
        ("WAYPOST__HTTP__TRUSTED", "10.0.0.1,x,y"),
    ];
    let loader = file.loader().environment(environment(&pairs)).flag(
        "--compress",
        "http.compress",
        Some("perhaps"),
    );
    let found: Vec<(String, String)> = errors(loader)
        .iter()
        .map(parts)
        .map(|(field, _, _, origin)| (field, origin))
        .collect();
    let expected = [
        ("acess", "file:6"),
        ("http.body_limit_bytes", "file:3"),
        ("http.compress", "--compress"),
        ("http.listen", "file:2"),
        ("http.ratoi", "file:4"),
        ("http.trusted[1]", "WAYPOST__HTTP__TRUSTED"),
        ("http.workers", "WAYPOST__HTTP__WORKERS"),
        ("tls.key", "file:9"),
    ];
    assert_eq!(
        found,
        expected.map(|(field, origin)| (field.to_owned(), origin.to_owned()))
    );
}

#[test]
fn every_wrong_element_of_a_list_in_the_file_is_reported() {
    let file = File::of("[http]\ntrusted = [\n  \"x\",\n  \"10.0.0.1\",\n  5,\n]\n");
    let found: Vec<_> = errors(file.loader()).iter().map(parts).collect();
    let fields: Vec<(&str, &str)> = found.iter().map(|e| (e.0.as_str(), e.3.as_str())).collect();
    assert_eq!(
        fields,
        [("http.trusted[0]", "file:3"), ("http.trusted[2]", "file:5")]
    );
}

#[test]
fn an_unknown_key_of_the_file_is_an_error_with_its_line() {
    let file = File::of("# a comment\n[http]\n\nlissten = \"127.0.0.1:1\"\n");
    let rule = "is not a setting; did you mean http.listen?";
    assert_error(file.loader(), "http.lissten", None, rule, "file:4");
    let file = File::of("[http]\nzzz = 1\n");
    assert_error(
        file.loader(),
        "http.zzz",
        None,
        "is not a setting",
        "file:2",
    );
    let file = File::of("[httpp]\nlisten = \"127.0.0.1:1\"\n");
    let rule = "is not a setting; did you mean http?";
    assert_error(file.loader(), "httpp", None, rule, "file:1");
}

#[test]
fn an_unknown_variable_or_flag_is_an_error() {
    let rule = "is not a setting; did you mean http.listen?";
    let loader = from_environment(&[("WAYPOST__HTTP__LISTN", "x")]);
    assert_error(loader, "http.listn", None, rule, "WAYPOST__HTTP__LISTN");
    let loader = from_environment(&[("WAYPOST__DNS__LISTEN", "x")]);
    assert_error(
        loader,
        "dns",
        None,
        "is not a setting",
        "WAYPOST__DNS__LISTEN",
    );
    let loader = Loader::new().flag("--listn", "http.listn", Some("x"));
    assert_error(loader, "http.listn", None, rule, "--listn");
}

#[test]
fn a_wrong_type_names_the_value_the_rule_and_the_origin() {
    let table = [
        ("listen = 5", "listen", "5", "must be text in quotes"),
        (
            "listen = \"localhost\"",
            "listen",
            "\"localhost\"",
            "must be an IP address and a port, such as 127.0.0.1:3004",
        ),
        (
            "workers = 65536",
            "workers",
            "65536",
            "must be a whole number from 0 to 65535",
        ),
        (
            "workers = \"8\"",
            "workers",
            "\"8\"",
            "must be a whole number from 0 to 65535",
        ),
        ("ratio = \"half\"", "ratio", "\"half\"", "must be a number"),
        ("ratio = inf", "ratio", "inf", "must be a number"),
        ("compress = 1", "compress", "1", "must be true or false"),
        (
            "trusted = \"10.0.0.1\"",
            "trusted",
            "\"10.0.0.1\"",
            "must be a list",
        ),
        (
            "store = \"redis\"",
            "store",
            "\"redis\"",
            "must be one of sqlite, memory",
        ),
        ("trusted = 1", "trusted", "1", "must be a list"),
    ];
    for (line, field, value, rule) in table {
        let file = File::of(&format!("[http]\n{line}\n"));
        assert_error(
            file.loader(),
            &format!("http.{field}"),
            Some(value),
            rule,
            "file:2",
        );
    }
}

#[test]
fn a_value_where_a_section_belongs_is_an_error_that_no_higher_layer_hides() {
    let file = File::of("http = 5\n");
    let pairs = [("WAYPOST__HTTP__WORKERS", "4")];
    let rule = "is a section and needs a table, such as { field = 1 }";
    let loader = file.loader().environment(environment(&pairs));
    assert_error(loader, "http", None, rule, "file:1");
}

#[test]
fn every_syntax_error_of_the_file_is_reported_with_its_line() {
    let file = File::of("[http]\nworkers = = 3\nratio = 1\ncompress = tru\n");
    let lines: Vec<String> = errors(file.loader())
        .iter()
        .map(|error| parts(error).3)
        .collect();
    assert!(lines.contains(&"file:2".to_owned()), "{lines:?}");
    assert!(lines.contains(&"file:4".to_owned()), "{lines:?}");
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let path = PathBuf::from("/nowhere/waypost.toml");
    let error = &errors(Loader::new().file(Some(path)))[0];
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/waypost.toml: the file cannot be opened: ")
    );
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let file = File::of(&"# padding\n".repeat(110_000));
    let error = &errors(file.loader())[0];
    assert_eq!(error.rule, "the file has more than 1024 KiB");
}

#[test]
fn a_variable_of_ours_that_is_not_utf8_is_an_error() {
    let pair = (
        OsString::from("WAYPOST__HTTP__LISTEN"),
        OsString::from_vec(vec![0xff]),
    );
    let loader = Loader::new().environment([pair].into_iter().collect());
    assert_error(
        loader,
        "http.listen",
        None,
        "the value is not UTF-8",
        "WAYPOST__HTTP__LISTEN",
    );
}

#[test]
fn two_variables_for_one_setting_are_an_error() {
    let file = File::of("");
    let path = file.path().display().to_string();
    let loader = from_environment(&[
        ("WAYPOST__ACCESS__SHARED_SECRET", "a"),
        ("WAYPOST__ACCESS__SHARED_SECRET_FILE", &path),
    ]);
    std::fs::write(file.path(), "b").unwrap();
    let (field, _, rule, _) = only(loader);
    assert_eq!(field, "access.shared_secret");
    assert_eq!(rule, "is set by two variables; keep one of them");
}

#[test]
fn a_rule_between_settings_is_reported_with_the_same_parts() {
    let loaded = load(from_environment(&[("WAYPOST__HTTP__LISTEN", "0.0.0.0:80")]));
    let error = loaded.error("http.listen", "needs a credential in access");
    assert_eq!(
        error.to_string(),
        "http.listen = \"0.0.0.0:80\" (WAYPOST__HTTP__LISTEN): needs a credential in access"
    );
    assert!(ConfigErrors::of(Vec::new()).is_none());
    assert_eq!(ConfigErrors::of(vec![error]).unwrap().iter().count(), 1);
}
