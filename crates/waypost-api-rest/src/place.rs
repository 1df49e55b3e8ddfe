//! Where a page of instances ended: a key and never a count, so that what comes and goes between pages moves nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waypost_core::{Epoch, InstanceId, InstanceKey, Owner, RegistryError, ServiceKey};

/// The form of the tokens, so that another one can be told apart.
const FORM: u8 = 1;
/// Form, length of the names, epoch and digest.
const HEAD_BYTES: usize = 1 + 2 + 8 + 8;

/// The instance, or the whole service, that was looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) service: ServiceKey,
    /// None when nothing of the service is left.
    pub(crate) instance: Option<(InstanceId, Owner)>,
}

impl Place {
    /// Names the place after an instance.
    pub(crate) fn after(key: &InstanceKey) -> Self {
        Self {
            service: key.service.clone(),
            instance: Some((key.id.clone(), key.owner.clone())),
        }
    }

    /// Writes the token with which the next page is asked for.
    pub(crate) fn write(&self, epoch: Epoch, digest: [u8; 8]) -> String {
        let mut names = vec![self.service.namespace.as_str(), self.service.name.as_str()];
        if let Some((id, owner)) = &self.instance {
            names.extend([id.as_str(), owner.as_str()]);
        }
        // No name has a control character.
        let names = names.join("\0");
        let mut bytes = vec![FORM];
        bytes.extend(length(&names).to_be_bytes());
        bytes.extend(epoch.0.to_be_bytes());
        bytes.extend(digest);
        bytes.extend(names.bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token of the same query in the same history.
    pub(crate) fn read(token: &str, epoch: Epoch, digest: [u8; 8]) -> Result<Self, RegistryError> {
        let refuse = |rule: &str| RegistryError::invalid("after", token, rule);
        let garbled = || refuse("must be the next of a page, as it was answered");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| garbled())?;
        let (head, names) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(garbled)?;
        let rest = head.strip_prefix(&[FORM]).ok_or_else(garbled)?;
        let (length_written, rest) = rest.split_first_chunk::<2>().ok_or_else(garbled)?;
        let (written, asked) = rest.split_first_chunk::<8>().ok_or_else(garbled)?;
        if u64::from_be_bytes(*written) != epoch.0 {
            return Err(refuse(
                "belongs to another history than the registry has now: start again without it",
            ));
        }
        if asked != digest {
            return Err(refuse(
                "belongs to another query: start again without it, or ask what it was answered to",
            ));
        }
        let names = std::str::from_utf8(names).map_err(|_| garbled())?;
        if length(names) != u16::from_be_bytes(*length_written) {
            return Err(garbled());
        }
        let names: Vec<&str> = names.split('\0').collect();
        let named =
            |namespace, name, instance: Option<(&str, &str)>| -> Result<Self, RegistryError> {
                Ok(Self {
                    service: ServiceKey::new(namespace, name)?,
                    instance: match instance {
                        Some((id, owner)) => Some((InstanceId::new(id)?, Owner::new(owner)?)),
                        None => None,
                    },
                })
            };
        match *names {
            [namespace, name] => named(namespace, name, None),
            [namespace, name, id, owner] => named(namespace, name, Some((id, owner))),
            _ => return Err(garbled()),
        }
        .map_err(|_| garbled())
    }
}

/// Tells a token that was cut from a whole one.
fn length(names: &str) -> u16 {
    u16::try_from(names.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(instance: bool) -> Place {
        let key = InstanceKey::new("svc.internal", "two words", "a/b:1@x").unwrap();
        let place = Place::after(&key);
        Place {
            instance: place.instance.filter(|_| instance),
            ..place
        }
    }

    #[test]
    fn a_token_leads_back_to_its_place() {
        for place in [place(true), place(false)] {
            let token = place.write(Epoch(7), [1; 8]);
            assert_eq!(Place::read(&token, Epoch(7), [1; 8]).unwrap(), place);
        }
    }

    #[test]
    fn tokens_of_other_queries_and_histories_and_no_tokens_are_refused_with_the_reason() {
        let token = place(true).write(Epoch(7), [1; 8]);
        let refusal = |token: &str, epoch, digest| {
            Place::read(token, Epoch(epoch), digest)
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(&token, 8, [1; 8]).contains("another history"));
        assert!(refusal(&token, 7, [2; 8]).contains("another query"));
        for cut in 0..token.len() {
            assert!(Place::read(&token[..cut], Epoch(7), [1; 8]).is_err());
        }
        for garbled in ["", "web-1", "?", "AAAA", "AQAAAAAAAAAAAAcBAQEBAQEBAQ"] {
            assert!(refusal(garbled, 7, [1; 8]).contains("must be the next of a page"));
        }
    }
}
