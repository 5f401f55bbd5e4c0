//! What systemd is told (`Type=notify`), when it asks by `NOTIFY_SOCKET`. Without it, nothing happens.

use sd_notify::NotifyState;

/// The process serves. `status` is one line for `systemctl status`.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins; [`ready`] ends it (`Type=notify-reload`).
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The process is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("open transactions finish")]);
}

fn tell(states: &[NotifyState<'_>]) {
    // A service manager that cannot be told is no reason to stop carrying calls.
    let _ = sd_notify::notify(states);
}
