use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_http};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue};

use super::*;
use crate::Secret;

mod mutated;

/// 2015-08-30T12:36:00Z, when every vector was signed.
const THEN: u64 = 1_440_938_160;
const SERVICE: &str = "servicediscovery";

/// A request with everything that a signature is made of.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sent {
    fn check(&self, service: &str, secret: Option<&KeySecret>, now: u64) -> Result<(), SigV4Error> {
        let request = SignedRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        };
        let now = Timestamp(now * 1_000);
        Claim::read(&self.headers)?.verify(
            &request,
            (service, secret),
            now,
            &SigningKeys::default(),
        )
    }

    fn put(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
    }

    fn authorization(&self) -> String {
        let value = self.headers.get("authorization").unwrap();
        value.to_str().unwrap().to_owned()
    }
}

fn secret() -> KeySecret {
    KeySecret {
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: None,
    }
}

/// Signs as AWS's own crate does, with the headers that boto3 signs.
fn signed() -> Sent {
    let mut sent = Sent {
        method: "POST".to_owned(),
        path: "/some/path".to_owned(),
        query: "b=2&a=1%2F".to_owned(),
        headers: HeaderMap::new(),
        body: br#"{"Id":"ns-1"}"#.to_vec(),
    };
    sent.put("host", "127.0.0.1:3004");
    sent.put("content-type", "application/x-amz-json-1.1");
    sent.put("x-amz-target", "Route53AutoNaming_v20170314.GetNamespace");
    let key = secret();
    let identity = Credentials::new("AKIDEXAMPLE", key.secret.expose(), None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(SERVICE)
        .time(UNIX_EPOCH + Duration::from_secs(THEN))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = sent.headers.clone();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let uri = format!("http://127.0.0.1:3004{}?{}", sent.path, sent.query);
    let body = sent.body.clone();
    let request = SignableRequest::new("POST", uri, headers, SignableBody::Bytes(&body)).unwrap();
    let (instructions, _) = sign_http(request, &params).unwrap().into_parts();
    let (added, _) = instructions.into_parts();
    for header in added {
        sent.put(header.name(), header.value());
    }
    sent
}

fn refused(sent: &Sent) -> &'static str {
    let key = secret();
    match sent.check(SERVICE, Some(&key), THEN) {
        Ok(()) => "accepted",
        Err(error) => error.code(),
    }
}

#[test]
fn what_awss_own_signer_signs_is_accepted() {
    assert_eq!(refused(&signed()), "accepted");
}

#[test]
fn one_bit_of_any_signed_part_is_noticed() {
    let flip = |text: &str, at: usize| -> String {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).unwrap()
    };
    let good = signed();
    let mismatch = "InvalidSignatureException";
    let changed = |change: &dyn Fn(&mut Sent)| {
        let mut sent = good.clone();
        change(&mut sent);
        refused(&sent)
    };
    assert_eq!(changed(&|sent| sent.method = "GET".to_owned()), mismatch);
    assert_eq!(changed(&|sent| sent.path = flip(&sent.path, 1)), mismatch);
    assert_eq!(changed(&|sent| sent.query = flip(&sent.query, 0)), mismatch);
    assert_eq!(changed(&|sent| sent.body[3] ^= 1), mismatch);
    for name in ["host", "content-type", "x-amz-target"] {
        let value = good.headers.get(name).unwrap().to_str().unwrap();
        let other = flip(value, value.len() - 1);
        assert_eq!(changed(&|sent| sent.put(name, &other)), mismatch, "{name}");
    }
    assert_eq!(
        changed(&|sent| sent.put("x-amz-date", "20150830T123601Z")),
        mismatch
    );
    let authorization = good.authorization();
    for (from, to) in [
        ("AKIDEXAMPLE", "AKIDEXAMPLF"),
        ("20150830/", "20150831/"),
        ("eu-west-1", "eu-west-2"),
        ("/servicediscovery/", "/servicediscoverx/"),
        (";x-amz-target", ""),
    ] {
        assert!(authorization.contains(from), "{authorization}");
        let other = authorization.replace(from, to);
        // The key's name itself is no part of what is signed: its secret is.
        let code = changed(&|sent| sent.put("authorization", &other));
        let expected = if from == "AKIDEXAMPLE" {
            "accepted"
        } else {
            mismatch
        };
        assert_eq!(code, expected, "{from}");
    }
    let last = authorization.len() - 1;
    let other = flip(&authorization, last);
    assert_eq!(changed(&|sent| sent.put("authorization", &other)), mismatch);
    let wrong = KeySecret {
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEZ"),
        session_token: None,
    };
    let outcome = good.check(SERVICE, Some(&wrong), THEN);
    assert_eq!(outcome, Err(SigV4Error::Mismatch));
    assert_eq!(good.check(SERVICE, None, THEN), Err(SigV4Error::Unknown));
}

