//! Header rules of trunks, compiled: what is taken out of a request, put in, or copied when it passes from one trunk
//! to the other. Rules follow one another: what an earlier one has done, a later one sees.

use proto::message::{Field as Line, HeaderName, Message, Writer};
use proto::policy::EditWriter;
use tuning::{HeaderPiece, HeaderRule, HeaderVariable};

/// What a rule of the file does.
#[derive(Clone, Debug)]
pub struct Rule {
    field: Field,
    action: Action,
}

/// The name of a field; compact and long forms are one.
#[derive(Clone, Debug)]
struct Field {
    name: Box<[u8]>,
    known: HeaderName,
}

#[derive(Clone, Debug)]
enum Action {
    Remove,
    Write(Box<[HeaderPiece]>),
    Copy(Field),
}

/// A rule in its turn: one of the file's, or of the boundary of trust.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'r> {
    /// Of the file.
    Rule(&'r Rule),
    /// Takes out every field of this name.
    Remove(&'r str),
    /// Puts this value in place of what came under this name.
    Write(&'r str, &'r [u8]),
}

/// What texts may name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variables<'v> {
    /// With country code.
    pub called: &'v [u8],
    /// With country code; empty: none.
    pub caller: &'v [u8],
    /// As it came.
    pub dialled: &'v [u8],
    /// Where the number is ported, else the called one.
    pub routing: &'v [u8],
    /// Its name.
    pub customer: &'v str,
    /// Its name.
    pub vendor: &'v str,
}

/// The rules of one list of the file; `check` has held them against the schema.
pub(super) fn compile(rules: &[HeaderRule]) -> Box<[Rule]> {
    let field = |field: &tuning::HeaderField| Field {
        name: field.as_str().as_bytes().into(),
        known: HeaderName::of(field.as_str().as_bytes()),
    };
    let compiled = rules.iter().filter_map(|rule| match (&rule.remove, &rule.set, &rule.value, &rule.copy, &rule.to) {
        (Some(name), ..) => Some(Rule { field: field(name), action: Action::Remove }),
        (_, Some(name), Some(value), ..) => {
            Some(Rule { field: field(name), action: Action::Write(value.pieces().into()) })
        }
        (.., Some(from), Some(to)) => Some(Rule { field: field(to), action: Action::Copy(field(from)) }),
        _ => None,
    });
    compiled.collect()
}

impl<'r> Turn<'r> {
    fn name(self) -> (&'r [u8], HeaderName) {
        match self {
            Turn::Rule(rule) => (&rule.field.name, rule.field.known),
            Turn::Remove(name) | Turn::Write(name, _) => (name.as_bytes(), HeaderName::of(name.as_bytes())),
        }
    }

    fn is_about(self, (name, known): (&[u8], HeaderName)) -> bool {
        let (own, own_known) = self.name();
        own_known == known && (known != HeaderName::Other || own.eq_ignore_ascii_case(name))
    }
}

/// Fields of a message under a name, compact forms included.
fn lines<'m, 'n>(
    message: &Message<'m>,
    (name, known): (&'n [u8], HeaderName),
) -> impl Iterator<Item = &'m Line> + use<'m, 'n> {
    let other = known == HeaderName::Other;
    let (named, all) = (message.named(name).filter(move |_| other), message.all(known).filter(move |_| !other));
    named.chain(all)
}

