//! Bindings of `usrloc` as the registrar's journal, in a state directory that nobody uses and that has none yet.
//!
//! WHY not into a running process: what a phone registers meanwhile is newer than any table, and must not be undone by it.

use crate::disk::Directory;
use crate::journal::frame::VERSION;
use crate::journal::log::Log;
use crate::journal::medium::Folder;
use crate::journal::survey::Survey;
use crate::run::REGISTRATIONS;
use kamailio::location::Location;
use kamailio::report::Report;
use limits::registrar::{AGENT_BYTES_MAX, CONTACT_BYTES_MAX, INSTANCE_BYTES_MAX, PATH_BYTES_MAX};
use modules::registrar::{Binding, append_entry};
use proto::message::{Method, unescaped_text};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// Bytes of entries that one frame has.
const FRAME_BYTES: usize = 262_144;
/// Longest file of the journal, as `[registrar] journal_file_mebibytes` has it by default.
const FILE_BYTES: u64 = 64 << 20;

/// Writes all bindings, and returns when the disk has them.
pub(super) fn write(state: &Path, all: &[Location], listen: &[String], report: &mut Report) -> Result<(), String> {
    let directory = Directory::open(state).map_err(|error| error.to_string())?;
    let path = directory.file(REGISTRATIONS);
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut folder = Folder::open(&path).map_err(named)?;
    let survey = Survey::take(&mut folder).map_err(|damage| damage.to_string())?;
    if !survey.files.is_empty() {
        return Err(format!(
            "{}: there are registrations already, and none are written over: move the folder away first",
            path.display()
        ));
    }
    let session = getrandom::u64().map_err(|error| error.to_string())?;
    let mut journal = Log::new(folder, survey.position(), survey.lengths(), VERSION, session, FILE_BYTES);
    // Times of the table are the wall clock's: so is this session's clock.
    let wall = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    let second = u32::try_from(wall).unwrap_or(u32::MAX);
    let mut frame = Vec::new();
    for ((domain, user), bindings) in by_account(all) {
        append(&domain, &user, &bindings, listen, &mut frame, report);
        if frame.len() >= FRAME_BYTES {
            journal.append(std::iter::once(frame.as_slice()), second, wall).map_err(named)?;
            frame.clear();
        }
    }
    journal.append(std::iter::once(frame.as_slice()), second, wall).map_err(named)
}

/// Bindings of each account, the latest refreshed last.
fn by_account(all: &[Location]) -> BTreeMap<(String, Vec<u8>), Vec<&Location>> {
    let mut accounts: BTreeMap<(String, Vec<u8>), Vec<&Location>> = BTreeMap::new();
    for one in all {
        let mut room = [0; limits::USER_BYTES_MAX];
        let user = unescaped_text(one.user.as_bytes(), &mut room).unwrap_or(one.user.as_bytes());
        accounts.entry((one.domain.clone(), user.to_vec())).or_default().push(one);
    }
    accounts.values_mut().for_each(|bindings| bindings.sort_by_key(|one| one.modified));
    accounts
}

fn append(domain: &str, user: &[u8], all: &[&Location], listen: &[String], out: &mut Vec<u8>, report: &mut Report) {
    let subject = || format!("location {}@{domain}", String::from_utf8_lossy(user));
    if user.len() > limits::USER_BYTES_MAX {
        return report.odd(subject(), "has a longer name than any user may have");
    }
    let mut bindings: Vec<Binding<'_>> = Vec::new();
    for one in all {
        match binding(one, listen) {
            Some(binding) => bindings.push(binding),
            None => {
                report.odd(subject(), "has a binding with a longer contact, path, Call-ID or instance than is kept")
            }
        }
    }
    if bindings.len() > limits::CONTACTS_MAX {
        let over = bindings.len() - limits::CONTACTS_MAX;
        bindings.drain(..over);
        report.odd(subject(), format!("has more than {} contacts: the oldest are left out", limits::CONTACTS_MAX));
    }
    // INVARIANT: of one contact the registrar has one binding: the last.
    let mut kept: Vec<Binding<'_>> = Vec::new();
    for one in bindings {
        kept.retain(|known| known.contact != one.contact);
        kept.push(one);
    }
    if !append_entry(domain.as_bytes(), user, &kept, out) {
        report.odd(subject(), "has more than one record of the registrar holds");
    }
}

fn binding<'l>(one: &'l Location, listen: &[String]) -> Option<Binding<'l>> {
    let agent = one.agent.as_bytes();
    let fits = one.contact.len() <= CONTACT_BYTES_MAX
        && one.path.len() <= PATH_BYTES_MAX
        && one.instance.len() <= INSTANCE_BYTES_MAX
        && one.call_id.len() <= limits::CALL_ID_BYTES_MAX;
    let address = |text: &String| text.parse::<SocketAddr>().ok();
    let listener = listen.iter().position(|text| one.listener.is_some() && address(text) == one.listener);
    let of_family =
        || listen.iter().position(|text| address(text).is_some_and(|own| own.is_ipv4() == one.source.is_ipv4()));
    fits.then(|| Binding {
        contact: one.contact.as_bytes(),
        call_id: one.call_id.as_bytes(),
        cseq: one.cseq,
        agent: agent.get(..agent.len().min(AGENT_BYTES_MAX)).unwrap_or_default(),
        instance: one.instance.as_bytes(),
        reg_id: one.reg_id,
        path: one.path.as_bytes(),
        source: one.source,
        listener: listener.or_else(of_family).and_then(|place| u8::try_from(place).ok()).unwrap_or(0),
        flow: 0,
        expires: u32::try_from(one.expires).unwrap_or(u32::MAX),
        updated: u32::try_from(one.modified).unwrap_or(0),
        q: one.q,
        methods: one
            .methods
            .iter()
            .map(|name| Method::of(name.as_bytes()))
            .filter(|method| *method != Method::Other)
            .fold(0, |bits, method| bits | 1 << method as u8),
        gruu: false,
        direct: one.path.is_empty(),
    })
}
