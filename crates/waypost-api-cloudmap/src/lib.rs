//! The AWS Cloud Map API: what AWS's SDKs, the AWS CLI and Terraform say to `servicediscovery`, over the registry's own
//! objects.

mod arn;
mod caller;
mod delayed;
mod fault;
mod instances;
mod metrics;
mod model;
mod namespaces;
mod operation;
mod operations;
mod page;
mod pattern;
mod quotas;
mod rates;
mod services;
mod settings;
mod shape;
mod state;
mod tags;
mod value;
mod wire;

#[cfg(test)]
mod mutated;

use std::sync::Arc;

use waypost_http::Router;

pub use delayed::Delayed;
pub use metrics::CloudMapMetrics;
pub use settings::{CloudMapConfig, DiscoverDefault, InvalidSetting, Quotas, Rate, Validation};
pub use state::CloudMapContext;

/// Makes the routes of the API: `POST /` by `X-Amz-Target`, the paths of Smithy RPC v2 CBOR, and the
/// same behind [`CloudMapConfig::base_path`]; and what carries out custom health statuses that count later.
pub fn open(context: CloudMapContext) -> (Router, Delayed) {
    let cloud_map = Arc::new(state::CloudMap::new(context));
    (
        wire::router(&cloud_map),
        Delayed::new(Arc::clone(&cloud_map)),
    )
}
