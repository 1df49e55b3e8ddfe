//! `waypost snapshot`: everything to a file, and back from one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use waypost_access::SERVER_KEY_BYTES;
use waypost_cli::{Exit, GlobalOptions, OutputFormat};
use waypost_client::Client;
use waypost_core::{
    Clock as _, Object, Snapshot, SnapshotCounts, SnapshotHeader, StoreError, SystemClock,
};
use waypost_store_sqlite::{
    Restored, SnapshotFile, open_snapshot, read_at_rest, restore, save_snapshot,
};

use crate::serve;

/// What can be done with snapshots.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Save everything to a file, from a running server or from the data directory of a stopped one
    Save(SaveArguments),
    /// Make a data directory from a file
    Restore(RestoreArguments),
    /// Check that a file is whole
    Verify(FileArguments),
    /// Show what a file holds
    Inspect(FileArguments),
}

/// Arguments of `snapshot save`.
#[derive(Args, Debug)]
pub(crate) struct SaveArguments {
    /// The file to write
    file: PathBuf,

    /// Save from this data directory, which no server uses, instead of asking the server
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,

    /// Write over the file if it exists
    #[arg(long)]
    force: bool,
}

/// Arguments of `snapshot restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArguments {
    /// The snapshot
    file: PathBuf,

    /// The data directory to make; it must be empty or not there
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: PathBuf,

    /// The server.key of the server that the snapshot was taken from: without it no token holds
    #[arg(long, value_name = "FILE")]
    server_key: Option<PathBuf>,
}

/// Arguments of what looks into a file.
#[derive(Args, Debug)]
pub(crate) struct FileArguments {
    /// The snapshot
    file: PathBuf,
}

/// What a snapshot says of itself, as it is printed.
#[derive(Serialize)]
struct Shown {
    file: String,
    bytes: u64,
    waypost: String,
    created: String,
    epoch: String,
    revision: u64,
    counts: SnapshotCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<Vec<NamespaceShown>>,
}

#[derive(Serialize)]
struct NamespaceShown {
    name: String,
    services: Vec<ServiceShown>,
}

#[derive(Serialize)]
struct ServiceShown {
    name: String,
    instances: u64,
}

#[derive(Serialize)]
struct RestoredShown {
    data_dir: String,
    epoch: String,
    revision: u64,
    server_key: bool,
    snapshot: Shown,
}

/// Runs a command on snapshots.
pub(crate) fn run(command: SnapshotCommand, global: &GlobalOptions) -> Exit {
    let done = match command {
        SnapshotCommand::Save(arguments) => save(&arguments, global),
        SnapshotCommand::Restore(arguments) => restore_file(&arguments, global),
        SnapshotCommand::Verify(FileArguments { file }) => look(&file).map(|(shown, _)| {
            print(global, &shown, || {
                format!("{} is whole\n{}", shown.file, about(&shown))
            });
        }),
        SnapshotCommand::Inspect(FileArguments { file }) => look(&file).map(|(shown, listed)| {
            let shown = Shown {
                namespaces: Some(listed),
                ..shown
            };
            print(global, &shown, || about(&shown) + &table(&shown));
        }),
    };
    match done {
        Ok(()) => Exit::Ok,
        Err((why, exit)) => serve::fail(&why, exit),
    }
}

type Failed = (String, Exit);

fn failed(StoreError(why): StoreError) -> Failed {
    (why, Exit::Failure)
}

fn save(arguments: &SaveArguments, global: &GlobalOptions) -> Result<(), Failed> {
    let SaveArguments {
        file,
        data_dir,
        force,
    } = arguments;
    let (header, bytes) = match data_dir {
        Some(directory) => save_at_rest(directory, file, *force)?,
        None => save_online(file, *force, global)?,
    };
    let shown = shown(file, header, bytes);
    print(global, &shown, || {
        format!("saved to {}\n{}", shown.file, about(&shown))
    });
    note(
        global,
        "the server key is not in it: keep a copy of server.key in the data directory too, tokens are hashed with it",
    );
    Ok(())
}

fn save_at_rest(
    directory: &Path,
    file: &Path,
    force: bool,
) -> Result<(SnapshotHeader, u64), Failed> {
    let loaded = read_at_rest(directory).map_err(failed)?;
    for damaged in &loaded.quarantined {
        // Whoever asks for no notes has to know this all the same.
        serve::fail(
            &format!("damaged, and not in the snapshot: {damaged}"),
            Exit::Ok,
        );
    }
    let target = SnapshotFile::create(file, force).map_err(failed)?;
    let now = SystemClock::new().wall();
    let snapshot = Snapshot::load(loaded, now);
    save_snapshot(&snapshot, now, target, || Ok(())).map_err(failed)
}

fn save_online(
    file: &Path,
    force: bool,
    global: &GlobalOptions,
) -> Result<(SnapshotHeader, u64), Failed> {
    let client = global.connect().map_err(|why| (why, Exit::Usage))?;
    let target = SnapshotFile::create(file, force).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        let why = format!("the runtime cannot be started: {error}");
        (why, Exit::Failure)
    })?;
    runtime.block_on(download(&client, target))
}

async fn download(
    client: &Client,
    mut target: SnapshotFile,
) -> Result<(SnapshotHeader, u64), Failed> {
    let broken = |error: waypost_client::ClientError| (error.to_string(), error.kind().into());
    let mut stream = client.snapshot().await.map_err(broken)?;
    while let Some(bytes) = stream.next().await.map_err(broken)? {
        target.write(&bytes).map_err(failed)?;
    }
    target.finish().map_err(failed)
}

