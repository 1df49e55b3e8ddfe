//! `waypost token`

use clap::{Args, Subcommand};
use waypost_client::{GrantLine, IssuedToken, TokenSettings};

use crate::duration::seconds;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::Grid;
use crate::text::{or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Arguments of `token`.
#[derive(Args, Clone, Debug)]
pub struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum TokenCommand {
    /// Issue a token, or with --aws a key pair; its secret is shown once
    Create(CreateArguments),
    /// List the credentials that were issued
    Ls,
    /// Issue a credential in the place of another one: the same, with a new secret
    Rotate {
        /// The id of the one that ends, as `token ls` shows it
        id: String,

        /// How long the old one holds beside it, such as 1h; without it, it ends at once
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        grace: Option<u32>,
    },
    /// Revoke a credential; it ends at once
    Revoke {
        /// Its id, as `token ls` shows it
        id: String,
    },
}

#[derive(Args, Clone, Debug)]
struct CreateArguments {
    /// What it is for; it stands in audit lines
    name: String,

    /// Issue a key pair of AWS's kind, for SDKs and the AWS CLI
    #[arg(long)]
    aws: bool,

    /// The account in ARNs, for a key pair: 12 digits
    #[arg(long, value_name = "DIGITS", requires = "aws")]
    account: Option<String>,

    /// What it allows, such as read,register:svc.internal/web*; without any, everything
    #[arg(long = "allow", value_name = "VERBS[:NAMESPACE[/SERVICE]]", value_parser = grant)]
    allow: Vec<GrantLine>,

    /// How long it holds, such as 90d or 12h; without it, until it is revoked
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u32>,
}

impl TokenArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        match self.command {
            TokenCommand::Create(create) => {
                let settings = TokenSettings {
                    name: create.name,
                    aws: create.aws,
                    account: create.account,
                    grants: create.allow,
                    expires_in_seconds: create.expires,
                };
                let made = client.issue_token(&settings).await?;
                screen.object(&made, |_| secret_of(&made))?;
                screen
                    .note("this is shown once; the server keeps nothing that could be sent to it");
                screen.note("from now on every request needs a credential: --token-file or WAYPOST_TOKEN gives it to this program");
            }
            TokenCommand::Ls => {
                let list = client.tokens().await?;
                screen.objects(&list, &list.tokens, |colors| table(&list.tokens, colors))?;
                if list.tokens.is_empty() {
                    screen.note("no credential was issued yet; `waypost token create NAME` does");
                }
            }
            TokenCommand::Rotate { id, grace } => {
                let made = client.rotate_token(&id, grace).await?;
                screen.object(&made, |_| secret_of(&made))?;
                let ends = match grace {
                    None => "has ended".to_owned(),
                    Some(seconds) => format!("ends in {seconds} s"),
                };
                let (old, new) = (visible(&id), visible(&made.id));
                screen.note(&format!("{old} {ends}; this secret of {new} is shown once"));
            }
            TokenCommand::Revoke { id } => {
                client.revoke_token(&id).await?;
                screen.note(&format!("{} is revoked", visible(&id)));
            }
        }
        Ok(Exit::Ok)
    }
}

/// Writes what a shell or a file takes.
fn secret_of(made: &IssuedToken) -> String {
    let secret = made.secret.as_deref().unwrap_or_default();
    if made.kind == "aws" {
        let id = &made.id;
        return format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n");
    }
    format!("{secret}\n")
}

fn table(tokens: &[IssuedToken], colors: bool) -> String {
    if tokens.is_empty() {
        return String::new();
    }
    let mut grid = Grid::with_header(&[
        "ID",
        "NAME",
        "KIND",
        "ALLOWS",
        "CREATED",
        "EXPIRES",
        "LAST USED",
    ]);
    for token in tokens {
        let grants: Vec<String> = token
            .grants
            .iter()
            .map(|line| {
                let verbs = line.verbs.join(",");
                format!("{verbs}:{}/{}", line.namespaces, line.services)
            })
            .collect();
        let allows = if grants.is_empty() {
            "everything".to_owned()
        } else {
            grants.join(" ")
        };
        grid.row([
            visible(&token.id).into(),
            visible(&token.name).into(),
            visible(&token.kind).into(),
            visible(&allows).into(),
            visible(&token.created).into(),
            or_dash(token.expires.as_deref()).into(),
            or_dash(token.last_used.as_deref()).into(),
        ]);
    }
    grid.render(colors)
}

/// Reads `read,register:svc.internal/web*`.
fn grant(text: &str) -> Result<GrantLine, String> {
    let (verbs, place) = text.split_once(':').unwrap_or((text, "*"));
    let (namespaces, services) = place.split_once('/').unwrap_or((place, "*"));
    let verbs: Vec<String> = verbs.split(',').map(str::to_owned).collect();
    let known = ["read", "register", "operate", "configure", "admin"];
    if namespaces.contains(':') || services.contains(':') {
        return Err(format!(
            "{place:?} is no place: expected NAMESPACE or NAMESPACE/SERVICE"
        ));
    }
    match verbs.iter().find(|verb| !known.contains(&verb.as_str())) {
        Some(verb) => Err(format!(
            "there is no verb {verb:?}; there are {}",
            known.join(", ")
        )),
        None => Ok(GrantLine {
            verbs,
            namespaces: namespaces.to_owned(),
            services: services.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_with_their_places() {
        let line = grant("read,register:svc.internal/web*").unwrap();
        assert_eq!(line.verbs, ["read", "register"]);
        assert_eq!(
            (&*line.namespaces, &*line.services),
            ("svc.internal", "web*")
        );
        let line = grant("read").unwrap();
        assert_eq!((&*line.namespaces, &*line.services), ("*", "*"));
        assert!(grant("write").is_err());
        assert!(grant("read:svc.internal:web").is_err());
    }
}
