//! `waypost explain`

use clap::Args;
use waypost_client::wire::{AsSent, Edge, Lease, LeaseState, Visibility};
use waypost_client::{CheckReport, Explanation, Resource, Tier};

use super::InstanceArguments;
use super::mode::overrides;
use crate::age::{Ages, latest_first, seconds};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::table::{Cell, Grid, Paint};
use crate::text::{or_dash, visible};
use crate::{Exit, GlobalOptions};

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArguments {
    /// The instance.
    #[command(flatten)]
    pub instance: InstanceArguments,
}

impl ExplainArguments {
    pub(crate) async fn run(
        self,
        options: &GlobalOptions,
        screen: &mut Screen<'_>,
    ) -> Result<Exit, Failure> {
        let client = options.client()?;
        let named = self.instance.reference();
        let sent: AsSent<Explanation> = client.get(Resource::Explanation(&named)).await?;
        let ages = Ages::new(client.server_time());
        screen.object(&sent, |colors| report(&sent.value, ages, colors))?;
        Ok(if sent.value.in_rotation {
            Exit::Ok
        } else {
            Exit::Unhealthy
        })
    }
}

/// The whole report: the sentence first, then the evidence.
fn report(explanation: &Explanation, ages: Ages, colors: bool) -> String {
    let mut text = sentence(explanation, ages, colors);
    text.push('\n');
    text.push_str(&summary(explanation, ages).render(colors));
    if !explanation.checks.is_empty() {
        title(&mut text, "Checks", colors);
        for check in &explanation.checks {
            text.push_str(&check_report(check, ages, colors));
        }
    }
    if !explanation.history.is_empty() {
        title(&mut text, "History, latest first", colors);
        text.push_str(&history(&explanation.history, ages).render(colors));
    }
    if !explanation.visible.is_empty() {
        title(&mut text, "Visible", colors);
        text.push_str(&visibility(&explanation.visible).render(colors));
    }
    text
}

fn sentence(explanation: &Explanation, ages: Ages, colors: bool) -> String {
    let name = visible(&format!("{}/{}", explanation.service, explanation.id));
    let place = match (explanation.in_rotation, &explanation.tier) {
        (false, _) => Paint::Bad.apply("OUT of rotation", colors),
        (true, Some(Tier::FailOpen)) => {
            Paint::Doubtful.apply("IN rotation only because the service fails open", colors)
        }
        (true, _) => Paint::Good.apply("IN rotation", colors),
    };
    let mut text = format!("{name} is {place}");
    let reason = visible(&explanation.reason);
    if !reason.is_empty() {
        text.push_str(": ");
        text.push_str(reason.trim_end_matches('.'));
    }
    if !explanation.since.is_empty() {
        text.push_str(&format!(", since {}", ages.ago(Some(&explanation.since))));
    }
    text.push('\n');
    text
}

fn summary(explanation: &Explanation, ages: Ages) -> Grid {
    let mut grid = Grid::plain().indented(2);
    grid.pair("namespace", visible(&explanation.namespace));
    if !explanation.owner.is_empty() {
        grid.pair("owner", visible(&explanation.owner));
    }
    grid.pair("health", &explanation.health);
    if let Some(checked) = explanation
        .checked_health
        .as_ref()
        .filter(|checked| **checked != explanation.health)
    {
        grid.pair("checks say", checked);
    }
    grid.pair("mode", &explanation.mode);
    for (name, text) in overrides(&explanation.overrides) {
        grid.pair(name, text);
    }
    let tier = explanation.tier.as_ref().map(ToString::to_string);
    grid.pair("tier", or_dash(tier.as_deref()));
    grid.pair("lease", lease(explanation.lease.as_ref(), ages));
    grid
}