fn restore_file(arguments: &RestoreArguments, global: &GlobalOptions) -> Result<(), Failed> {
    let RestoreArguments {
        file,
        data_dir,
        server_key,
    } = arguments;
    let key = server_key.as_deref().map(read_key).transpose()?;
    let bytes = file.metadata().map_or(0, |file| file.len());
    let restored = restore(file, data_dir, key.as_deref(), &SystemClock::new()).map_err(failed)?;
    let Restored {
        epoch,
        revision,
        from,
        has_server_key,
    } = restored;
    let shown = RestoredShown {
        data_dir: data_dir.display().to_string(),
        epoch: epoch.to_string(),
        revision: revision.0,
        server_key: has_server_key,
        snapshot: shown(file, from, bytes),
    };
    print(global, &shown, || {
        format!(
            "restored into {}\n{}begins as   {}.{}\n",
            shown.data_dir,
            about(&shown.snapshot),
            shown.epoch,
            shown.revision
        )
    });
    if !has_server_key {
        note(
            global,
            "tokens are hashed with the old server's server.key, which is not in a snapshot: copy that file into the directory (mode 0600) before the server starts, else every token has to be issued again",
        );
    }
    Ok(())
}

fn read_key(path: &Path) -> Result<Vec<u8>, Failed> {
    let mut key = Vec::new();
    // One byte more than a key has, so that a longer file is seen without reading it whole.
    let most = u64::try_from(SERVER_KEY_BYTES + 1).unwrap_or(u64::MAX);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut key));
    let why = match read {
        Err(error) => format!("{} cannot be read: {error}", path.display()),
        Ok(SERVER_KEY_BYTES) => return Ok(key),
        Ok(_) => format!(
            "{} is no server key: one has exactly {SERVER_KEY_BYTES} bytes; it is the file server.key in the data directory of the old server",
            path.display()
        ),
    };
    Err((why, Exit::Failure))
}

/// Reads all of a snapshot.
fn look(file: &Path) -> Result<(Shown, Vec<NamespaceShown>), Failed> {
    let mut reader = open_snapshot(file).map_err(failed)?;
    let mut listed: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    loop {
        let object = reader
            .object()
            .map_err(|fault| (format!("{}: {fault}", file.display()), Exit::Failure))?;
        let Some((object, _)) = object else { break };
        match object {
            Object::Namespace(namespace) => {
                listed.entry(namespace.name.to_string()).or_default();
            }
            Object::Service(service) => {
                let namespace = listed.entry(service.key.namespace.to_string()).or_default();
                namespace.entry(service.key.name.to_string()).or_default();
            }
            Object::Registration(key, _) => {
                let service = &key.service;
                let namespace = listed.entry(service.namespace.to_string()).or_default();
                *namespace.entry(service.name.to_string()).or_default() += 1;
            }
            Object::Verdict(..) | Object::Mode(..) | Object::Document(_) => {}
        }
    }
    let listed = listed.into_iter().map(|(name, services)| NamespaceShown {
        name,
        services: services
            .into_iter()
            .map(|(name, instances)| ServiceShown { name, instances })
            .collect(),
    });
    let shown = shown(file, reader.header().clone(), reader.bytes());
    Ok((shown, listed.collect()))
}

fn shown(file: &Path, header: SnapshotHeader, bytes: u64) -> Shown {
    Shown {
        file: file.display().to_string(),
        bytes,
        waypost: header.waypost,
        created: header.created.in_utc(),
        epoch: header.epoch.to_string(),
        revision: header.revision.0,
        counts: header.counts,
        namespaces: None,
    }
}

fn about(shown: &Shown) -> String {
    let SnapshotCounts {
        namespaces,
        services,
        registrations,
        verdicts,
        modes,
        documents,
    } = shown.counts;
    format!(
        "taken       {} by Waypost {}\n\
         history     {}.{}\n\
         size        {} bytes\n\
         namespaces  {namespaces}\n\
         services    {services}\n\
         instances   {registrations}, {verdicts} with a verdict, {modes} with a mode\n\
         documents   {documents}\n",
        shown.created,
        shown.waypost.escape_debug(),
        shown.epoch,
        shown.revision,
        shown.bytes
    )
}

fn table(shown: &Shown) -> String {
    let mut lines = String::from("\nNAMESPACE  SERVICE  INSTANCES\n");
    for NamespaceShown { name, services } in shown.namespaces.iter().flatten() {
        // A file may be anybody's: nothing in it moves the cursor.
        let namespace = name.escape_debug();
        if services.is_empty() {
            lines.push_str(&format!("{namespace}  -  -\n"));
        }
        for ServiceShown { name, instances } in services {
            let service = name.escape_debug();
            lines.push_str(&format!("{namespace}  {service}  {instances}\n"));
        }
    }
    lines
}

/// Prints data. A reader that went away is content with what it has.
fn print(global: &GlobalOptions, value: &impl Serialize, text: impl FnOnce() -> String) {
    let text = match global.output {
        OutputFormat::Table => text(),
        // Structs of strings and numbers always serialize.
        OutputFormat::Json => serde_json::to_string_pretty(value).unwrap_or_default() + "\n",
        OutputFormat::Jsonl => serde_json::to_string(value).unwrap_or_default() + "\n",
    };
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn note(global: &GlobalOptions, text: &str) {
    if !global.quiet {
        drop(writeln!(std::io::stderr(), "{text}"));
    }
}
