//! `waypost audit` and `waypost history`

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;
use waypost_client::wire::AsSent;
use waypost_client::{AuditFilter, AuditLine, AuditObject, AuditPage, Client, Resource};

use super::InstanceArguments;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::Grid;
use crate::text::visible;
use crate::{Exit, GlobalOptions, OutputFormat};

/// Lines of one call.
const PAGE: usize = 1_000;
/// How often new lines are asked for.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

type Line = AsSent<AuditLine>;

/// Arguments of `audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditArguments {
    /// Only lines of this kind; may be given again
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<KindWord>,

    /// Only what this credential did, by its name
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,

    /// Only what came from this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,

    /// Only what came by this protocol, such as rest or cloudmap
    #[arg(long, value_name = "PROTOCOL")]
    dialect: Option<String>,

    /// Only changes with this cause, such as register; or refusals of this kind, such as denied
    #[arg(long, value_name = "WORD")]
    cause: Option<String>,

    /// Only what is about this service of the namespace that -n gives
    #[arg(long, value_name = "NAME", add = crate::complete::services())]
    service: Option<String>,

    /// Only lines at this time or later, such as 2026-01-15T10:30:00Z, or from so long ago, such as 15m or 2d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only lines before this time, written like --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Most lines; 0 is all there are
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,

    /// Oldest first, and then new lines as they come
    #[arg(long, short = 'f')]
    follow: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindWord {
    /// Accepted changes
    Changed,
    /// Changes of health
    Edge,
    /// Refused requests
    Refused,
}

impl KindWord {
    fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Edge => "edge",
            Self::Refused => "refused",
        }
    }
}

/// Arguments of `history`.
#[derive(Args, Clone, Debug)]
pub struct HistoryArguments {
    #[command(flatten)]
    instance: InstanceArguments,

    /// Most changes; 0 is all there are
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

/// Writes how long ago something was as a time; whatever else is for the server to judge.
fn moment(text: String) -> String {
    let now = jiff::Timestamp::try_from(crate::clock::now()).unwrap_or_default();
    at(&text, now).unwrap_or(text)
}

fn at(text: &str, now: jiff::Timestamp) -> Option<String> {
    let ago: jiff::Span = text.parse().ok()?;
    let then = now.to_zoned(jiff::tz::TimeZone::UTC).checked_sub(ago.abs());
    Some(then.ok()?.timestamp().to_string())
}

impl AuditArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let kinds: Vec<&str> = self.kind.iter().map(|kind| kind.word()).collect();
        let filter = AuditFilter {
            kind: Some(kinds.join(",")).filter(|kinds| !kinds.is_empty()),
            namespace: options.named_namespace().map(str::to_owned),
            subject: self.subject,
            address: self.address,
            dialect: self.dialect,
            cause: self.cause,
            service: self.service,
            since: self.since.map(moment),
            until: self.until.map(moment),
            ..AuditFilter::default()
        };
        if self.follow {
            return follow(&client, filter, self.limit, screen).await;
        }
        let resource = |filter: &AuditFilter| client_page(&client, filter.clone());
        let page = pages(filter, self.limit, resource).await?;
        show(&page, screen)
    }
}

impl HistoryArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let instance = self.instance.reference();
        let page = pages(AuditFilter::default(), self.limit, |filter| {
            let (client, instance, filter) = (client.clone(), instance.clone(), filter.clone());
            async move { client.get(Resource::History(&instance, &filter)).await }
        })
        .await?;
        show(&page, screen)
    }
}

async fn client_page(
    client: &Client,
    filter: AuditFilter,
) -> Result<AuditPage<Line>, waypost_client::ClientError> {
    client.get(Resource::Audit(&filter)).await
}

/// Reads pages until there are enough lines, or no more.
async fn pages<F>(
    mut filter: AuditFilter,
    limit: usize,
    page: impl Fn(&AuditFilter) -> F,
) -> Result<AuditPage<Line>, Failure>
where
    F: Future<Output = Result<AuditPage<Line>, waypost_client::ClientError>>,
{
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut all = AuditPage {
        lines: Vec::new(),
        next: None,
    };
    while all.lines.len() < limit {
        filter.limit = Some(PAGE.min(limit - all.lines.len()));
        let mut more = page(&filter).await?;
        all.lines.append(&mut more.lines);
        all.next = more.next;
        if more.next.is_none() {
            break;
        }
        if filter.after.is_some() {
            filter.after = more.next;
        } else {
            filter.before = more.next;
        }
    }
    Ok(all)
}

