//! A notice as a bubble on the screen, by `notify-send` of libnotify.

use std::collections::BTreeMap;

use copex_proto::notify::{Notice, NoticeEvent};

/// Run for each bubble. What it says comes by variables: a shell must not read it.
///
/// GLib finds the session bus by `$DBUS_SESSION_BUS_ADDRESS`, else in `$XDG_RUNTIME_DIR`.
pub(super) const COMMAND: &str = "exec notify-send --app-name=copex --urgency=\"$COPEX_URGENCY\" -- \"$COPEX_TITLE\" \"$COPEX_TEXT\"";

/// The variables that [`COMMAND`] reads.
pub(super) fn variables(notice: &Notice) -> BTreeMap<String, String> {
    let (title, urgency) = match notice.event {
        NoticeEvent::Ask => ("needs you", "critical"),
        NoticeEvent::Parked => ("waits", "low"),
        NoticeEvent::Resumed => ("goes on", "low"),
        NoticeEvent::Done => ("done", "normal"),
        NoticeEvent::Failed => ("failed", "critical"),
        NoticeEvent::Budget => ("limit", "critical"),
        NoticeEvent::Unknown => ("news", "low"),
    };
    let mut lines = vec![notice.title.lines().next().unwrap_or_default()];
    let asked = notice.ask.as_ref().map(|ask| ask.title.as_str());
    let why = notice.error.as_ref().map(|error| error.message.as_str());
    lines.extend(asked.or(why).or(notice.reason.as_deref()));
    lines.push(&notice.next);
    let pairs = [
        ("COPEX_TITLE", format!("copex {}: {title}", notice.mode.as_str())),
        ("COPEX_TEXT", escape(&lines.join("\n"))),
        ("COPEX_URGENCY", urgency.to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The body of a bubble may have markup (Desktop Notifications Specification, "Markup").
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\0', "")
}

#[cfg(test)]
mod tests {
    use copex_proto::id::RunId;
    use copex_proto::run::{Mode, RunState};

    use super::*;

    #[test]
    fn a_bubble_says_what_happened_and_what_to_do() {
        let notice = Notice {
            event: NoticeEvent::Parked,
            run: RunId::new(1, 1),
            mode: Mode::Ralph,
            title: "fix <b> & c".to_owned(),
            cwd: "/w".to_owned(),
            at: 1,
            state: RunState::Parked,
            foreground: false,
            next: "copexctl runs resume --now x".to_owned(),
            ask: None,
            reason: Some("limited".to_owned()),
            until: None,
            error: None,
            spend: None,
        };
        let told = variables(&notice);
        assert_eq!(told["COPEX_TITLE"], "copex ralph: waits");
        assert_eq!(
            told["COPEX_TEXT"],
            "fix &lt;b&gt; &amp; c\nlimited\ncopexctl runs resume --now x"
        );
    }
}
