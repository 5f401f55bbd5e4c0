//! Two network namespaces in which a test runs itself again; removed when dropped.

use std::process::{Command, Stdio};

/// The environment variable that tells a test which part it plays inside a namespace.
pub(crate) const ROLE: &str = "ENGINE_LIVE_TEST_ROLE";

pub(crate) struct Namespaces([String; 2]);

impl Namespaces {
    /// Makes both and runs the commands that `setup` gives for their names. `None` where that is not
    /// permitted or something is missing.
    pub(crate) fn make(tag: &str, setup: impl Fn(&str, &str) -> Vec<String>) -> Option<Self> {
        let name = |end: &str| format!("engine-{tag}{}-{end}", std::process::id());
        let made = Namespaces([name("a"), name("b")]);
        let [a, b] = &made.0;
        let mut commands = vec![format!("ip netns add {a}"), format!("ip netns add {b}")];
        commands.extend(setup(a, b));
        commands.iter().all(|command| succeeds(command)).then_some(made)
    }

    /// Runs `test` of this program in one of them, in a role.
    pub(crate) fn run(&self, which: usize, test: &str, role: &str) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.0[which]])
            .arg(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, role)
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.0 {
            succeeds(&format!("ip netns del {name}"));
        }
    }
}

fn succeeds(command: &str) -> bool {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    program.args(words).stderr(Stdio::null());
    program.status().is_ok_and(|status| status.success())
}