/// Shows the latest lines, oldest first, and then what comes.
async fn follow(
    client: &Client,
    filter: AuditFilter,
    limit: usize,
    screen: &mut Screen<'_>,
) -> Result<Exit, Failure> {
    let resource = |filter: &AuditFilter| client_page(client, filter.clone());
    let mut latest = pages(filter.clone(), limit, resource).await?;
    latest.lines.reverse();
    tell(&latest.lines, screen)?;
    let mut after = latest.lines.last().map_or(0, |line| line.value.sequence);
    loop {
        // What is there now need not be looked at again, whether the filter admits it or not.
        let newest = client_page(client, one()).await?;
        let newest = newest.lines.first().map_or(0, |line| line.value.sequence);
        if newest > after {
            let mut filter = filter.clone();
            filter.after = Some(after);
            let page = pages(filter, 0, resource).await?;
            tell(&page.lines, screen)?;
            let last = page.lines.last().map_or(0, |line| line.value.sequence);
            after = newest.max(last);
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

fn one() -> AuditFilter {
    AuditFilter {
        limit: Some(1),
        ..AuditFilter::default()
    }
}

fn tell(lines: &[Line], screen: &mut Screen<'_>) -> Result<(), Failure> {
    for line in lines {
        match screen.format {
            OutputFormat::Table => screen.data(&(sentence(&line.value) + "\n"))?,
            OutputFormat::Json | OutputFormat::Jsonl => screen.line_of(line)?,
        }
    }
    Ok(())
}

fn show(page: &AuditPage<Line>, screen: &mut Screen<'_>) -> Result<Exit, Failure> {
    screen.objects(page, &page.lines, |colors| {
        if page.lines.is_empty() {
            return String::new();
        }
        let mut grid = Grid::with_header(&["AT", "WHO", "FROM", "WHAT"]);
        for line in &page.lines {
            let line = &line.value;
            grid.row([
                visible(&line.at).into(),
                visible(line.subject.as_deref().unwrap_or("-")).into(),
                visible(line.address.as_deref().unwrap_or("-")).into(),
                visible(&what(line)).into(),
            ]);
        }
        grid.render(colors)
    })?;
    if page.lines.is_empty() {
        screen.note("the journal has no such lines");
    }
    Ok(Exit::Ok)
}

/// Writes a line of the journal in one line of text.
fn sentence(line: &AuditLine) -> String {
    let who = visible(line.subject.as_deref().unwrap_or("-"));
    let from = visible(line.address.as_deref().unwrap_or("-"));
    format!(
        "{} {who} {from} {}",
        visible(&line.at),
        visible(&what(line))
    )
}

fn what(line: &AuditLine) -> String {
    if let Some(refusals) = line.refusals {
        return format!("{refusals} more requests were refused");
    }
    let reason = line.reason.as_deref().unwrap_or_default();
    if let Some(request) = &line.request {
        let cause = line.cause.as_deref().unwrap_or("refused");
        return format!("{cause}: {request}: {reason}");
    }
    if let (Some(from), Some(to)) = (&line.from, &line.to) {
        let instance = line.instance.as_deref().unwrap_or_default();
        let service = line.service.as_deref().unwrap_or_default();
        let of = match (service, instance) {
            ("", _) => String::new(),
            _ => format!("{service}/{instance}: "),
        };
        return format!("{of}{from} -> {to}: {reason}");
    }
    let cause = line.cause.as_deref().unwrap_or("changed");
    let objects: Vec<String> = line.objects.iter().map(object).collect();
    format!("{cause}: {}", objects.join(", "))
}

/// Names an object with what became of it.
fn object(object: &AuditObject) -> String {
    let name = match (&object.service, &object.instance) {
        (Some(service), Some(instance)) => format!("{service}/{instance}"),
        (Some(service), None) => service.clone(),
        (None, _) => object
            .document
            .clone()
            .or_else(|| object.namespace.clone())
            .unwrap_or_default(),
    };
    let became = match (&object.before, &object.after) {
        (None, _) => "new".to_owned(),
        (Some(_), None) => "gone".to_owned(),
        (Some(before), Some(after)) if is_omitted(before) || is_omitted(after) => {
            "changed".to_owned()
        }
        (Some(before), Some(after)) => differences(before, after),
    };
    // A credential by the name that was given to it.
    let content = object.after.as_ref().or(object.before.as_ref());
    let given = content.and_then(|content| content.pointer("/content/name")?.as_str());
    let given = given.map(|given| format!(" {given}")).unwrap_or_default();
    format!("{} {name}{given} ({became})", object.kind)
}

/// Says whether the line has only the size of what was there.
fn is_omitted(content: &Value) -> bool {
    content.get("omitted_bytes").is_some()
}

/// Names the members that differ.
fn differences(before: &Value, after: &Value) -> String {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return "changed".to_owned();
    };
    let names = before.keys().chain(after.keys());
    let mut differing: Vec<&str> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .map(String::as_str)
        .collect();
    differing.sort_unstable();
    differing.dedup();
    match differing.as_slice() {
        [] => "the same".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;
    use waypost_client::wire::AsSent;
    use waypost_client::{AuditFilter, AuditLine, AuditObject, AuditPage};

    use super::{at, object, pages};

    /// What a server with lines 1 to 9 answers: pages of two, and one without any line, however many are asked for.
    fn answer(filter: &AuditFilter) -> AuditPage<AsSent<AuditLine>> {
        let line = |sequence| {
            serde_json::from_value(json!({"sequence": sequence, "at": "2026-01-15T10:30:00Z"}))
                .unwrap()
        };
        let sequences: Vec<u64> = match (filter.before, filter.after) {
            (_, Some(after)) => (after + 1..=9).collect(),
            (before, None) => (1..before.unwrap_or(10)).rev().collect(),
        };
        let shown = match sequences.first() {
            Some(7) => &[][..],
            _ => &sequences[..sequences.len().min(2).min(filter.limit.unwrap())],
        };
        let last = shown.last().copied().or(sequences.first().copied());
        AuditPage {
            lines: shown.iter().copied().map(line).collect(),
            next: last.filter(|last| sequences.last() != Some(last)),
        }
    }

    async fn read(filter: AuditFilter, limit: usize) -> (Vec<u64>, Option<u64>, usize) {
        let asked = RefCell::new(0);
        let page = pages(filter, limit, |filter| {
            *asked.borrow_mut() += 1;
            std::future::ready(Ok(answer(filter)))
        });
        let page = page.await.unwrap();
        let sequences = page.lines.iter().map(|line| line.value.sequence);
        (sequences.collect(), page.next, asked.into_inner())
    }

    #[tokio::test]
    async fn short_pages_are_followed_until_there_are_enough_lines_or_no_more() {
        let newest = AuditFilter::default;
        assert_eq!(
            read(newest(), 0).await,
            (vec![9, 8, 6, 5, 4, 3, 2, 1], None, 5)
        );
        assert_eq!(read(newest(), 3).await, (vec![9, 8, 6], Some(6), 3));
        let oldest = AuditFilter {
            after: Some(0),
            ..AuditFilter::default()
        };
        assert_eq!(
            read(oldest, 0).await,
            (vec![1, 2, 3, 4, 5, 6, 8, 9], None, 5)
        );
    }

    #[test]
    fn what_was_left_out_of_a_line_is_not_taken_for_the_same() {
        let of = |before: u32, after: u32| AuditObject {
            kind: "document".to_owned(),
            document: Some("a".to_owned()),
            before: Some(json!({ "omitted_bytes": before })),
            after: Some(json!({ "omitted_bytes": after })),
            ..AuditObject::default()
        };
        assert_eq!(object(&of(20_000, 20_000)), "document a (changed)");
        assert_eq!(object(&of(20_000, 20_001)), "document a (changed)");
    }

    #[test]
    fn how_long_ago_is_a_time_and_everything_else_is_not() {
        let now = "2026-03-02T10:30:00Z".parse().unwrap();
        for (ago, then) in [
            ("15m", "2026-03-02T10:15:00Z"),
            ("2d", "2026-02-28T10:30:00Z"),
            ("1h 30m", "2026-03-02T09:00:00Z"),
            ("1h ago", "2026-03-02T09:30:00Z"),
        ] {
            assert_eq!(at(ago, now).as_deref(), Some(then), "{ago}");
        }
        for other in ["2026-01-15T10:30:00Z", "yesterday", "", "15", "99999y"] {
            assert_eq!(at(other, now), None, "{other:?}");
        }
    }
}
