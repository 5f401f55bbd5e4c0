//! What has come of the candidate, for people.

use crate::cli::show::reload;
use crate::cli::table::duration;
use crate::reply::{Promoted, Shadow};

/// `tandem shadow status`.
pub(super) fn status(reply: &Shadow) -> String {
    if reply.state == "empty" {
        return "nothing is in the shadow\n".into();
    }
    let (path, since) = (reply.path.display(), duration(reply.seconds));
    let mut text = format!("{} {path}, put there by {} {since} ago", reply.kind, reply.who);
    let note = reply.note.as_deref();
    if reply.state == "failed" {
        return text + &format!("\nit cannot be evaluated: {}\n", note.unwrap_or("for a reason that is not known"));
    }
    let outcome = &reply.outcome;
    text += &format!(
        "\nmargin an hour: {} {currency} as calls went, {} {currency} as they would have gone\n",
        reply.margin_an_hour_before,
        reply.margin_an_hour_after,
        currency = outcome.currency
    );
    text += &match outcome.all.before.calls {
        0 => "no call has ended since\n".to_owned(),
        _ => outcome.text(),
    };
    text + &note.map_or(String::new(), |note| format!("note: {note}\n"))
}

/// The same on a screen that is cleared before.
pub(super) fn cleared(reply: &Shadow, clear: bool) -> String {
    format!("{}{}", if clear { "\u{1b}[H\u{1b}[J" } else { "" }, status(reply))
}

/// `tandem shadow promote`.
pub(super) fn promoted(reply: &Promoted) -> String {
    let mut text = reload(&reply.reload);
    if let Some(place) = &reply.in_place {
        let to = place.to.display();
        text += &format!("{to}: replaced; what was there is {to}.before\n");
    }
    text + &reply.note.as_ref().map_or(String::new(), |note| format!("note: {note}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_stands_there_and_what_comes_of_it() {
        assert_eq!(status(&Shadow { state: "empty".into(), ..Shadow::default() }), "nothing is in the shadow\n");
        let mut reply = Shadow {
            state: "evaluating".into(),
            kind: "image".into(),
            path: "/x.image".into(),
            who: "ann".into(),
            seconds: 90,
            margin_an_hour_before: "1.5".into(),
            margin_an_hour_after: "2".into(),
            ..Shadow::default()
        };
        reply.outcome.currency = "USD".into();
        let text = status(&reply);
        assert!(text.starts_with("image /x.image, put there by ann 1m 30s ago\nmargin an hour: 1.5 USD as"), "{text}");
        assert!(text.ends_with("no call has ended since\n"), "{text}");
        reply.outcome.all.before.calls = 3;
        assert!(status(&reply).contains("3 calls, amounts in USD"));
        let failed = Shadow { state: "failed".into(), note: Some("its file has changed".into()), ..reply };
        assert!(status(&failed).ends_with("it cannot be evaluated: its file has changed\n"));
    }
}
