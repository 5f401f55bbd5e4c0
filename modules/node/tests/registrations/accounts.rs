//! The source of accounts: it answers at once, or holds what it is asked until it is well again, or until nobody waits
//! for it any more.

use modules::authentication::Said;
use modules::authentication::credentials::Ha1s;
use modules::authentication::question::{Query, write_answer};
use tandem::module_question::ModuleQuestion;

/// The realm of all accounts.
pub(crate) const REALM: &str = "example.com";

/// The password of a user.
pub(crate) fn password(user: &str) -> String {
    format!("secret of {user}")
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// It does not answer.
    pub(crate) is_silent: bool,
    /// It takes every proof for right: a planted fault.
    believes: bool,
    /// Questions that it has not answered, each with the response that it is about.
    held: Vec<(Box<ModuleQuestion>, Vec<u8>)>,
}

impl Accounts {
    /// One that is well. `believes`: it takes every proof for right.
    pub(crate) const fn new(believes: bool) -> Self {
        Accounts { is_silent: false, believes, held: Vec::new() }
    }

    /// It is asked.
    pub(crate) fn take(&mut self, question: Box<ModuleQuestion>) {
        let query = Query::read(question.bytes()).unwrap();
        let response = query.credentials.response.to_vec();
        self.held.push((question, response));
    }

    /// What it answers now.
    pub(crate) fn answers(&mut self) -> impl Iterator<Item = Box<ModuleQuestion>> + '_ {
        let believes = self.believes;
        let answered = if self.is_silent { 0 } else { self.held.len() };
        self.held.drain(..answered).map(move |(mut question, _)| {
            let mut bytes = Vec::new();
            let number = write_answer(Some(&said(question.bytes(), believes)), &mut bytes);
            question.reply(number, &bytes);
            question
        })
    }

    /// Whether it was asked about a response and has said nothing.
    pub(crate) fn holds(&self, response: &str) -> bool {
        self.held.iter().any(|(_, held)| held == response.as_bytes())
    }
}

/// Users `u0`, `u1` and so on have accounts.
fn said(question: &[u8], believes: bool) -> Said {
    let query = Query::read(question).unwrap();
    let user = std::str::from_utf8(query.credentials.username).unwrap();
    match user.strip_prefix('u').and_then(|number| number.parse::<u32>().ok()) {
        Some(_) if believes && !query.credentials.response.is_empty() => Said::Judged(true),
        Some(_) => Said::Known(Ha1s::of_password(user.as_bytes(), REALM.as_bytes(), password(user).as_bytes())),
        None => Said::Unknown,
    }
}
