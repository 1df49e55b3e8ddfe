//! `waypost serve` and `waypost config show`: load the configuration, put the server together, wait for a signal.

use std::io::Write;
use std::process;

use tokio::signal::unix::{SignalKind, signal};
use waypost_cli::{Exit, OutputFormat};
use waypost_config::Loaded;

use crate::config::{Config, SettingArguments, StoreKind};
use crate::wire::{self, ServeError, Waypost};

/// Runs the server until a signal ends it.
pub(crate) fn serve(settings: &SettingArguments) -> Exit {
    let loaded = match settings.load() {
        Ok(loaded) => loaded,
        Err(errors) => return fail(&errors.to_string(), Exit::Usage),
    };
    if let Err(error) = waypost_telemetry::init(&loaded.value.telemetry) {
        return fail(&error.to_string(), Exit::Usage);
    }
    for variable in loaded.accepted() {
        tracing::info!(variable = %variable, "the variable is known, but nothing uses it yet");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(
                &format!("the runtime cannot be started: {error}"),
                Exit::Failure,
            );
        }
    };
    let ended = runtime.block_on(run(&loaded));
    // Nothing of value is left: what still runs only waits.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Ok,
        Err(error @ ServeError::Usage(_)) => fail(&error.to_string(), Exit::Usage),
        Err(error @ ServeError::Failed(_)) => fail(&error.to_string(), Exit::Failure),
    }
}

async fn run(loaded: &Loaded<Config>) -> Result<(), ServeError> {
    let failed =
        |error: std::io::Error| ServeError::Failed(format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let waypost = wire::open(loaded).await?;
    greet(loaded, &waypost);
    let ended = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests in flight are finished first");
    };
    waypost.run(ended).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Prints what is served and a first command to try.
fn greet(loaded: &Loaded<Config>, waypost: &Waypost) {
    let address = waypost.local_addr();
    let config = &loaded.value;
    let scheme = config.http.tls.as_ref().map_or("http", |_| "https");
    let url = format!("{scheme}://{address}");
    let kept = match config.core.store {
        StoreKind::Sqlite => format!(
            "{} (SQLite, durable)",
            config.store_sqlite.data_dir.display()
        ),
        StoreKind::Memory => "memory only: everything is gone when this process ends".to_owned(),
    };
    let access = if waypost.needs_credentials() {
        "a token is needed"
    } else {
        "open to everybody on this machine"
    };
    let dns = match waypost.dns_addrs() {
        [] => "off".to_owned(),
        addresses => {
            let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("{} (UDP and TCP)", listed.join(", "))
        }
    };
    let mut out = std::io::stdout().lock();
    let server = if address.port() == 3_004 && scheme == "http" {
        String::new()
    } else {
        format!("--server {url} ")
    };
    // As it was called: a first try comes before any installation.
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "waypost".to_owned());
    let text = format!(
        "waypost {version} (pid {pid})\n  \
         registry   {url}  (docs {url}/docs, metrics {url}/metrics)\n  \
         dns        {dns}\n  \
         data       {kept}\n  \
         access     {access}\n\
         try        {program} {server}register web --address 127.0.0.1 --port 8080 --check tcp\n           \
         {program} {server}explain web/127.0.0.1:8080\n",
        version = env!("CARGO_PKG_VERSION"),
        pid = process::id(),
    );
    // A closed standard output is no reason not to serve.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Prints every setting with its value and origin.
pub(crate) fn show(settings: &SettingArguments, output: OutputFormat) -> Exit {
    match settings.load() {
        Ok(loaded) => {
            let mut out = std::io::stdout().lock();
            let shown = loaded.show(crate::settings_format(output));
            drop(writeln!(out, "{}", shown.trim_end()));
            Exit::Ok
        }
        Err(errors) => fail(&errors.to_string(), Exit::Usage),
    }
}

/// Says on standard error why it ends.
pub(crate) fn fail(why: &str, exit: Exit) -> Exit {
    drop(writeln!(
        std::io::stderr().lock(),
        "waypost: {}",
        why.trim_end()
    ));
    exit
}
