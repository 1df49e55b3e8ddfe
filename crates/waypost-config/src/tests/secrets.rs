use super::*;

const TEXT: &str = "hunter2-hunter2";

fn assert_hidden(shown: &str) {
    assert!(!shown.contains(TEXT), "{shown}");
}

#[test]
fn a_secret_is_shown_only_when_it_is_exposed() {
    let secret = Secret::new(TEXT);
    assert_eq!(
        format!("{secret} {secret:?} {:?}", Some(&secret)),
        "*** *** Some(***)"
    );
    assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
    assert_eq!(secret.expose(), TEXT);
}

#[test]
fn a_secret_is_never_in_what_is_shown_of_the_settings() {
    let file = File::of(&format!(
        "[[access.tokens]]\nname = \"ci\"\nsecret = \"{TEXT}\"\n"
    ));
    let pairs = [("WAYPOST__ACCESS__SHARED_SECRET", TEXT)];
    let loaded = load(file.loader().environment(environment(&pairs)));
    assert_eq!(
        loaded.value.access.shared_secret.as_ref().unwrap().expose(),
        TEXT
    );
    assert_eq!(loaded.value.access.tokens[0].secret.expose(), TEXT);
    let shown = [
        loaded.show(Format::Table),
        loaded.show(Format::Json),
        format!("{loaded:?}"),
        loaded
            .error("access.shared_secret", "is too short")
            .to_string(),
    ];
    for text in shown {
        assert_hidden(&text);
        assert!(text.contains("***"), "{text}");
    }
    assert_hidden(&format!("{:?}", from_environment(&pairs)));
}

#[test]
fn what_differs_is_listed_by_name_with_secrets_and_without_origins() {
    let file = |secret: &str, rest: &str| {
        File::of(&format!(
            "[[access.tokens]]\nname = \"ci\"\nsecret = \"{secret}\"\n[http]\n{rest}\n"
        ))
    };
    let pairs = [("WAYPOST__ACCESS__SHARED_SECRET", TEXT)];
    let old = file(TEXT, "workers = 3\nratio = 2");
    let old = load(old.loader().environment(environment(&pairs)));
    let same = file(TEXT, "ratio = 2");
    let mut with_workers = pairs.to_vec();
    with_workers.push(("WAYPOST__HTTP__WORKERS", "3"));
    let same = load(same.loader().environment(environment(&with_workers)));
    assert_eq!(old.differences(&same), [] as [&str; 0]);
    let new = load(file("another", "workers = 4").loader());
    let expected = [
        "access.shared_secret",
        "access.tokens[0].secret",
        "http.ratio",
        "http.workers",
    ];
    assert_eq!(old.differences(&new), expected);
    assert_eq!(new.differences(&old), expected);
}

#[test]
fn a_secret_type_of_another_crate_is_hidden_by_its_name() {
    #[derive(Serialize, Deserialize)]
    struct Secret(String);
    #[derive(Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Open {
        token: Option<Secret>,
        tokens: Vec<Secret>,
    }
    let pairs = [("WAYPOST__TOKEN", TEXT), ("WAYPOST__TOKENS", TEXT)];
    let loaded: Loaded<Open> = from_environment(&pairs).load().unwrap();
    assert_eq!(loaded.value.token.as_ref().unwrap().0, TEXT);
    assert_hidden(&loaded.show(Format::Json));
    assert_hidden(&loaded.show(Format::Table));
}

#[test]
fn no_error_repeats_a_secret() {
    let files = [
        format!("[access]\nshared_secret = [\"{TEXT}\"]\n"),
        format!("[access]\nshared_secrte = \"{TEXT}\"\n"),
        format!("[access]\nshared_secret = {{ value = \"{TEXT}\" }}\n"),
        format!("access = \"{TEXT}\"\n"),
        format!("[[access.tokens]]\nsecret = \"{TEXT}\"\n"),
        format!("[access]\nshared_secret = \"{TEXT}\n"),
        format!("[access]\nshared_secret = {TEXT}\n"),
    ];
    for text in files {
        let errors = File::of(&text).loader().load::<Config>().unwrap_err();
        assert_hidden(&errors.to_string());
        assert_hidden(&format!("{errors:?}"));
    }
    let number = File::of("[access]\nshared_secret = 8675309\n");
    let errors = number.loader().load::<Config>().unwrap_err().to_string();
    assert!(errors.contains("access.shared_secret = ***"), "{errors}");
    let broken = format!("{{ shared_secret = \"{TEXT}\"");
    let errors = from_environment(&[("WAYPOST__ACCESS", &broken)])
        .load::<Config>()
        .unwrap_err();
    assert_hidden(&errors.to_string());
}

#[test]
fn an_empty_secret_is_refused() {
    let file = File::of("[access]\nshared_secret = \"\"\n");
    let errors = file.loader().load::<Config>().unwrap_err().to_string();
    assert!(errors.contains("access.shared_secret = ***"), "{errors}");
    assert!(errors.ends_with(": must not be empty"), "{errors}");
}

#[test]
fn a_secret_with_a_default_is_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Shipped {
        token: Secret,
    }
    impl Default for Shipped {
        fn default() -> Self {
            Self {
                token: Secret::new(TEXT),
            }
        }
    }
    let errors = Loader::new().load::<Shipped>().unwrap_err().to_string();
    assert!(errors.contains("token (default): has a default, which no secret may have"));
    let given: Loaded<Shipped> = from_environment(&[("WAYPOST__TOKEN", "other")])
        .load()
        .unwrap();
    assert_eq!(given.value.token.expose(), "other");
}

#[test]
fn a_value_may_come_from_a_file_that_a_variable_names() {
    let file = File::of(&format!("\n  {TEXT}\n"));
    let path = file.path().display().to_string();
    let loaded = load(from_environment(&[(
        "WAYPOST__ACCESS__SHARED_SECRET_FILE",
        &path,
    )]));
    assert_eq!(
        loaded.value.access.shared_secret.as_ref().unwrap().expose(),
        TEXT
    );
    let origin = loaded.origin("access.shared_secret").to_string();
    assert_eq!(
        origin,
        format!("WAYPOST__ACCESS__SHARED_SECRET_FILE ({path})")
    );
    assert_hidden(&loaded.show(Format::Json));
}

#[test]
fn a_setting_whose_own_name_ends_with_file_takes_the_path_itself() {
    let loaded = load(from_environment(&[("WAYPOST__HTTP__KEY_FILE", "/run/key")]));
    assert_eq!(loaded.value.http.key_file, Some("/run/key".into()));
}

#[test]
fn a_value_file_that_is_missing_or_empty_is_an_error() {
    let rule = |path: &str| {
        let loader = from_environment(&[("WAYPOST__ACCESS__SHARED_SECRET_FILE", path)]);
        loader.load::<Config>().unwrap_err().to_string()
    };
    assert!(rule("/nowhere/secret").contains("the file cannot be opened"));
    let file = File::of(" \n");
    assert!(rule(&file.path().display().to_string()).ends_with("the file is empty"));
}
