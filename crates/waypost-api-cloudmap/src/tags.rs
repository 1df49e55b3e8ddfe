//! Tags of namespaces and services.

use waypost_core::{Attributes, Command, ServiceChange};

use crate::arn::{Kind, read};
use crate::fault::{About, Fault};
use crate::namespaces;
use crate::state::Call;
use crate::value::{Map, Value};

/// Most tags of one resource (AWS's quota).
const TAGS_MAX: usize = 50;

/// Reads the `Tags` of a request.
pub(crate) fn given(input: &Value) -> Result<Attributes, Fault> {
    merged(&Attributes::default(), input)
}

/// Puts the `Tags` of a request over those that are there.
fn merged(known: &Attributes, input: &Value) -> Result<Attributes, Fault> {
    let mut pairs: Vec<(String, String)> = known
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for tag in input.list("Tags") {
        let key = tag.text("Key").unwrap_or_default();
        let value = tag.text("Value").unwrap_or_default();
        pairs.retain(|(known, _)| known != key);
        pairs.push((key.to_owned(), value.to_owned()));
    }
    if pairs.len() > TAGS_MAX {
        return Err(Fault::bad(
            "TooManyTagsException",
            format!(
                "A resource has at most {TAGS_MAX} tags, not {}.",
                pairs.len()
            ),
        ));
    }
    Attributes::tags(pairs).map_err(|error| Fault::of(&error, About::Service))
}

fn not_found(arn: &str) -> Fault {
    Fault::missing(
        "ResourceNotFoundException",
        format!("There is no resource {arn}."),
    )
}

fn resource<'a>(call: &'a Call<'_>) -> Result<(Kind, &'a str, Attributes), Fault> {
    let arn = call.input.text("ResourceARN").unwrap_or_default();
    let (kind, id) = read(arn).ok_or_else(|| not_found(arn))?;
    let tags = match kind {
        Kind::Namespace => call
            .namespace(id)
            .map(|state| state.namespace().tags.clone()),
        Kind::Service => call.service(id).map(|state| state.service().tags.clone()),
    };
    Ok((kind, id, tags.map_err(|_| not_found(arn))?))
}

async fn put(call: &Call<'_>, (kind, id): (Kind, &str), tags: Attributes) -> Result<Value, Fault> {
    match kind {
        Kind::Namespace => namespaces::put_tags(call, id, tags).await?,
        Kind::Service => {
            let state = call.service(id)?;
            let command = Command::UpdateService {
                key: state.service().key.clone(),
                change: ServiceChange {
                    tags: Some(tags),
                    ..ServiceChange::default()
                },
                expected: None,
            };
            call.apply(command, About::Service).await?;
        }
    }
    Ok(Map::new().done())
}

pub(crate) async fn tag(call: &Call<'_>) -> Result<Value, Fault> {
    let (kind, id, known) = resource(call)?;
    let tags = merged(&known, &call.input)?;
    put(call, (kind, id), tags).await
}

pub(crate) async fn untag(call: &Call<'_>) -> Result<Value, Fault> {
    let (kind, id, known) = resource(call)?;
    let goes = |key: &str| {
        let keys = call.input.list("TagKeys").iter();
        keys.into_iter().any(|gone| *gone == Value::from(key))
    };
    let kept = known.iter().filter(|(key, _)| !goes(key));
    let tags = Attributes::tags(kept).map_err(|error| Fault::of(&error, About::Service))?;
    put(call, (kind, id), tags).await
}

pub(crate) fn list(call: &Call<'_>) -> Result<Value, Fault> {
    let (_, _, tags) = resource(call)?;
    let tags: Vec<Value> = tags
        .iter()
        .map(|(key, value)| Map::new().with("Key", key).with("Value", value).done())
        .collect();
    Ok(Map::new().with("Tags", tags).done())
}
