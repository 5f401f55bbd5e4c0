//! Where a password comes from.

use std::io::{self, BufRead as _, IsTerminal as _};

/// Asks twice without echo at a terminal; else takes the first line of standard input.
pub(super) fn password(account: &str) -> Result<String, String> {
    let text = |error: io::Error| format!("no password was given: {error}");
    let password = if io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("Password of {account}: ")).map_err(text)?;
        if rpassword::prompt_password("Once more: ").map_err(text)? != first {
            return Err("the two are not the same".into());
        }
        first
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(text)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.is_empty() { Err("an empty password is none".into()) } else { Ok(password) }
}
