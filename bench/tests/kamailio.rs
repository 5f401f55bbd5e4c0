//! `tandem-bench` against a real registrar: what it counts and what Kamailio did agree. Skipped, and said so,
//! where Kamailio is not installed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Kamailio in a folder of its own; it ends with this value.
struct Kamailio {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Kamailio {
    /// `None` if it is not installed.
    fn start(switches: &[&str]) -> Option<Self> {
        if Command::new("kamailio").arg("-v").output().is_err() {
            eprintln!("SKIPPED: no kamailio");
            return None;
        }
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = std::env::temp_dir().join(format!("tandem-bench-kamailio-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kamailio/register.cfg");
        let process = Command::new("kamailio")
            .args(["-DD", "-E", "-n", "1", "-m", "64", "-M", "8", "-f"])
            .arg(config)
            .args(["-l", &format!("udp:{address}"), "-Y"])
            .arg(&folder)
            .args(switches.iter().flat_map(|name| ["-A", name]))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Kamailio { process, address, folder };
        started.wait_until_it_answers();
        Some(started)
    }

    fn wait_until_it_answers(&self) {
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        probe.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let (local, address) = (probe.local_addr().unwrap(), self.address);
        let request = format!(
            "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-ready;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:ready@{local}>;tag=ready\r\nTo: <sip:{address}>\r\nCall-ID: ready\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            probe.send_to(request.as_bytes(), address).unwrap();
            if probe.recv(&mut [0; 2048]).is_ok() {
                return;
            }
        }
        panic!("kamailio at {address} does not answer");
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn register(target: SocketAddr, flags: &str) -> (Output, Value) {
    let line = format!("register-digest --target {target} --rate 300 --calls 150 --quiet --format json {flags}");
    let output = Command::new(env!("CARGO_BIN_EXE_tandem-bench")).args(line.split_whitespace()).output().unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report)
}

#[test]
fn every_registration_is_challenged_and_accepted() {
    for switches in [&["DIGEST"][..], &["DIGEST", "SHA256"]] {
        let Some(kamailio) = Kamailio::start(switches) else { return };
        let (output, report) = register(kamailio.address, "--password secret");
        assert!(output.status.success(), "{switches:?}: {report:#}");
        assert_eq!(report["calls"]["completed"], 150, "{switches:?}: {report:#}");
        assert_eq!(report["calls"]["challenged"], 150, "{switches:?}: {report:#}");
        assert_eq!(report["datagrams"]["sent"], 300, "{switches:?}: {report:#}");
    }
}

#[test]
fn a_nonce_is_used_again_until_it_is_refused() {
    let Some(kamailio) = Kamailio::start(&["DIGEST"]) else { return };
    let (output, report) = register(kamailio.address, "--password secret --reuse-nonce");
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["calls"]["completed"], 150, "{report:#}");
    // The first ones start before the first challenge has come.
    let challenged = report["calls"]["challenged"].as_u64().unwrap();
    assert!((1..75).contains(&challenged), "{report:#}");
}

#[test]
fn a_wrong_password_is_a_failure_and_is_named() {
    let Some(kamailio) = Kamailio::start(&["DIGEST"]) else { return };
    let (output, report) = register(kamailio.address, "--password wrong");
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(report["failures"]["unexpected_response"], 150, "{report:#}");
    assert_eq!(report["responses"]["401"], 150, "{report:#}");
}
