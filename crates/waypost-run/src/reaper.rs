//! What the first process of a container must do: wait for the children of others that it inherits.

use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, getpid, waitid, waitpid};

/// How often it is looked for them besides when one is heard of.
const LOOK: Duration = Duration::from_secs(1);
/// Most that are waited for in one go.
const AT_ONCE: usize = 1_024;

/// Reaps inherited processes for ever, if this is process 1; `is_own` tells those that somebody here waits for.
pub(crate) async fn reap(is_own: impl Fn(i32) -> bool) {
    if getpid() != Pid::INIT {
        std::future::pending::<()>().await;
    }
    loop {
        reap_once(&is_own);
        tokio::time::sleep(LOOK).await;
    }
}

fn reap_once(is_own: impl Fn(i32) -> bool) {
    for _ in 0..AT_ONCE {
        // Looked at first and left as it is: the status of an own child belongs to who waits for it.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let Ok(Some(_)) = waitid(WaitId::All, options) else {
            return;
        };
        // The status does not name its process here, so that /proc is asked for the dead children of this one.
        let Some(orphan) = dead_children().into_iter().find(|pid| !is_own(*pid)) else {
            return;
        };
        let Some(pid) = Pid::from_raw(orphan) else {
            return;
        };
        let _reaped = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Lists the children of this process that have ended and that nobody has waited for.
fn dead_children() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = getpid().as_raw_nonzero().get();
    let dead = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // After the name in parentheses, which may hold anything: state, then parent.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?.parse::<i32>().ok()?);
        (state == "Z" && parent == own).then_some(pid)
    });
    dead.collect()
}
