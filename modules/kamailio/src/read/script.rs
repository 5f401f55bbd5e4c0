//! `kamailio.cfg`, as far as it decides what tables mean: parameters of modules, and what is called with which words.
//!
//! Not an interpreter: comments are left out, `#!define` and `#!substdef` are not followed, and what a call is given is
//! taken as it stands. It answers "was this ever switched on", not "when".

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Module, parameter, value.
    parameters: Vec<(String, String, String)>,
    /// Function, its arguments without quotes.
    calls: Vec<(String, Vec<String>)>,
    listeners: Vec<String>,
    given: bool,
}

impl Script {
    /// Reads a script.
    pub fn read(text: &str) -> Self {
        let mut script = Script { given: true, ..Script::default() };
        script.listeners = text.lines().filter_map(listener).collect();
        let tokens = tokens(text);
        for (at, token) in tokens.iter().enumerate() {
            let Token::Word(name) = token else { continue };
            if tokens.get(at + 1) != Some(&Token::Mark('(')) {
                continue;
            }
            let arguments = arguments(tokens.get(at + 2..).unwrap_or_default());
            match (name.as_str(), arguments.as_slice()) {
                ("modparam", [modules, parameter, value]) => {
                    let of = |module: &str| (module.to_owned(), parameter.clone(), value.clone());
                    script.parameters.extend(modules.split('|').map(of));
                }
                _ => script.calls.push((name.clone(), arguments)),
            }
        }
        script
    }

    /// `address:port` of every `listen=udp:...`.
    pub fn listeners(&self) -> &[String] {
        &self.listeners
    }

    /// Whether there was a script at all.
    pub const fn is_given(&self) -> bool {
        self.given
    }

    /// The last value of a parameter.
    pub fn parameter(&self, module: &str, name: &str) -> Option<&str> {
        let of = |(one, parameter, _): &&(String, String, String)| one == module && parameter == name;
        self.parameters.iter().rev().find(of).map(|(_, _, value)| value.as_str())
    }

    /// A parameter as a number.
    pub fn number(&self, module: &str, name: &str) -> Option<i64> {
        self.parameter(module, name)?.trim().parse().ok()
    }

    /// Arguments of every call of one of these functions.
    pub fn calls<'s>(&'s self, names: &'s [&'s str]) -> impl Iterator<Item = &'s [String]> {
        self.calls.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, arguments)| arguments.as_slice())
    }

    /// Whether one of these functions is called.
    pub fn calls_any(&self, names: &[&str]) -> bool {
        self.calls.iter().any(|(name, _)| names.contains(&name.as_str()))
    }

    /// Whether some failure route looks at 408, which Kamailio makes itself for a gateway that says nothing. `None`: none
    /// asks for a status at all.
    pub fn looks_at_408(&self) -> Option<bool> {
        let mut asked = None;
        for arguments in self.calls(&["t_check_status"]) {
            let matches = arguments.first().and_then(|pattern| regex_lite::Regex::new(pattern).ok());
            asked = Some(asked.unwrap_or(false) || matches.is_some_and(|pattern| pattern.is_match("408")));
        }
        let timeouts = self.calls_any(&["t_branch_timeout", "t_any_timeout"]);
        if timeouts { Some(true) } else { asked }
    }
}

/// `listen=udp:192.0.2.1:5060` as an address with its port.
fn listener(line: &str) -> Option<String> {
    let (_, value) = line.trim_start().strip_prefix("listen")?.split_once('=')?;
    let value = value
        .trim_start()
        .trim_start_matches('"')
        .split(|symbol: char| symbol.is_whitespace() || symbol == '"')
        .next()?;
    let address = value.strip_prefix("udp:").unwrap_or(value);
    let with_port = || format!("{address}:5060");
    let known = |text: &str| text.parse::<std::net::SocketAddr>().is_ok();
    [address.to_owned(), with_port()].into_iter().find(|text| known(text))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// Arguments up to the closing parenthesis; what is made of several tokens is joined.
fn arguments(tokens: &[Token]) -> Vec<String> {
    let (mut all, mut one, mut depth) = (Vec::new(), String::new(), 0);
    // WHY a bound: a parenthesis that never closes must not make the walk quadratic.
    for token in tokens.iter().take(ARGUMENT_TOKENS_MAX) {
        match token {
            Token::Mark(')') if depth == 0 => {
                if !(one.is_empty() && all.is_empty()) {
                    all.push(one);
                }
                return all;
            }
            Token::Mark(',') if depth == 0 => all.push(std::mem::take(&mut one)),
            Token::Mark(mark) => {
                depth += i32::from(*mark == '(') - i32::from(*mark == ')');
                one.push(*mark);
            }
            Token::Word(text) | Token::Text(text) => one.push_str(text),
        }
    }
    all
}

const ARGUMENT_TOKENS_MAX: usize = 64;

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            '#' => after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default(),
            '/' if after.starts_with('/') => after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default(),
            '/' if after.starts_with('*') => after.find("*/").and_then(|end| after.get(end + 2..)).unwrap_or_default(),
            '"' | '\'' => {
                let (inside, behind) = quoted(after, first);
                tokens.push(Token::Text(inside));
                behind
            }
            blank if blank.is_whitespace() => after,
            _ => {
                let end = rest
                    .find(|symbol: char| !(symbol.is_alphanumeric() || matches!(symbol, '_' | '.' | '-')))
                    .unwrap_or(rest.len());
                if end > 0 {
                    tokens.push(Token::Word(rest.get(..end).unwrap_or_default().to_owned()));
                    rest.get(end..).unwrap_or_default()
                } else {
                    tokens.push(Token::Mark(first));
                    after
                }
            }
        };
    }
    tokens
}

fn quoted(text: &str, mark: char) -> (String, &str) {
    let (mut inside, mut symbols) = (String::new(), text.char_indices());
    while let Some((at, symbol)) = symbols.next() {
        match symbol {
            '\\' => inside.extend(symbols.next().map(|(_, escaped)| escaped)),
            other if other == mark => return (inside, text.get(at + other.len_utf8()..).unwrap_or_default()),
            other => inside.push(other),
        }
    }
    (inside, "")
}
