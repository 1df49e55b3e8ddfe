//! Whether heartbeats come often enough for one to be lost.

use std::time::SystemTime;

use waypost_client::Instance;

use super::super::clock::seconds_since;
use super::super::finding::Finding;
use crate::age::seconds;

/// Finds a lease that runs and was not renewed in its first half.
pub(super) fn late(instance: &Instance, name: &str, now: SystemTime) -> Option<Finding> {
    let lease = u32::try_from(instance.lease_seconds?).ok().map(f64::from)?;
    let silent = seconds_since(instance.last_heartbeat.as_deref()?, now)?;
    // A lease that is over is told of by the rotation.
    if silent <= lease / 2.0 || silent > lease || !instance.in_rotation {
        return None;
    }
    Some(Finding::warning(
        format!(
            "{name}: beats come less than twice in a lease of {}: the last one came {} ago",
            seconds(lease),
            seconds(silent)
        ),
        format!(
            "send one every {}, so that one may be lost, or give it a longer lease",
            seconds((lease / 3.0).floor().max(1.0))
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_beat_is_late_in_the_second_half_of_its_lease() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_768_435_200 + seconds);
        let mut instance: Instance = serde_json::from_value(json!({
            "namespace": "svc.internal", "service": "web", "id": "a", "in_rotation": true,
            "lease_seconds": 30, "last_heartbeat": "2026-01-15T00:00:00Z",
        }))
        .unwrap();
        let is_late = |instance: &Instance, seconds| late(instance, "web/a", at(seconds)).is_some();
        assert!(!is_late(&instance, 15));
        assert!(is_late(&instance, 16));
        assert!(!is_late(&instance, 31));
        let found = late(&instance, "web/a", at(20)).unwrap();
        assert!(found.hint.unwrap().contains("every 10 s"));
        instance.in_rotation = false;
        assert!(!is_late(&instance, 16));
        instance.lease_seconds = None;
        assert!(!is_late(&instance, 16));
    }
}
