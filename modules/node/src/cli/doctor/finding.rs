//! What a check found: the figure, how bad it is, why it costs calls, and what to do about it.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As it should be.
    Fine,
    /// Good to know; nothing has to be done.
    Note,
    /// Calls cost more than they need to.
    Slow,
    /// Calls are lost, or will be.
    Loss,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// A fixed word, for scripts.
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    /// What was read, with its figure.
    pub(super) figure: String,
    /// Why it costs calls; empty when all is fine.
    pub(super) why: String,
    /// What to do, in words; empty when there is nothing to do.
    pub(super) remedy: String,
    /// The same as lines for a shell, where a shell can do it.
    pub(super) commands: Vec<String>,
}

impl Finding {
    fn new(severity: Severity, rule: &'static str, figure: impl Into<String>) -> Self {
        let (why, remedy) = Default::default();
        Finding { rule, severity, figure: figure.into(), why, remedy, commands: Vec::new() }
    }

    pub(super) fn fine(rule: &'static str, figure: impl Into<String>) -> Self {
        Finding::new(Severity::Fine, rule, figure)
    }

    pub(super) fn note(rule: &'static str, figure: impl Into<String>) -> Self {
        Finding::new(Severity::Note, rule, figure)
    }

    pub(super) fn slow(rule: &'static str, figure: impl Into<String>) -> Self {
        Finding::new(Severity::Slow, rule, figure)
    }

    pub(super) fn loss(rule: &'static str, figure: impl Into<String>) -> Self {
        Finding::new(Severity::Loss, rule, figure)
    }

    /// `slow` when it holds, else `note`: a figure that counts since the host started is a finding only
    /// where it is more than a trace.
    pub(super) fn slow_if(holds: bool, rule: &'static str, figure: impl Into<String>) -> Self {
        Finding::new(if holds { Severity::Slow } else { Severity::Note }, rule, figure)
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// A kernel setting, now and after the next start of the host.
    pub(super) fn sysctl(self, name: &str, value: impl std::fmt::Display) -> Self {
        let file = format!("/etc/sysctl.d/60-tandem-{}.conf", name.replace('.', "-"));
        self.command(format!("sysctl -w {name}={value}")).command(format!("printf '%s\\n' '{name} = {value}' > {file}"))
    }

    /// Whether a script has to be told (exit code 1).
    pub(super) fn counts(&self) -> bool {
        self.severity >= Severity::Slow
    }
}

/// A word as a shell reads it back, whatever it contains.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,:/=@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_when_a_shell_would_read_more_into_them() {
        assert_eq!(quoted("eth0"), "eth0");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("$(x)'"), r"'$(x)'\'''");
        assert_eq!(quoted(""), "''");
    }
}
