//! What looks after something while the server runs, now and then.

use std::sync::Arc;

use tokio::sync::watch;
use waypost_access::{Authenticator, UsageKeeper};
use waypost_core::{Clock, Registry, Snapshots};
use waypost_http::ListenerTls;
use waypost_store_sqlite::{DiskWatch, ScheduledSnapshots, StoreMetrics};

use super::Engine;
use crate::config::Config;
use crate::reload::Reload;

/// How often the files of the listener's certificate are looked at.
const CERTIFICATE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);

/// What looks after something: the disk, scheduled snapshots, uses of credentials, the certificate.
pub(super) struct Keepers {
    disk: Option<DiskWatch>,
    scheduled: Option<ScheduledSnapshots>,
    usage: UsageKeeper,
    tls: Option<Arc<ListenerTls>>,
}

impl Keepers {
    pub(super) fn new(
        authenticator: &Arc<Authenticator>,
        (registry, snapshots): (&Registry, &Snapshots),
        tls: Option<Arc<ListenerTls>>,
    ) -> Self {
        let (registry, snapshots) = (registry.clone(), snapshots.clone());
        let usage = UsageKeeper::new(Arc::clone(authenticator), registry, snapshots);
        Self {
            disk: None,
            scheduled: None,
            usage,
            tls,
        }
    }

    /// Adds what looks after the store: nothing when it is in memory.
    pub(super) fn of_the_store(
        self,
        engine: &Engine,
        config: &Config,
        (snapshots, clock): (&Snapshots, &Arc<dyn Clock>),
        metrics: &mut prometheus_client::registry::Registry,
    ) -> Self {
        let Engine::Sqlite(store) = engine else {
            return self;
        };
        let settings = &config.store_sqlite;
        let metrics = StoreMetrics::register(metrics, settings.snapshot_interval_hours > 0);
        let disk = DiskWatch::new(Arc::clone(store), Arc::clone(clock), &metrics);
        let (snapshots, clock) = (snapshots.clone(), Arc::clone(clock));
        Self {
            disk: Some(disk),
            scheduled: ScheduledSnapshots::new(settings, snapshots, clock, &metrics),
            ..self
        }
    }

    /// Works until the server stops.
    pub(super) async fn run(self, stopping: watch::Receiver<bool>) {
        let until = |mut stopping: watch::Receiver<bool>| async move {
            drop(stopping.wait_for(|stop| *stop).await);
        };
        let disk = async {
            match self.disk {
                Some(disk) => disk.run(until(stopping.clone())).await,
                None => until(stopping.clone()).await,
            }
        };
        let scheduled = async {
            match self.scheduled {
                Some(scheduled) => scheduled.run(until(stopping.clone())).await,
                None => until(stopping.clone()).await,
            }
        };
        let certificates = keep_certificates(self.tls, until(stopping.clone()));
        let usage = self.usage.run(until(stopping.clone()));
        tokio::join!(disk, scheduled, certificates, usage);
    }
}

/// Reads the listener's certificate again when its files change.
async fn keep_certificates(tls: Option<Arc<ListenerTls>>, ended: impl Future<Output = ()>) {
    let Some(tls) = tls else {
        return ended.await;
    };
    let mut ended = std::pin::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => return,
            () = tokio::time::sleep(CERTIFICATE_INTERVAL) => {
                let tls = Arc::clone(&tls);
                // It reads files.
                let read = tokio::task::spawn_blocking(move || reload_certificate(&tls));
                if let Err(error) = read.await {
                    tracing::error!(%error, "the certificate could not be looked at; it is tried again");
                }
            }
        }
    }
}

/// Reads the listener's certificate again if its files changed, and says so.
fn reload_certificate(tls: &ListenerTls) {
    match tls.reload() {
        Ok(false) => {}
        Ok(true) => tracing::info!("the certificate was read again: new connections see it"),
        Err(fault) => {
            tracing::error!(%fault, "the certificate cannot be read again: the one before stays");
        }
    }
}

/// The certificate follows its files; which files they are needs a restart.
pub(super) fn certificate(tls: Arc<ListenerTls>) -> Reload {
    Reload::new(&[], move |_| match tls.reload() {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(
            "the certificate of the listener is another".to_owned(),
        )),
        Err(fault) => Err(format!("http.{fault}")),
    })
}
