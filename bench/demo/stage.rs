//! The programs of the demo, in a folder of their own that goes with them.

use serde_json::Value;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Tandem listens.
pub(crate) const TANDEM: &str = "127.0.0.1:25060";

/// The configuration: ten lines, and two that keep the demo's state apart from that of a real installation.
const CONFIGURATION: &str = r#"[listen]
udp = ["127.0.0.1:25060"]

[[set]]
name = "carriers"
gateways = [
  { uri = "sip:127.0.0.1:25071", weight = 70 },
  { uri = "sip:127.0.0.1:25072", weight = 30 },
]
"#;

/// Everything that runs. Dropping it ends all of it and removes the folder.
pub(crate) struct Stage {
    folder: PathBuf,
    programs: PathBuf,
    tandem: Option<Child>,
    gateways: Vec<(&'static str, Child)>,
}

impl Stage {
    /// Starts Tandem; no gateway plays yet.
    pub(crate) fn set() -> io::Result<Stage> {
        let programs = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
        let folder = std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let file = folder.join("tandem.toml");
        let own = format!(
            "[state]\ndir = {:?}\n[control]\nsocket = {:?}\n",
            folder.join("state"),
            folder.join("control.sock")
        );
        fs::write(&file, format!("{CONFIGURATION}\n{own}"))?;
        let mut stage = Stage { folder, programs, tandem: None, gateways: Vec::new() };
        let log = File::create(stage.folder.join("tandem.log"))?;
        let child = stage
            .program("tandem")
            .args(["run", "--config"])
            .arg(&file)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        stage.tandem = Some(child);
        stage.wait_until_up()?;
        Ok(stage)
    }

    /// The configuration as an operator would write it.
    pub(crate) const fn configuration() -> &'static str {
        CONFIGURATION
    }

    /// What Tandem said at its start; it says it after its control socket answers.
    pub(crate) fn banner(&self) -> String {
        let start = Instant::now();
        loop {
            let log = fs::read_to_string(self.folder.join("tandem.log")).unwrap_or_default();
            let up = log.lines().position(|line| line.starts_with("up in"));
            if up.is_some() || start.elapsed() > Duration::from_secs(10) {
                let last = up.map_or(0, |up| up + 1);
                return log.lines().take(last).map(|line| format!("    {line}\n")).collect();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A gateway begins to play at `address`.
    pub(crate) fn start_gateway(&mut self, address: &'static str) -> io::Result<()> {
        let child = self
            .program("tandem-bench")
            .args(["gateways", "--quiet", "--listen", address, "--format", "json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.gateways.push((address, child));
        Ok(())
    }

    /// The gateway at `address` dies without a word.
    pub(crate) fn kill_gateway(&mut self, address: &str) -> io::Result<()> {
        for (_, child) in self.gateways.iter_mut().filter(|(at, _)| *at == address) {
            child.kill()?;
            child.wait()?;
        }
        self.gateways.retain(|(at, _)| *at != address);
        Ok(())
    }

    /// Callers begin; they end by themselves. `arguments`: of `tandem-bench call`.
    pub(crate) fn start_callers(&self, arguments: &[&str]) -> io::Result<Child> {
        self.program("tandem-bench")
            .args(["call", "--target", TANDEM, "--quiet", "--format", "json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    /// What the gateways of Tandem's set look like to it.
    pub(crate) fn gateways(&self) -> io::Result<Vec<Value>> {
        let answer = self.ask(&["gateways", "--format", "json"])?;
        Ok(answer.get("gateways").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// CPU time of Tandem's process so far.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let pid = self.tandem.as_ref()?.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms; field 2 may hold spaces.
        let after_name = stat.rsplit_once(')')?.1;
        let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Some(Duration::from_millis(ticks * 10))
    }

    /// Tandem ends by SIGTERM; its exit code.
    pub(crate) fn end_tandem(&mut self) -> io::Result<Option<i32>> {
        let Some(mut child) = self.tandem.take() else { return Ok(None) };
        Command::new("kill").arg(child.id().to_string()).status()?;
        Ok(child.wait()?.code())
    }

    fn ask(&self, arguments: &[&str]) -> io::Result<Value> {
        let output = self
            .program("tandem")
            .args(arguments)
            .arg("--socket")
            .arg(self.folder.join("control.sock"))
            .stderr(Stdio::null())
            .output()?;
        serde_json::from_slice(&output.stdout).map_err(io::Error::other)
    }

    fn wait_until_up(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while self.ask(&["stats", "--format", "json"]).is_err() {
            let ended = self.tandem.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || start.elapsed() > Duration::from_secs(10) {
                let log = fs::read_to_string(self.folder.join("tandem.log")).unwrap_or_default();
                return Err(io::Error::other(format!("tandem does not come up:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let children = self.gateways.iter_mut().map(|(_, child)| child).chain(self.tandem.as_mut());
        for child in children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
