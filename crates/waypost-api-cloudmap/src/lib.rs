//! The AWS Cloud Map API: what AWS's SDKs, the AWS CLI and Terraform say to `servicediscovery`, over the registry's own
//! objects.

mod arn;
mod caller;
mod fault;
mod instances;
mod metrics;
mod model;
mod namespaces;
mod operation;
mod operations;
mod page;
mod pattern;
mod services;
mod settings;
mod shape;
mod state;
mod tags;
mod value;
mod wire;

use waypost_http::Router;

pub use metrics::CloudMapMetrics;
pub use settings::{CloudMapConfig, DiscoverDefault, Validation};
pub use state::CloudMapContext;

/// Makes the routes of the API: `POST /` by `X-Amz-Target`, and the paths of Smithy RPC v2 CBOR; behind
/// [`CloudMapConfig::base_path`] the same.
pub fn router(context: CloudMapContext) -> Router {
    wire::router(state::CloudMap::new(context))
}