#[test]
fn what_is_sent_beside_the_signature_must_be_signed() {
    let mut more = signed();
    more.put("x-amz-other", "1");
    assert_eq!(refused(&more), "InvalidSignatureException");
    let mut hash = signed();
    hash.put("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(refused(&hash), "InvalidSignatureException");
    let mut session = signed();
    session.put("x-amz-security-token", "token");
    assert_eq!(refused(&session), "InvalidSignatureException");
    // Headers that proxies and tools add are none of the signer's.
    let mut user_agent = signed();
    user_agent.put("user-agent", "test");
    assert_eq!(refused(&user_agent), "accepted");
}

/// Signs anew, and rightly, with a scope of one's own and every header that is there.
fn signed_again(mut sent: Sent, day: &str, service: &str) -> Sent {
    let mut claim = Claim::read(&sent.headers).unwrap();
    sent.headers.remove("authorization");
    claim.signed = sent.headers.keys().map(ToString::to_string).collect();
    claim.signed.sort();
    let request = SignedRequest {
        method: &sent.method,
        path: &sent.path,
        query: &sent.query,
        headers: &sent.headers,
        body: &sent.body,
    };
    let canonical = claim.canonical(&request, &hex(&Sha256::digest(&sent.body)));
    let (iso, region) = (to_iso(THEN), claim.region.as_str());
    let scope = format!("{day}/{region}/{service}/{TERMINATOR}");
    let canonical = hex(&Sha256::digest(canonical));
    let secret = secret();
    let owner = (claim.key_id.as_str(), secret.secret.expose());
    let key = SigningKeys::default().of(owner, (day, region, service));
    let to_sign = format!("{ALGORITHM}\n{iso}\n{scope}\n{canonical}");
    let signature = hex(&sign(&key, to_sign.as_bytes()));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        claim.key_id,
        claim.signed.join(";")
    );
    sent.put("authorization", &authorization);
    sent
}

#[test]
fn a_signature_that_is_right_for_something_else_is_refused_with_its_reason() {
    let outcome = |sent: Sent, day: &str, service: &str| {
        let key = secret();
        let outcome = signed_again(sent, day, service).check(SERVICE, Some(&key), THEN);
        outcome.map_err(|error| (error.code(), error.to_string()))
    };
    assert_eq!(outcome(signed(), "20150830", SERVICE), Ok(()));
    let refused = |outcome: Result<(), (&str, String)>, words: &str| {
        let (code, said) = outcome.unwrap_err();
        assert_eq!(code, "InvalidSignatureException");
        assert!(said.contains(words), "{said}");
    };
    let words = "should be scoped to correct service: 'servicediscovery'";
    refused(outcome(signed(), "20150830", "s3"), words);
    let words = "'20150829' != '20150830', from '20150830T123600Z'";
    refused(outcome(signed(), "20150829", SERVICE), words);
    for content in ["UNSIGNED-PAYLOAD", &"0".repeat(64)] {
        let mut sent = signed();
        sent.put("x-amz-content-sha256", content);
        let words = "is not the SHA-256 of the body";
        refused(outcome(sent, "20150830", SERVICE), words);
    }
    let mut sent = signed();
    let content = hex(&Sha256::digest(&sent.body));
    sent.put("x-amz-content-sha256", &content);
    assert_eq!(outcome(sent, "20150830", SERVICE), Ok(()));
}

#[test]
fn temporary_credentials_need_their_session_token_and_others_none() {
    let temporary = KeySecret {
        session_token: Some(Secret::new("token")),
        ..secret()
    };
    let outcome = |token: Option<&str>, key: &KeySecret| {
        let mut sent = signed();
        if let Some(token) = token {
            sent.put("x-amz-security-token", token);
        }
        signed_again(sent, "20150830", SERVICE).check(SERVICE, Some(key), THEN)
    };
    assert_eq!(outcome(Some("token"), &temporary), Ok(()));
    assert_eq!(outcome(None, &secret()), Ok(()));
    for (token, key) in [
        (Some("tokem"), &temporary),
        (None, &temporary),
        (Some("token"), &secret()),
    ] {
        assert_eq!(outcome(token, key), Err(SigV4Error::Unknown), "{token:?}");
    }
}

#[test]
fn fifteen_minutes_of_skew_are_allowed_in_both_directions() {
    let key = secret();
    let at = |now: u64| signed().check(SERVICE, Some(&key), now);
    assert_eq!(at(THEN + 900), Ok(()));
    assert_eq!(at(THEN - 900), Ok(()));
    let late = at(THEN + 901).unwrap_err().to_string();
    assert_eq!(
        late,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
    );
    let early = at(THEN - 901).unwrap_err().to_string();
    assert_eq!(
        early,
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T122059Z + 15 min.)"
    );
}

