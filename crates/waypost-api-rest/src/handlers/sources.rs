//! What both sources' dialects do with an instance: register, renew, leave.

use std::sync::Arc;

use waypost_core::{
    Access, Command, ErrorKind, InstanceId, RegistrationSpec, RegistryError, ServiceChange,
    ServiceKey,
};

use super::success;
use crate::error::{Answer, Problem, Refusal};
use crate::state::Rest;

/// Registers an instance, or updates it.
pub(crate) async fn register(
    rest: &Rest,
    access: &Access,
    service: ServiceKey,
    id: InstanceId,
    spec: Arc<RegistrationSpec>,
) -> Result<(), RegistryError> {
    let command = Command::Register {
        service,
        id,
        owner: None,
        spec,
        defaults: ServiceChange::default(),
    };
    rest.registry.apply(access, command).await.map(|_| ())
}

/// Renews the lease of an instance; `path` is where one that is not there is registered.
pub(crate) async fn renew(
    rest: &Rest,
    access: &Access,
    service: &ServiceKey,
    id: &InstanceId,
    path: &str,
) -> Answer {
    let renewed = async {
        let view = rest.registry.view(access);
        let key = view.instance(service, id, None)?.key().clone();
        drop(view);
        rest.registry.heartbeat(access, &key, None, None).await
    };
    match renewed.await {
        Ok(_) => Ok(success("Heartbeat updated successfully".to_owned())),
        Err(error) => Err(register_first(&error, service, id, path)),
    }
}

/// Tells a client whose instance is not there what to do about it.
fn register_first(
    error: &RegistryError,
    service: &ServiceKey,
    id: &InstanceId,
    path: &str,
) -> Refusal {
    let problem = Problem::from(error);
    if error.kind() == ErrorKind::NotFound {
        let name = &service.name;
        let sentence =
            format!("Service {name}:{id} is not registered: register it again with {path}");
        return problem.saying(sentence).into();
    }
    problem.into()
}

/// Removes an instance and answers with `message`.
pub(crate) async fn leave(
    rest: &Rest,
    access: &Access,
    service: ServiceKey,
    id: InstanceId,
    message: String,
) -> Answer {
    let owner = None;
    let command = Command::Deregister { service, id, owner };
    rest.registry.apply(access, command).await?;
    Ok(success(message))
}
