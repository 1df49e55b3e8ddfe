//! A replica's place in the registry: registered, drained, removed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waypost_client::{
    Client, ErrorKind, Health, Instance, InstanceRef, Mode, Registered, Registration, Standing,
};

use crate::voice::Voice;

/// How long the registry may take to answer while a command waits to be stopped.
const ANSWER: Duration = Duration::from_secs(2);
/// How often it is looked whether the first check has passed.
const LOOK: Duration = Duration::from_millis(200);
/// How long DNS answers are taken to be kept beyond their time to live.
const SLACK: Duration = Duration::from_secs(2);
/// How long to wait before stopping where no resolver remembers anything.
const WITHOUT_DNS: Duration = Duration::from_secs(5);

/// An instance that is kept registered.
#[derive(Debug)]
pub(crate) struct Membership {
    client: Client,
    instance: InstanceRef,
    registered: Registered,
    // Ends with this value; a handle alone would leave it running.
    _upkeep: JoinSet<()>,
    voice: Voice,
    drained: bool,
}

impl Membership {
    /// Begins to register; the registry may be away.
    pub(crate) fn begin(
        client: &Client,
        instance: InstanceRef,
        registration: Registration,
        voice: Voice,
    ) -> Self {
        let (registered, upkeep) = client.keep_registered(instance.clone(), registration);
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep);
        Self {
            client: client.clone(),
            instance,
            registered,
            _upkeep: tasks,
            voice,
            drained: false,
        }
    }

    /// Completes when the instance has passed its check once. The error is a registration that is refused for good.
    pub(crate) async fn is_up(&mut self) -> Result<Instance, String> {
        self.registered
            .ready()
            .await
            .map_err(|error| format!("it cannot be registered: {error}"))?;
        loop {
            match self.client.instance(&self.instance).await {
                Ok(seen) if matches!(seen.health, Health::Healthy | Health::Warning) => {
                    return Ok(seen);
                }
                // Away, or not there for a moment: registering again is under way.
                Ok(_) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Says why the instance is not up, as far as the registry tells.
    pub(crate) async fn why_not(&self) -> String {
        let asked = tokio::time::timeout(ANSWER, self.client.instance(&self.instance)).await;
        match asked {
            Ok(Ok(seen)) => seen.reason,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the registry does not answer".to_owned(),
        }
    }

    /// Says, for as long as it is driven, when somebody else takes the id or the registry goes away and comes back.
    pub(crate) async fn tell_changes(&mut self) {
        let mut was_away = false;
        while let Ok(standing) = self.registered.changed().await {
            match standing {
                Standing::Contested(other) => self.voice.warn(&format!(
                    "{} is held by another process at {}: waiting until it is gone",
                    self.instance,
                    other.address().unwrap_or_default()
                )),
                Standing::Unconfirmed(error) | Standing::Registering(Some(error)) if !was_away => {
                    was_away = true;
                    self.voice
                        .warn(&format!("{}: {error}; trying on", self.instance));
                }
                Standing::Registered(_) => {
                    if was_away {
                        self.voice
                            .say(&format!("{} is registered again", self.instance));
                    }
                    was_away = false;
                    if self.drained {
                        // A registry that forgot the instance also forgot that it is leaving.
                        self.set_draining().await;
                    }
                }
                Standing::Ended(Some(error)) => {
                    self.voice.warn(&format!(
                        "{} is not registered any more: {error}",
                        self.instance
                    ));
                }
                _ => {}
            }
        }
        std::future::pending::<()>().await;
    }

    /// Takes the instance out of rotation. Bounded: a registry that is away does not keep a command from stopping.
    pub(crate) async fn drain(&mut self) {
        self.drained = true;
        self.set_draining().await;
    }

    async fn set_draining(&self) {
        let held: Option<Arc<Instance>> = match self.registered.standing() {
            Standing::Registered(instance) => Some(instance),
            _ => None,
        };
        let id = held.as_ref().map(|held| held.registration_id.as_str());
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return;
        };
        let reason = "the process is stopping";
        let set = self
            .client
            .set_mode(&self.instance, Mode::Draining, reason, Some(id));
        match tokio::time::timeout(ANSWER, set).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {}
            Ok(Err(error)) => self.voice.warn(&format!(
                "{} cannot be taken out of rotation: {error}",
                self.instance
            )),
            Err(_) => self.voice.warn(&format!(
                "{} cannot be taken out of rotation: the registry does not answer",
                self.instance
            )),
        }
    }

    /// Says how long somebody may still come who asked before: as long as DNS answers are kept.
    pub(crate) async fn memory_of_askers(&self) -> Duration {
        let service = self.client.service(&self.instance.service);
        match tokio::time::timeout(ANSWER, service).await {
            Ok(Ok(service)) => match service.dns_ttl_seconds {
                Some(seconds) => Duration::from_secs(seconds.into()) + SLACK,
                None => WITHOUT_DNS,
            },
            Ok(Err(_)) | Err(_) => WITHOUT_DNS,
        }
    }

    /// Removes the instance. Bounded; when it fails, the lease ends it.
    pub(crate) async fn end(self) {
        let Self {
            registered,
            instance,
            voice,
            ..
        } = self;
        match tokio::time::timeout(ANSWER, registered.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => voice.warn(&format!(
                "{instance} cannot be removed, its lease will end it: {error}"
            )),
            Err(_) => voice.warn(&format!(
                "{instance} cannot be removed, its lease will end it: the registry does not answer"
            )),
        }
    }
}
