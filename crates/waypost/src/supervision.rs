//! The service manager, such as systemd: what it hands over and what it is told.

mod notifier;
mod sockets;

pub(crate) use notifier::Notifier;
pub(crate) use sockets::Inherited;
