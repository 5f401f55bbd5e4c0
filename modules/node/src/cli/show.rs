//! Replies that are a few lines.

use super::table::duration;
use crate::reply::{Drain, Reload};
use std::fmt::Write;

pub(super) fn reload(reply: &Reload) -> String {
    let mut text = reply.warnings.clone();
    for line in &reply.changed {
        let _ = writeln!(text, "{line}");
    }
    if !reply.needs_restart.is_empty() {
        let _ = writeln!(text, "holds after a restart only:");
        for line in &reply.needs_restart {
            let _ = writeln!(text, "  {line}");
        }
    }
    let what = if reply.changed.is_empty() { "nothing changed" } else { "in force" };
    let _ = writeln!(text, "{}: {what} (generation {})", reply.from, reply.generation);
    text
}

pub(super) fn drain(reply: &Drain) -> String {
    match (reply.serving.as_str(), reply.refusing_in_seconds) {
        ("normal", _) => "new calls are carried, OPTIONS are answered\n".into(),
        (_, Some(seconds)) => {
            let left = duration(seconds);
            format!("OPTIONS get 503 from now on; new calls are carried for another {left}, then they get 503\n")
        }
        (_, None) => "OPTIONS and new calls get 503; calls that stand go on\n".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_says_what_holds_and_what_waits() {
        let reply = Reload {
            from: "/etc/tandem.toml".into(),
            changed: vec!["+ gateway c".into()],
            needs_restart: vec!["limits.calls_per_shard: 1 -> 2".into()],
            generation: 4,
            ..Reload::default()
        };
        let wanted = "+ gateway c\nholds after a restart only:\n  limits.calls_per_shard: 1 -> 2\n\
                      /etc/tandem.toml: in force (generation 4)\n";
        assert_eq!(reload(&reply), wanted);
        assert!(reload(&Reload::default()).contains("nothing changed"));
    }

    #[test]
    fn a_drain_says_what_happens_when() {
        let drain = |serving: &str, seconds| drain(&Drain { serving: serving.into(), refusing_in_seconds: seconds });
        assert!(drain("leaving", Some(30)).contains("another 30s"));
        assert!(drain("refusing", None).contains("new calls get 503"));
        assert!(drain("normal", None).contains("new calls are carried"));
    }
}
