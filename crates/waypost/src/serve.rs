//! `waypost serve` and `waypost config show`: load the configuration, put the server together, wait for a signal.

use std::io::Write;
use std::process;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use waypost_cli::{Exit, OutputFormat};
use waypost_config::{Loaded, process_environment};
use waypost_telemetry::LogFilter;

use crate::config::{Config, SettingArguments, StoreKind};
use crate::reload::{Reload, Reloader};
use crate::supervision::{Inherited, Notifier};
use crate::wire::{self, ServeError, Waypost};

/// Runs the server until a signal ends it.
pub(crate) fn serve(settings: SettingArguments) -> Exit {
    let environment = process_environment();
    let sockets = match Inherited::take(&environment) {
        Ok(sockets) => sockets,
        Err(why) => return fail(&why, Exit::Usage),
    };
    let loaded = match settings.load() {
        Ok(loaded) => loaded,
        Err(errors) => return fail(&errors.to_string(), Exit::Usage),
    };
    let log = match waypost_telemetry::init(&loaded.value.telemetry) {
        Ok(log) => log,
        Err(error) => return fail(&error.to_string(), Exit::Usage),
    };
    crate::files::raise_limit();
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
    let started = Started {
        settings,
        loaded,
        sockets,
        notifier: Notifier::of(&environment),
        log,
    };
    let ended = runtime.block_on(started.run());
    // Nothing of value is left: what still runs only waits.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Ok,
        Err(error @ ServeError::Usage(_)) => fail(&error.to_string(), Exit::Usage),
        Err(error @ ServeError::Failed(_)) => fail(&error.to_string(), Exit::Failure),
    }
}

/// What a start has found before anything runs.
struct Started {
    settings: SettingArguments,
    loaded: Loaded<Config>,
    sockets: Inherited,
    notifier: Notifier,
    log: LogFilter,
}

impl Started {
    async fn run(self) -> Result<(), ServeError> {
        let receive = |kind| {
            signal(kind)
                .map_err(|error| ServeError::Failed(format!("signals cannot be received: {error}")))
        };
        let mut terminate = receive(SignalKind::terminate())?;
        let mut interrupt = receive(SignalKind::interrupt())?;
        let hangup = receive(SignalKind::hangup())?;
        let Self {
            settings,
            loaded,
            sockets,
            notifier,
            log,
        } = self;
        let mut waypost = wire::open(&loaded, sockets).await?;
        greet(&loaded, &waypost);
        let status = format!("serving HTTP on {}", waypost.local_addr());
        let pulse = waypost.pulse();
        let mut parts = vec![log_filter(log)];
        parts.append(&mut waypost.reloads);
        let reloader = Reloader::new(settings, loaded, parts);
        notifier.ready(&status);
        let ended = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = reload_at(hangup, Arc::new(reloader), &notifier, &status) => {}
                () = notifier.keep_alive(&pulse) => {}
            }
            notifier.stopping();
            tracing::info!("stopping: requests in flight are finished first");
        };
        waypost.run(ended).await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Reloads at each signal; never ends.
async fn reload_at(mut hangup: Signal, reloader: Arc<Reloader>, notifier: &Notifier, status: &str) {
    while hangup.recv().await.is_some() {
        notifier.reloading();
        let reloader = Arc::clone(&reloader);
        // It reads files.
        let reloaded = tokio::task::spawn_blocking(move || reloader.reload()).await;
        if let Err(error) = reloaded {
            tracing::error!(%error, "the configuration was not reloaded");
        }
        notifier.ready(status);
    }
    std::future::pending().await
}

/// The log follows its filter.
fn log_filter(log: LogFilter) -> Reload {
    Reload::new(&["telemetry.log_filter"], move |config| {
        let telemetry = &config.telemetry;
        match log.follow(telemetry) {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(format!(
                "telemetry.log_filter is {:?}",
                telemetry.log_filter
            ))),
            Err(error) => Err(format!("telemetry.{error}")),
        }
    })
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
