//! Several registrations, removals or heartbeats in one call.

use http::Method;
use serde::Serialize;

use super::Client;
use crate::transport::Call;
use crate::wire::{BatchBody, HeartbeatItem, ItemName, RegisterItem};
use crate::{BatchAnswer, ClientError, Heartbeat, InstanceRef, Registration};

impl Client {
    /// Registers instances, each alone: up to 1,000, and the answer tells what came of each.
    ///
    /// # Errors
    /// `Usage` for too many; else see [`ErrorKind`](crate::ErrorKind). What fails of one item is in its result.
    pub async fn register_batch(
        &self,
        items: &[(InstanceRef, Registration)],
    ) -> Result<BatchAnswer, ClientError> {
        self.batch("register", self.registrations(items), None, false)
            .await
    }

    /// Registers all of the instances or none: up to 40.
    ///
    /// # Errors
    /// That of the item that failed, whose place is [`Problem::item`](crate::Problem::item); nothing was done then.
    pub async fn register_all(
        &self,
        items: &[(InstanceRef, Registration)],
    ) -> Result<BatchAnswer, ClientError> {
        self.batch("register", self.registrations(items), Some(true), false)
            .await
    }

    /// Removes instances, each alone: up to 1,000, and the answer tells what came of each. The call is not repeated when
    /// its connection breaks, since the second time would find nothing to remove.
    ///
    /// # Errors
    /// As [`register_batch`](Self::register_batch).
    pub async fn deregister_batch(
        &self,
        items: &[InstanceRef],
    ) -> Result<BatchAnswer, ClientError> {
        self.batch("deregister", self.names(items), None, true)
            .await
    }

    /// Removes all of the instances or none: up to 40.
    ///
    /// # Errors
    /// As [`register_all`](Self::register_all).
    pub async fn deregister_all(&self, items: &[InstanceRef]) -> Result<BatchAnswer, ClientError> {
        self.batch("deregister", self.names(items), Some(true), true)
            .await
    }

    /// Renews the leases of instances: up to 10,000, and the answer tells what came of each.
    ///
    /// # Errors
    /// As [`register_batch`](Self::register_batch).
    pub async fn heartbeat_batch(&self, beats: &[Heartbeat]) -> Result<BatchAnswer, ClientError> {
        let items = beats.iter().map(|beat| HeartbeatItem {
            name: ItemName::new(self.namespace(), &beat.instance),
            registration_id: beat.registration_id.as_deref(),
            load: beat.load,
        });
        self.batch("heartbeat", items.collect(), None, false).await
    }

    fn registrations<'a>(
        &'a self,
        items: &'a [(InstanceRef, Registration)],
    ) -> Vec<RegisterItem<'a>> {
        let items = items.iter().map(|(instance, registration)| RegisterItem {
            name: ItemName::new(self.namespace(), instance),
            registration,
        });
        items.collect()
    }

    fn names<'a>(&'a self, items: &'a [InstanceRef]) -> Vec<ItemName<'a>> {
        let names = items.iter();
        names
            .map(|instance| ItemName::new(self.namespace(), instance))
            .collect()
    }

    async fn batch<T: Serialize>(
        &self,
        what: &str,
        items: Vec<T>,
        atomic: Option<bool>,
        once: bool,
    ) -> Result<BatchAnswer, ClientError> {
        let body = BatchBody { items, atomic };
        let call = Call::with_json(Method::POST, format!("/v1/batch/{what}"), &body)?;
        self.transport.ask(Call { once, ..call }).await
    }
}