/// Where the value of a field comes from after some rules.
#[derive(Clone, Copy)]
enum Value<'r> {
    Nothing,
    Octets(&'r [u8]),
    Text(&'r [HeaderPiece]),
}

/// Carries out the rules in their order, for a request with these variables.
pub fn write(turns: &[Turn<'_>], message: &Message<'_>, variables: &Variables<'_>, edits: &mut EditWriter<'_, '_>) {
    for (place, turn) in turns.iter().enumerate() {
        let about = turn.name();
        let later = turns.get(place + 1..).unwrap_or_default().iter().any(|turn| turn.is_about(about));
        // The last rule about a field says what becomes of it.
        if later {
            continue;
        }
        if lines(message, about).next().is_some() {
            edits.remove(about.0);
        }
        match after(turns, place, message) {
            Value::Nothing => {}
            Value::Octets(value) => edits.add(about.0, |out| out.put(value)),
            Value::Text(pieces) => edits.add(about.0, |out| put(pieces, message, variables, out)),
        }
    }
}

/// What the field of a rule holds after that rule.
fn after<'r>(turns: &[Turn<'r>], place: usize, message: &Message<'r>) -> Value<'r> {
    match turns.get(place).copied() {
        None | Some(Turn::Remove(_)) => Value::Nothing,
        Some(Turn::Write(_, value)) => Value::Octets(value),
        Some(Turn::Rule(rule)) => match &rule.action {
            Action::Remove => Value::Nothing,
            Action::Write(pieces) => Value::Text(pieces),
            Action::Copy(from) => {
                let before = turns.get(..place).unwrap_or_default();
                let about = (&*from.name, from.known);
                match before.iter().rposition(|turn| turn.is_about(about)) {
                    // INVARIANT: earlier than `place`, so this ends.
                    Some(earlier) => after(turns, earlier, message),
                    None => {
                        let first = lines(message, about).next();
                        first.map_or(Value::Nothing, |line| Value::Octets(line.value.of(message.bytes())))
                    }
                }
            }
        },
    }
}

fn put(pieces: &[HeaderPiece], message: &Message<'_>, variables: &Variables<'_>, out: &mut Writer<'_>) {
    for piece in pieces {
        out.put(match piece {
            HeaderPiece::Text(text) => text.as_bytes(),
            HeaderPiece::Variable(variable) => match variable {
                HeaderVariable::Called => variables.called,
                HeaderVariable::Caller => variables.caller,
                HeaderVariable::Dialled => variables.dialled,
                HeaderVariable::Routing => variables.routing,
                HeaderVariable::Customer => variables.customer.as_bytes(),
                HeaderVariable::Vendor => variables.vendor.as_bytes(),
                HeaderVariable::CallId => message.call_id(),
            },
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;
    use proto::message::Arena;
    use proto::policy::{Target, TargetSet};

    const NAMES: [&str; 5] = ["X-A", "x-a", "X-B", "Subject", "s"];

    #[derive(Clone, Debug)]
    enum Step {
        Remove(usize),
        Set(usize, String),
        Copy(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = 0..NAMES.len();
        prop_oneof![
            name.clone().prop_map(Step::Remove),
            (name.clone(), "[a-z]{1,3}").prop_map(|(name, value)| Step::Set(name, value)),
            (name.clone(), name).prop_map(|(from, to)| Step::Copy(from, to)),
        ]
    }

    /// Long name, lower case: which field a name means.
    fn plain(name: &str) -> String {
        if name == "s" { "subject".to_owned() } else { name.to_lowercase() }
    }

    /// One rule after the other on a list of fields.
    fn naive(mut fields: Vec<(String, String)>, steps: &[Step]) -> Vec<(String, String)> {
        for step in steps {
            let (name, value) = match step {
                Step::Remove(name) => (plain(NAMES[*name]), None),
                Step::Set(name, value) => (plain(NAMES[*name]), Some(value.clone())),
                Step::Copy(from, to) => {
                    let from = plain(NAMES[*from]);
                    let found = fields.iter().find(|(name, _)| *name == from).map(|(_, value)| value.clone());
                    (plain(NAMES[*to]), found)
                }
            };
            fields.retain(|(known, _)| *known != name);
            fields.extend(value.map(|value| (name, value)));
        }
        fields.sort();
        fields
    }

    fn toml(steps: &[Step]) -> String {
        let rule = |step: &Step| match step {
            Step::Remove(name) => format!("{{ remove = {:?} }}", NAMES[*name]),
            Step::Set(name, value) => format!("{{ set = {:?}, value = {value:?} }}", NAMES[*name]),
            Step::Copy(from, to) => format!("{{ copy = {:?}, to = {:?} }}", NAMES[*from], NAMES[*to]),
        };
        format!("received_headers = [{}]\n", steps.iter().map(rule).collect::<Vec<_>>().join(", "))
    }

    fn compiled(steps: &[Step]) -> Box<[Rule]> {
        let text = format!(
            "[listen]\nudp = [\"198.51.100.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:203.0.113.1\"]\n\
             [rating]\nimage = \"x\"\n[[deck]]\nname = \"d\"\nfile = \"x\"\ncurrency = \"USD\"\n\
             [[vendor]]\nname = \"v\"\nset = \"s\"\nplans = [\"p\"]\ndeck = \"d\"\n\
             [[customer]]\nname = \"c\"\nsources = [\"192.0.2.0/24\"]\nplan = \"p\"\ndeck = \"d\"\n{}",
            toml(steps)
        );
        let loaded = tuning::parse(&text, "t.toml", &tuning::Environment::unknown());
        compile(&loaded.unwrap_or_else(|findings| panic!("{findings:?}")).config.customers[0].received_headers)
    }

    /// Edits as they are kept: a line each.
    fn edits(turns: &[Turn<'_>], text: &str, variables: &Variables<'_>) -> String {
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let mut targets = TargetSet::default();
        assert!(targets.for_every(false, |edits| write(turns, &message, variables, edits)));
        let target = Target {
            gateway: 0,
            listener: 0,
            by_source: Default::default(),
            next_hop: "192.0.2.1:5060".parse().unwrap(),
            flow: 0,
            no_response: proto::time::Micros(0),
        };
        assert!(targets.push(target));
        String::from_utf8(targets.edits(0).bytes().to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn rules_do_what_they_would_one_after_the_other(
            fields in prop::collection::vec((0..NAMES.len(), "[a-z]{1,2}"), 0..6),
            steps in prop::collection::vec(step(), 0..8),
        ) {
            let lines: String = fields.iter().map(|(name, value)| format!("{}: {value}\r\n", NAMES[*name])).collect();
            let text = format!("INVITE sip:a@b SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n");
            let rules = compiled(&steps);
            let turns: Vec<Turn<'_>> = rules.iter().map(Turn::Rule).collect();
            let edits = edits(&turns, &text, &Variables::default());
            let mut left: Vec<(String, String)> =
                fields.iter().map(|(name, value)| (plain(NAMES[*name]), value.clone())).collect();
            for line in edits.lines() {
                match line.split_at(1) {
                    ("-", name) => left.retain(|(known, _)| *known != plain(name)),
                    ("+", field) => {
                        let (name, value) = field.split_once(": ").unwrap();
                        left.push((plain(name), value.to_owned()));
                    }
                    other => panic!("{other:?}"),
                }
            }
            left.sort();
            let came = fields.into_iter().map(|(name, value)| (plain(NAMES[name]), value)).collect();
            prop_assert_eq!(left, naive(came, &steps));
        }
    }

    #[test]
    fn variables_are_those_of_the_call() {
        let set = |value: &str| Step::Set(0, value.to_owned());
        let variables = Variables {
            called: b"4930",
            caller: b"",
            dialled: b"030",
            routing: b"4931",
            customer: "acme",
            vendor: "delta",
        };
        let text = "INVITE sip:a@b SIP/2.0\r\nCall-ID: one@two\r\nContent-Length: 0\r\n\r\n";
        let rules = compiled(&[set("{customer}>{vendor};{called}/{dialled}/{routing}/{caller};{call_id}")]);
        let turns: Vec<Turn<'_>> = rules.iter().map(Turn::Rule).collect();
        assert_eq!(edits(&turns, text, &variables), "+X-A: acme>delta;4930/030/4931/;one@two\r\n");
    }
}