#[test]
fn headers_that_lack_something_are_told_what() {
    let good = signed();
    let whole = good.authorization();
    let with = |authorization: &str| {
        let mut sent = good.clone();
        sent.put("authorization", authorization);
        sent
    };
    let mut none = good.clone();
    none.headers.remove("authorization");
    assert_eq!(refused(&none), "MissingAuthenticationTokenException");
    for other in ["Bearer token", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512 a"] {
        assert_eq!(
            refused(&with(other)),
            "MissingAuthenticationTokenException",
            "{other}"
        );
    }
    for part in ["Credential", "SignedHeaders", "Signature"] {
        let other = whole.replace(&format!("{part}="), "Other=");
        let error = with(&other)
            .check(SERVICE, Some(&secret()), THEN)
            .unwrap_err();
        assert_eq!(error.code(), "IncompleteSignatureException");
        let said = error.to_string();
        assert!(
            said.contains(&format!("requires '{part}' parameter")),
            "{said}"
        );
    }
    for (from, to) in [
        ("/aws4_request", "/aws5_request"),
        ("AKIDEXAMPLE/", ""),
        ("content-type;host", "host;content-type"),
        ("content-type;host", "content-type;content-type;host"),
        ("content-type;host", "Content-Type;host"),
        ("Signature=", "Signature=a, Signature="),
    ] {
        let other = whole.replace(from, to);
        assert_ne!(other, whole);
        assert_eq!(
            refused(&with(&other)),
            "IncompleteSignatureException",
            "{from}"
        );
    }
    let long = format!("{whole}, Other={}", "a".repeat(9_000));
    assert_eq!(refused(&with(&long)), "IncompleteSignatureException");
    let mut undated = good.clone();
    undated.headers.remove("x-amz-date");
    assert_eq!(refused(&undated), "IncompleteSignatureException");
    let mut odd = good;
    odd.put("x-amz-date", "2015-08-30T12:36:00Z");
    assert_eq!(refused(&odd), "IncompleteSignatureException");
}

#[test]
fn times_are_read_as_they_are_written() {
    for seconds in [
        0,
        951_782_399,
        951_782_400,
        THEN,
        4_107_542_399,
        4_107_542_400,
    ] {
        assert_eq!(from_iso(&to_iso(seconds)), Some(seconds));
    }
    assert_eq!(to_iso(THEN), "20150830T123600Z");
    assert_eq!(from_http_date("Sun, 30 Aug 2015 12:36:00 GMT"), Some(THEN));
    for wrong in [
        "20150230T000000Z",
        "20150830T240000Z",
        "20151301T000000Z",
        "2015+830T123600Z",
    ] {
        assert_eq!(from_iso(wrong), None, "{wrong}");
    }
}

#[test]
fn the_official_vectors_are_accepted() {
    let mut count = 0;
    for folder in fs::read_dir(vectors()).unwrap() {
        let folder = folder.unwrap().path();
        // Two of the folders are no official vectors, but examples of the crate's own.
        if !folder.join("context.json").exists() {
            continue;
        }
        let context: serde_json::Value =
            serde_json::from_str(&read(&folder, "context.json")).unwrap();
        // Paths that are not normalised are for S3.
        if context["normalize"] != true {
            continue;
        }
        let sent = parse(&read(&folder, "header-signed-request.txt"));
        let credentials = &context["credentials"];
        let session = credentials["token"].as_str();
        let is_sent = context["omit_session_token"] != true;
        let key = KeySecret {
            secret: Secret::new(credentials["secret_access_key"].as_str().unwrap()),
            session_token: session.filter(|_| is_sent).map(Secret::new),
        };
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let outcome = sent.check("service", Some(&key), THEN);
        // Its session token is added after signing: what is sent as x-amz-* must be signed here.
        let expected = match name.as_str() {
            "post-sts-header-after" => Err(SigV4Error::unsigned("x-amz-security-token")),
            _ => Ok(()),
        };
        assert_eq!(outcome, expected, "{name}");
        count += 1;
    }
    assert!(count >= 30, "only {count} vectors were found");
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Asks cargo where the crate that ships the vectors is.
fn vectors() -> PathBuf {
    // Crates of other systems need not be there.
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(["--filter-platform", host.unwrap()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|package| package["name"] == "aws-sigv4");
    let manifest = package.unwrap()["manifest_path"].as_str().unwrap();
    Path::new(manifest).with_file_name("aws-signing-test-suite/v4")
}

/// Reads a request as the vectors write it.
fn parse(text: &str) -> Sent {
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let (method, rest) = first.split_once(' ').unwrap();
    let (target, _) = rest.rsplit_once(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut sent = Sent {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with(' '), headers.last_mut()) {
            (true, Some((_, value))) => value.push_str(line),
            _ => {
                let (name, value) = line.split_once(':').unwrap();
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
        }
    }
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        sent.headers.append(name, value);
    }
    sent
}
