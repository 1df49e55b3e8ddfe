//! Nothing is acknowledged, shown or told before it is durable, and what was acknowledged survives the power cut.
//!
//! The files of the running binary go through the preload shim: it holds syncs back, fails them, and records every
//! write, so that each moment's disk can be made again.

mod failures;
mod held;
mod replayed;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::record::{Control, Shim};
use crate::server::{Server, Setup};
use crate::skips::skipped;

/// A data directory under control of the shim.
struct Controlled {
    control: Control,
    data: PathBuf,
    folder: TempDir,
}

impl Controlled {
    /// Nothing, and the test counted as skipped, where the shim cannot be built.
    fn new(test: &str) -> Option<Self> {
        let shim = match Shim::build(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
            Ok(shim) => shim,
            Err(error) => {
                skipped(test, &format!("the preload shim cannot be built: {error}"));
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let control = shim.over(&data, &folder.path().join("control")).unwrap();
        Some(Self {
            control,
            data: data.canonicalize().unwrap(),
            folder,
        })
    }

    /// Starts the binary over it. A shim that is not loaded would prove nothing, so that fails the test.
    fn start(&self, synchronous: &str) -> Server {
        self.start_with(Setup::new().env("WAYPOST__STORE_SQLITE__SYNCHRONOUS", synchronous))
    }

    fn start_with(&self, setup: Setup) -> Server {
        let server = setup
            .envs(self.control.environment())
            .data_dir(&self.data)
            .start();
        let recorded = self.control.record_bytes().unwrap_or(0);
        assert!(recorded > 0, "the binary does not load the shim");
        server
    }
}

fn instance(id: &str) -> String {
    format!("/v1/namespaces/svc.internal/services/web/instances/{id}")
}

/// A registration that is in rotation at once: nothing is checked.
fn registration(version: &str) -> Value {
    json!({"address": "10.0.0.1", "port": 8080, "attributes": {"version": version}})
}