fn lease(lease: Option<&Lease>, ages: Ages) -> Cell {
    let Some(lease) = lease else {
        return "none".into();
    };
    let (word, paint) = match &lease.state {
        LeaseState::NotStarted => ("starts with the first heartbeat", Paint::Faint),
        LeaseState::Running => ("running", Paint::Plain),
        LeaseState::Suspect => ("late, held by protection", Paint::Doubtful),
        LeaseState::Over => ("over", Paint::Bad),
        other => (other.as_str(), Paint::Plain),
    };
    let mut parts = vec![visible(word)];
    if let Some(since) = lease
        .since
        .as_deref()
        .filter(|_| lease.state != LeaseState::Running)
    {
        parts.push(format!("since {}", ages.ago(Some(since))));
    }
    parts.extend(
        lease
            .duration_seconds
            .map(|length| format!("{} long", seconds(length))),
    );
    parts.extend(
        lease
            .last_heartbeat
            .as_deref()
            .map(|at| format!("last heartbeat {}", ages.ago(Some(at)))),
    );
    parts.extend(
        lease
            .ends_in_seconds
            .map(|left| format!("ends in {}", seconds(left))),
    );
    Cell::painted(parts.join(", "), paint)
}

fn check_report(check: &CheckReport, ages: Ages, colors: bool) -> String {
    let mut head = Grid::plain().indented(2);
    let name = if check.id == check.kind.as_str() {
        visible(&check.id)
    } else {
        visible(&format!("{} ({})", check.id, check.kind))
    };
    head.row([
        name.into(),
        (&check.state).into(),
        or_dash(check.target.as_deref()).into(),
    ]);
    let mut lines = Grid::plain().indented(4);
    let reason = check
        .reason
        .as_deref()
        .map(visible)
        .filter(|reason| !reason.is_empty());
    if let Some(since) = &check.since {
        let why = reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        lines.pair("since", format!("{}{why}", ages.ago(Some(since))));
    } else if let Some(reason) = reason {
        lines.pair("reason", reason);
    }
    lines.pair("last probe", ages.ago(check.last_probe.as_deref()));
    for dependency in &check.dependencies {
        let detail = dependency.detail.as_deref().map(visible);
        let detail = detail
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default();
        let (name, state) = (
            visible(&dependency.name),
            visible(dependency.state.as_str()),
        );
        lines.pair("depends on", format!("{name} {state}{detail}"));
    }
    if let Some(answer) = &check.last_answer {
        let text = evidence(None, answer.status, answer.body.as_deref());
        lines.pair(
            "last answer",
            format!("{}{text}", ages.ago(Some(&answer.at))),
        );
    }
    if let Some(failure) = &check.last_failure {
        let text = evidence(
            Some(&failure.reason),
            failure.status,
            failure.body.as_deref(),
        );
        lines.pair(
            "last failure",
            format!("{}{text}", ages.ago(Some(&failure.at))),
        );
    }
    head.render(colors) + &lines.render(colors)
}

/// What was seen: reason, status and body, as far as there are any.
fn evidence(reason: Option<&str>, status: Option<u16>, body: Option<&str>) -> String {
    let parts: Vec<String> = reason
        .map(visible)
        .into_iter()
        .chain(status.map(|status| format!("status {status}")))
        .chain(body.map(visible))
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    }
}

fn history(edges: &[Edge], ages: Ages) -> Grid {
    let mut edges: Vec<&Edge> = edges.iter().collect();
    // The sort is stable, so changes within one instant stay in the server's order.
    edges.sort_by(|left, right| latest_first(&left.at, &right.at));
    let mut grid = Grid::plain().indented(2);
    for edge in edges {
        let from = edge.from.as_ref().map(|health| visible(health.as_str()));
        grid.row([
            ages.ago(Some(&edge.at)).into(),
            format!(
                "{} -> {}",
                or_dash(from.as_deref()),
                visible(edge.to.as_str())
            )
            .into(),
            (visible(&edge.reason) + &evidence(None, None, edge.body.as_deref())).into(),
        ]);
    }
    grid
}

fn visibility(places: &[Visibility]) -> Grid {
    let mut grid = Grid::plain().indented(2);
    for place in places {
        let seen = if place.visible {
            ("yes", Paint::Good)
        } else {
            ("no", Paint::Bad)
        };
        grid.row([
            visible(&place.dialect).into(),
            Cell::painted(seen.0, seen.1),
            visible(&place.place).into(),
            visible(&place.why).into(),
        ]);
    }
    grid
}

fn title(text: &mut String, title: &str, colors: bool) {
    text.push('\n');
    text.push_str(&Paint::Bold.apply(title, colors));
    text.push('\n');
}
