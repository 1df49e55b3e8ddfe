//! ARNs, and ids that may be given as ARNs.

use crate::fault::Fault;

/// What an ARN of this service names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Namespace,
    Service,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Service => "service",
        }
    }
}

/// Writes an ARN.
pub(crate) fn arn(region: &str, account: &str, kind: Kind, id: &str) -> String {
    format!(
        "arn:aws:servicediscovery:{region}:{account}:{}/{id}",
        kind.word()
    )
}

/// Returns the id in an ARN, or the text itself when it is none: every `Id` takes both.
pub(crate) fn id_of(given: &str, kind: Kind) -> Result<&str, Fault> {
    if !given.starts_with("arn:") {
        return Ok(given);
    }
    match read(given) {
        Some((found, id)) if found == kind => Ok(id),
        _ => Err(Fault::invalid(format!(
            "{given} is not the ARN of a {} of AWS Cloud Map.",
            kind.word()
        ))),
    }
}

/// Reads an ARN of this service, whatever its region and account.
pub(crate) fn read(given: &str) -> Option<(Kind, &str)> {
    let mut parts = given.splitn(6, ':');
    let is_ours = parts.next() == Some("arn")
        && parts
            .next()
            .is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("servicediscovery");
    let _region = parts.next()?;
    let _account = parts.next()?;
    let (word, id) = parts.next()?.split_once('/')?;
    let kind = [Kind::Namespace, Kind::Service]
        .into_iter()
        .find(|kind| kind.word() == word)?;
    (is_ours && !id.is_empty()).then_some((kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_given_as_an_arn_of_its_kind_only() {
        let written = arn("eu-west-1", "123456789012", Kind::Service, "srv-a");
        assert_eq!(
            written,
            "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-a"
        );
        assert_eq!(id_of(&written, Kind::Service).unwrap(), "srv-a");
        assert_eq!(id_of("srv-a", Kind::Service).unwrap(), "srv-a");
        assert!(id_of(&written, Kind::Namespace).is_err());
        for other in [
            "arn:aws:s3:::bucket",
            "arn:",
            "arn:aws:servicediscovery:a:b:service",
        ] {
            assert!(id_of(other, Kind::Service).is_err(), "{other}");
        }
    }
}
