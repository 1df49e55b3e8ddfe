//! `cargo xtask package` and `cargo xtask wheel`: what is shipped, made from binaries of this tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::metadata::Metadata;
use crate::program::{Environment, Failure, output_of, succeeds};

/// Where distributions keep the authorities that a machine trusts.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How the static binary is built. The second asks the kernel for random bytes: what is looked up at run time is not found
/// in a static binary, and then `/dev/urandom` would be needed, which an empty root has not.
const STATIC: &str = "-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"";

/// Builds the static binary, fills the folder that the Dockerfile copies from, and makes the binary's wheel.
///
/// # Errors
/// When the binary cannot be built, is not static, or a tool or the machine's authorities are missing.
pub fn package(environment: &Environment) -> Result<bool, Failure> {
    let metadata = Metadata::load(&environment.root, environment.ci)?;
    let folder = fill(environment, &metadata)?;
    let wheel = wheel_of(environment, &metadata, &folder.join("waypost"))?;
    println!("{}\n{}", folder.display(), wheel.display());
    Ok(true)
}

/// Builds the release binary as it is, linked to the system's C library, and puts it into a wheel.
///
/// # Errors
/// When the binary cannot be built, or a tool is missing.
pub fn wheel(environment: &Environment) -> Result<bool, Failure> {
    let metadata = Metadata::load(&environment.root, environment.ci)?;
    let mut build = environment.cargo(&["build", "--release", "--package", "waypost"]);
    if !succeeds(&mut build)? {
        return Ok(false);
    }
    let binary = metadata.target_directory.join("release/waypost");
    let wheel = wheel_of(environment, &metadata, &binary)?;
    println!("{}", wheel.display());
    Ok(true)
}

/// Fills `target/package` and gives its path.
///
/// # Errors
/// When the binary cannot be built, is not static, or a tool or the machine's authorities are missing.
pub fn fill(environment: &Environment, metadata: &Metadata) -> Result<PathBuf, Failure> {
    let built = static_binary(environment, metadata)?;
    let folder = metadata.target_directory.join("package");
    fs::create_dir_all(folder.join("data"))?;
    let binary = folder.join("waypost");
    // Function names stay, for the backtrace of a panic.
    let mut strip = Command::new("strip");
    strip.args(["--strip-debug", "-o"]).args([&binary, &built]);
    if !succeeds(&mut strip)? {
        return Err(Failure::new("strip cannot shorten the binary"));
    }
    let authorities = AUTHORITIES.iter().find(|path| Path::new(path).is_file());
    let authorities = authorities.ok_or_else(|| {
        Failure::new("this machine has no certificates of authorities: install ca-certificates")
    })?;
    fs::copy(authorities, folder.join("ca-certificates.crt"))?;
    Ok(folder)
}

fn static_binary(environment: &Environment, metadata: &Metadata) -> Result<PathBuf, Failure> {
    let target = host(&output_of(Command::new("rustc").arg("-vV"))?)?;
    let mut build = environment.cargo(&["build", "--release", "--package", "waypost"]);
    // With a target that is named, build scripts and macros, which must be dynamic, are built without these flags.
    build
        .args(["--target", &target])
        .env("RUSTFLAGS", STATIC)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if !succeeds(&mut build)? {
        return Err(Failure::new("the static binary cannot be built"));
    }
    let binary = metadata
        .target_directory
        .join(target)
        .join("release/waypost");
    let headers = output_of(Command::new("readelf").args(["-ld"]).arg(&binary))?;
    match asked_at_start(&headers) {
        None => Ok(binary),
        Some(line) => Err(Failure::new(format!(
            "{} is not static: {line}",
            binary.display()
        ))),
    }
}

/// Finds the host's target in what `rustc -vV` prints.
fn host(printed: &str) -> Result<String, Failure> {
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    match host {
        Some(host) if host.contains("-linux-") => Ok(host.to_owned()),
        Some(host) => Err(Failure::new(format!(
            "a static binary is built on Linux, and this is {host}"
        ))),
        None => Err(Failure::new("`rustc -vV` does not tell the host")),
    }
}

/// Finds what a binary asks of the system at its start, in what `readelf -ld` prints: a loader or a library.
fn asked_at_start(headers: &str) -> Option<&str> {
    let asks = |line: &&str| line.contains("(NEEDED)") || line.contains("INTERP ");
    headers.lines().map(str::trim).find(asks)
}

fn wheel_of(
    environment: &Environment,
    metadata: &Metadata,
    binary: &Path,
) -> Result<PathBuf, Failure> {
    let own = metadata.own_packages();
    let version = own
        .filter(|package| package.name == "waypost")
        .map(|package| package.version.clone())
        .next()
        .ok_or_else(|| Failure::new("the workspace has no package `waypost`"))?;
    let mut build = Command::new("python3");
    build
        .arg(environment.root.join("packaging/wheel/build.py"))
        .arg(binary)
        .arg(metadata.target_directory.join("wheels"))
        .args(["--version", &version]);
    Ok(PathBuf::from(output_of(&mut build)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::{asked_at_start, host};

    #[test]
    fn only_linux_hosts_have_static_binaries() {
        let printed = "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(host(printed).unwrap(), "x86_64-unknown-linux-gnu");
        let refused = host("host: aarch64-apple-darwin\n").unwrap_err();
        assert!(refused.to_string().contains("aarch64-apple-darwin"));
        assert!(host("").is_err());
    }

    #[test]
    fn a_loader_or_a_library_is_what_a_dynamic_binary_asks_for() {
        let fixed = "  LOAD 0x0 0x0 0x0\n 0x1e (FLAGS) BIND_NOW\n";
        assert_eq!(asked_at_start(fixed), None);
        let loader = "  INTERP         0x000318 0x000318\n";
        assert!(asked_at_start(loader).is_some());
        let library = " 0x01 (NEEDED)  Shared library: [libc.so.6]\n";
        assert!(asked_at_start(library).unwrap().contains("libc.so.6"));
    }
}
