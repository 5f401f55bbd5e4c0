//! Writes a journal of registrations, as a Tandem leaves it that has taken so many: the state of row R6 of `bench`, in
//! seconds instead of minutes.
//!
//! ```text
//! fill_journal --state DIR --domain NAME [--bindings 1000000] [--first 3000000000] [--prefix +49]
//!     [--contact 127.0.0.1:5980] [--expires 3600]
//! ```
//!
//! Users are the numbers from `--first` on, one binding each, as `tandem-bench register` with the same flags registers
//! them from `--contact`. They end `--expires` seconds from now. Prints seconds and bytes as a JSON object.
#![allow(clippy::unwrap_used, reason = "a measuring instrument may panic")]

use modules::registrar::Binding;
use std::path::Path;
use std::time::Instant;
use tandem::journal::frame::VERSION;
use tandem::journal::log::{Log, Position};
use tandem::journal::medium::Folder;

/// Bindings of one frame: about what a shard gives the disk at once.
const FRAME_BINDINGS: u64 = 2_000;

/// Bytes of a file, as the default of `[registrar] journal_file_mebibytes`.
const FILE_BYTES: u64 = 64 << 20;

/// Where in the state directory the journal lies.
const FOLDER: &str = "registrations";

fn main() {
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let text = |name: &str| flags.iter().position(|flag| flag == name).and_then(|at| flags.get(at + 1).cloned());
    let number = |name: &str, otherwise: u64| text(name).map_or(otherwise, |value| value.parse().unwrap());
    let (state, domain) = (text("--state").expect("--state DIR"), text("--domain").expect("--domain NAME"));
    let (bindings, first) = (number("--bindings", 1_000_000), number("--first", 3_000_000_000));
    let prefix = text("--prefix").unwrap_or_default();
    let contact = text("--contact").unwrap_or_else(|| "127.0.0.1:5980".to_owned());
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let second = u32::try_from(wall).unwrap();
    let expires = second + u32::try_from(number("--expires", 3_600)).unwrap();

    let begun = Instant::now();
    let folder = Folder::open(&Path::new(&state).join(FOLDER)).unwrap();
    let position = Position { file: 0, length: 0, sequence: 1, total: 0, oldest: 1 };
    let mut log = Log::new(folder, position, Vec::new(), VERSION, wall, FILE_BYTES);
    let mut payload = Vec::new();
    for place in 0..bindings {
        let user = format!("{prefix}{:010}", first + place);
        write_entry(&domain, &user, &contact, (second, expires), &mut payload);
        if (place + 1) % FRAME_BINDINGS == 0 || place + 1 == bindings {
            log.append(std::iter::once(payload.as_slice()), second, wall).unwrap();
            payload.clear();
        }
    }
    println!("{{\"seconds\": {:.3}, \"bytes\": {}}}", begun.elapsed().as_secs_f64(), log.total());
}

/// One account with one binding, as `modules::registrar::Entry` reads it.
fn write_entry(domain: &str, user: &str, host: &str, (updated, expires): (u32, u32), out: &mut Vec<u8>) {
    let contact = format!("sip:{user}@{host}");
    let call_id = format!("tb-7f000001{:0>16}-00000000000000", user.trim_start_matches('+'));
    let from = out.len();
    out.extend_from_slice(&[0, 0, u8::try_from(domain.len()).unwrap()]);
    out.extend_from_slice(domain.as_bytes());
    out.push(u8::try_from(user.len()).unwrap());
    out.extend_from_slice(user.as_bytes());
    out.push(1);
    let binding = Binding {
        contact: contact.as_bytes(),
        call_id: call_id.as_bytes(),
        cseq: 1,
        agent: b"tandem-bench",
        instance: b"",
        reg_id: 0,
        path: b"",
        source: host.parse().unwrap(),
        listener: 0,
        flow: 0,
        expires,
        updated,
        q: 1_000,
        methods: 0,
        gruu: false,
        direct: true,
    };
    binding.write(out);
    let length = u16::try_from(out.len() - from - 2).unwrap().to_le_bytes();
    out[from..from + 2].copy_from_slice(&length);
}
