//! Namespaces and services that nobody created: implied by a registration, or standing in for a damaged object.

use std::sync::Arc;

use crate::attributes::{Attributes, Extra};
use crate::id::Seed;
use crate::name::{NamespaceName, ServiceKey};
use crate::namespace::{Namespace, NamespaceKind, Origin};
use crate::service::{REMOVE_AFTER_SECONDS, Service};
use crate::text::text;
use crate::time::Timestamp;

/// Makes the namespace that a registration implies: PrivateDns when its name can be a zone, else Http.
pub(crate) fn implied_namespace(name: &NamespaceName, seed: Seed, at: Timestamp) -> Namespace {
    Namespace {
        name: name.clone(),
        id: seed.aws_id("ns-"),
        kind: if name.is_dns_name() {
            NamespaceKind::PrivateDns
        } else {
            NamespaceKind::Http
        },
        origin: Origin::Implied,
        description: text(""),
        soa_ttl: None,
        tags: Attributes::default(),
        created: at,
        request_id: None,
        extra: Extra::default(),
    }
}

/// Makes the service that a registration implies.
pub(crate) fn implied_service(key: &ServiceKey, seed: Seed, at: Timestamp) -> Service {
    Service {
        key: key.clone(),
        id: seed.aws_id("srv-"),
        origin: Origin::Implied,
        description: text(""),
        dns: None,
        checks: Arc::default(),
        fail_open: false,
        remove_after_seconds: REMOVE_AFTER_SECONDS,
        lease_seconds: None,
        attributes: Attributes::default(),
        tags: Attributes::default(),
        created: at,
        request_id: None,
        extra: Extra::default(),
    }
}

pub(super) fn stand_in_namespace(name: &NamespaceName, at: Timestamp) -> Namespace {
    implied_namespace(name, name_seed(name.as_str()), at)
}

pub(super) fn stand_in_service(key: &ServiceKey, at: Timestamp) -> Service {
    implied_service(key, name_seed(&key.to_string()), at)
}

/// Derives stable bits from a name (FNV-1a), so that a stand-in has the same id at every start.
fn name_seed(name: &str) -> Seed {
    let start = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    Seed(name.bytes().fold(start, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    }))
}
