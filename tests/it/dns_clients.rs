//! Programs that nobody here wrote ask Waypost's DNS: resolvers that forward to it, proxies that balance by it, the C
//! library, and Python.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::server::{Server, Setup, eventually, eventually_within};
use crate::skips::{peer, skipped};

/// Programs start slowly on a busy machine, and follow changes at their own pace.
const PATIENCE: Duration = Duration::from_secs(30);
const SERVICE: &str = "/v1/namespaces/svc.internal/services/web";

/// A web server of one word, on a port of its own or one that is given.
struct Backend(SocketAddr);

impl Backend {
    fn start(address: Ipv4Addr, port: u16, word: &'static str) -> Self {
        let listener = TcpListener::bind((address, port)).unwrap();
        let at = listener.local_addr().unwrap();
        // The thread ends with the process: nothing else of the test needs its port.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut asked = [0; 4_096];
                drop(stream.read(&mut asked));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{word}",
                    word.len()
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self(at)
    }
}

/// A program in a folder of its own, ended when it is dropped.
struct Program {
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts a program in the foreground; `arguments` may name the folder as `{}`.
    fn start(path: &Path, arguments: &[&str], files: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content.replace("{here}", here)).unwrap();
        }
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(path)
            .args(arguments.iter().map(|word| word.replace("{here}", here)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Polls until there is something, and tells what the program said when there is not.
    fn until<T>(&mut self, description: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let log = self.folder.path().join("log");
        eventually_within(PATIENCE, description, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                panic!("it ended with {status}:\n{said}");
            }
            look()
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the program said:\n{}", self.log());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Finds a port that is free now. The answers show whether it is still ours: nobody else knows the names.
fn free_port() -> u16 {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    // A port of both kinds, since DNS servers want both.
    match UdpSocket::bind(("127.0.0.1", port)) {
        Ok(_) => port,
        Err(_) => free_port(),
    }
}

/// Gives the path of a peer, or notes that the test cannot run.
fn wanted(test: &str, variables: &[&str]) -> Option<Vec<PathBuf>> {
    let found: Result<Vec<PathBuf>, String> =
        variables.iter().map(|variable| peer(variable)).collect();
    match found {
        Ok(paths) => Some(paths),
        Err(why) => {
            skipped(&format!("dns_clients::{test}"), &why);
            None
        }
    }
}

fn register(server: &Server, id: &str, address: &str, port: u16) {
    let body = json!({ "address": address, "port": port });
    let path = format!("{SERVICE}/instances/{id}");
    let answer = server.put(&path, &body);
    assert!(answer.status < 300, "{}", answer.status);
}

fn deregister(server: &Server, id: &str) {
    server
        .delete(&format!("{SERVICE}/instances/{id}"))
        .expect(204);
}

/// A server whose service `web` may be kept for a second only.
fn server() -> Server {
    let server = Setup::new().start();
    let records = ["A", "AAAA", "SRV"].map(|kind| json!({ "type": kind, "ttl_seconds": 1 }));
    let settings = json!({ "dns": { "routing": "Multivalue", "records": records } });
    server.put(SERVICE, &settings).expect(201);
    server
}

fn exported(server: &Server, resolver: &str) -> String {
    let output = server.cli(&["export", resolver]);
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn asked(dig: &Path, port: u16, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(dig)
        .args(["@127.0.0.1", "-p", &port.to_string()])
        .args(["+short", "+tries=1", "+time=2"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Asks a forwarding resolver, then takes an instance out and sees that it follows.
fn follows(server: &Server, resolver: &mut Program, dig: &Path, port: u16) {
    resolver.until("both addresses are answered", || {
        (asked(dig, port, &["web.svc.internal"]) == ["127.0.0.1", "127.0.0.2"]).then_some(())
    });
    let srv = asked(dig, port, &["_web._tcp.svc.internal", "SRV"]);
    assert_eq!(
        srv,
        [
            "1 1 8080 a.web.svc.internal.",
            "1 1 8080 b.web.svc.internal."
        ]
    );
    assert!(asked(dig, port, &["nobody.svc.internal"]).is_empty());
    deregister(server, "a");
    resolver.until("the address leaves when its time is over", || {
        (asked(dig, port, &["web.svc.internal"]) == ["127.0.0.2"]).then_some(())
    });
    register(server, "a", "127.0.0.3", 8080);
    resolver.until("a new address comes", || {
        (asked(dig, port, &["web.svc.internal"]) == ["127.0.0.2", "127.0.0.3"]).then_some(())
    });
}

#[test]
fn unbound_asks_waypost_with_the_configuration_that_is_exported() {
    let name = "unbound_asks_waypost_with_the_configuration_that_is_exported";
    let Some(paths) = wanted(name, &["WAYPOST_PEER_UNBOUND", "WAYPOST_PEER_DIG"]) else {
        return;
    };
    let server = server();
    register(&server, "a", "127.0.0.1", 8080);
    register(&server, "b", "127.0.0.2", 8080);
    let port = free_port();
    let own = format!(
        "server:\n  interface: 127.0.0.1@{port}\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  \
         directory: \"{{here}}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  do-ip6: no\n  \
         module-config: \"iterator\"\nremote-control:\n  control-enable: no\n"
    );
    let config = own + &exported(&server, "unbound");
    let files = [("unbound.conf", config)];
    let mut unbound = Program::start(&paths[0], &["-d", "-c", "{here}/unbound.conf"], &files);
    follows(&server, &mut unbound, &paths[1], port);
}

#[test]
fn dnsmasq_asks_waypost_with_the_configuration_that_is_exported() {
    let name = "dnsmasq_asks_waypost_with_the_configuration_that_is_exported";
    let Some(paths) = wanted(name, &["WAYPOST_PEER_DNSMASQ", "WAYPOST_PEER_DIG"]) else {
        return;
    };
    let server = server();
    register(&server, "a", "127.0.0.1", 8080);
    register(&server, "b", "127.0.0.2", 8080);
    let port = free_port();
    let user = Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(user.stdout).unwrap();
    let own = format!(
        "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser={}\npid-file={{here}}/pid\n",
        user.trim()
    );
    let files = [("dnsmasq.conf", own + &exported(&server, "dnsmasq"))];
    let mut dnsmasq = Program::start(&paths[0], &["-k", "-C", "{here}/dnsmasq.conf"], &files);
    follows(&server, &mut dnsmasq, &paths[1], port);
}

/// Asks a web server on a connection of its own.
fn fetched(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

/// Says which words come in several requests.
fn words(port: u16) -> Vec<String> {
    let mut words: Vec<String> = (0..8).filter_map(|_| fetched(port)).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn haproxy_balances_over_what_srv_records_say_and_follows_them() {
    let name = "haproxy_balances_over_what_srv_records_say_and_follows_them";
    let Some(paths) = wanted(name, &["WAYPOST_PEER_HAPROXY"]) else {
        return;
    };
    let server = server();
    let one = Backend::start(Ipv4Addr::LOCALHOST, 0, "one");
    let two = Backend::start(Ipv4Addr::LOCALHOST, 0, "two");
    register(&server, "a", "127.0.0.1", one.0.port());
    let port = free_port();
    let config = format!(
        "defaults\n  mode http\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n\
         resolvers waypost\n  nameserver w {}\n  accepted_payload_size 1232\n  timeout resolve 1s\n  timeout retry 1s\n  \
         hold valid 1s\n  hold obsolete 1s\n  hold nx 1s\n\
         frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n\
         backend b\n  balance roundrobin\n  \
         server-template web 3 _web._tcp.svc.internal resolvers waypost resolve-prefer ipv4 init-addr none\n",
        server.dns()
    );
    let files = [("haproxy.cfg", config)];
    let mut haproxy = Program::start(&paths[0], &["-db", "-f", "{here}/haproxy.cfg"], &files);
    haproxy.until("the instance is found", || {
        (words(port) == ["one"]).then_some(())
    });
    register(&server, "b", "127.0.0.1", two.0.port());
    haproxy.until("the second instance is found", || {
        (words(port) == ["one", "two"]).then_some(())
    });
    let mode = format!("{SERVICE}/instances/a/mode");
    let drain = json!({ "mode": "Draining", "reason": "test" });
    server.put(&mode, &drain).expect(200);
    haproxy.until("who drains gets nothing any more", || {
        (words(port) == ["two"]).then_some(())
    });
}

#[test]
fn nginx_follows_a_name_to_another_address() {
    let name = "nginx_follows_a_name_to_another_address";
    let Some(paths) = wanted(name, &["WAYPOST_PEER_NGINX"]) else {
        return;
    };
    let server = server();
    let one = Backend::start(Ipv4Addr::new(127, 0, 0, 4), 0, "one");
    let _two = Backend::start(Ipv4Addr::new(127, 0, 0, 5), one.0.port(), "two");
    register(&server, "a", "127.0.0.4", one.0.port());
    let port = free_port();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {{here}}/{kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {{here}}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}  \
         server {{\n    listen 127.0.0.1:{port};\n    resolver {} valid=1s ipv6=off;\n    location / {{\n      \
         set $upstream http://web.svc.internal:{};\n      proxy_pass $upstream;\n    }}\n  }}\n}}\n",
        server.dns(),
        one.0.port()
    );
    let files = [("nginx.conf", config)];
    let arguments = ["-p", "{here}", "-c", "{here}/nginx.conf"];
    let mut nginx = Program::start(&paths[0], &arguments, &files);
    nginx.until("the instance is found by its name", || {
        (fetched(port).as_deref() == Some("one")).then_some(())
    });
    register(&server, "a", "127.0.0.5", one.0.port());
    nginx.until("the name leads to the other address", || {
        (fetched(port).as_deref() == Some("two")).then_some(())
    });
}

const DNSPYTHON: &str = r#"
import sys
import dns.flags, dns.message, dns.query, dns.rdatatype, dns.resolver, dns.reversename

host, port = sys.argv[1], int(sys.argv[2])
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [host], port


def texts(name, kind, **more):
    return sorted(record.to_text() for record in resolver.resolve(name, kind, **more))


assert texts("web.svc.internal", "A") == ["127.0.0.1", "127.0.0.2"]
assert texts("web.svc.internal", "A", tcp=True) == ["127.0.0.1", "127.0.0.2"]
assert texts("web.svc.internal", "AAAA") == ["::1"]
targets = texts("_web._tcp.svc.internal", "SRV")
assert targets == ["1 1 8080 %s.web.svc.internal." % id for id in ("a", "b", "c")], targets
assert texts("a.web.svc.internal", "TXT") == ['"version=7"']
assert texts(dns.reversename.from_address("127.0.0.2"), "PTR") == ["b.web.svc.internal."]
assert texts("svc.internal", "NS") == ["waypost-ns.svc.internal."]

query = dns.message.make_query("_web._tcp.svc.internal", "SRV", use_edns=0, payload=1232)
reply = dns.query.udp(query, host, port=port, timeout=10)
glue = {(r.name.to_text(), rr.to_text()) for r in reply.additional for rr in r}
assert ("b.web.svc.internal.", "127.0.0.2") in glue, glue
assert reply.edns == 0 and reply.flags & dns.flags.AA

many = dns.message.make_query("many.svc.internal", "A", use_edns=0, payload=512)
cut = dns.query.udp(many, host, port=port, timeout=10)
assert cut.flags & dns.flags.TC and 0 < len(cut.answer[0]) < 100
whole, over_tcp = dns.query.udp_with_fallback(many, host, port=port, timeout=10)
assert over_tcp and len(whole.answer[0]) == 100

for name, error in (("nobody.svc.internal", dns.resolver.NXDOMAIN), ("b.web.svc.internal", dns.resolver.NoAnswer)):
    try:
        resolver.resolve(name, "TXT" if name.startswith("b.") else "A")
    except error:
        continue
    raise AssertionError(name)
"#;

#[test]
fn dnspython_reads_every_kind_of_record_over_udp_and_tcp() {
    let name = "dnspython_reads_every_kind_of_record_over_udp_and_tcp";
    let Some(paths) = wanted(name, &["WAYPOST_PEER_PYTHON"]) else {
        return;
    };
    let server = Setup::new().start();
    let put = |path: String, body: serde_json::Value| {
        server.put(&path, &body).expect(201);
    };
    put(
        format!("{SERVICE}/instances/a"),
        json!({ "address": "127.0.0.1", "port": 8080, "attributes": { "version": "7" } }),
    );
    register(&server, "b", "127.0.0.2", 8080);
    register(&server, "c", "::1", 8080);
    for number in 0..100 {
        let address = format!("127.0.1.{number}");
        put(
            format!("/v1/namespaces/svc.internal/services/many/instances/{number}"),
            json!({ "address": address, "port": 80 }),
        );
    }
    let dns = server.dns();
    let output = Command::new(&paths[0])
        .args(["-c", DNSPYTHON, &dns.ip().to_string()])
        .arg(dns.port().to_string())
        .output()
        .unwrap();
    told_nothing(&output);
}

fn told_nothing(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What runs in the namespaces: Waypost on port 53, and the C library that asks it.
const GLIBC: &str = r#"
set -eux
"$IP" link set lo up
# A host with loopback addresses alone is asked for none by the C library (AI_ADDRCONFIG).
"$IP" address add 10.9.9.9/32 dev lo
"$IP" address add fd00::9/128 dev lo nodad
printf 'nameserver 127.0.0.1\nsearch svc.internal\noptions ndots:1 timeout:2 attempts:1\n' > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
printf 'hosts: files dns\n' > nsswitch.conf
mount --bind nsswitch.conf /etc/nsswitch.conf
"$WAYPOST" serve --http 127.0.0.1:3004 --dns 127.0.0.1:53 --data-dir data > serve.log 2>&1 &
server=$!
trap 'kill $server; wait' EXIT
tries=0
until "$WAYPOST" -q register web a --address 127.0.0.7 --port 80 --check none 2>/dev/null; do
  tries=$((tries + 1)); [ $tries -lt 200 ]; sleep 0.1
done
"$WAYPOST" -q register web b --address 127.0.0.8 --port 80 --check none
"$WAYPOST" -q register web c --address fd00::7 --port 80 --check none
addresses() { getent "$1" "$2" | awk '{print $1}' | sort -u | tr '\n' ' '; }
[ "$(addresses ahostsv4 web.svc.internal)" = "127.0.0.7 127.0.0.8 " ]
[ "$(addresses ahostsv4 web)" = "127.0.0.7 127.0.0.8 " ]
[ "$(addresses ahosts web.svc.internal)" = "127.0.0.7 127.0.0.8 fd00::7 " ]
[ "$(addresses ahostsv4 a.web.svc.internal)" = "127.0.0.7 " ]
[ "$(getent hosts 127.0.0.8 | awk '{print $2}')" = "b.web.svc.internal" ]
! getent hosts nobody.svc.internal
"$WAYPOST" -q deregister web/b
[ "$(addresses ahostsv4 web)" = "127.0.0.7 " ]
echo all is well
"#;

#[test]
fn the_c_library_finds_exactly_who_is_in_rotation() {
    let name = "the_c_library_finds_exactly_who_is_in_rotation";
    let Some(paths) = wanted(name, &["WAYPOST_PEER_IP"]) else {
        return;
    };
    let may = Command::new("unshare").args(["-Urnm", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        let why = "the kernel allows no user namespaces here";
        return skipped(&format!("dns_clients::{name}"), why);
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-Urnm", "sh", "-c", GLIBC])
        .env("IP", &paths[0])
        .env("WAYPOST", env!("CARGO_BIN_EXE_waypost"))
        .env_remove("SERVICE_DISCOVERY_URL")
        .current_dir(folder.path())
        .output()
        .unwrap();
    told_nothing(&output);
    assert!(String::from_utf8_lossy(&output.stdout).contains("all is well"));
    // Nobody outside of the namespaces has seen the registry.
    eventually("its folder is left", || {
        folder.path().join("data").exists().then_some(())
    });
}
