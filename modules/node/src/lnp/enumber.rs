//! A dip by ENUM (RFC 6116): NAPTR of the number's domain, whose regular expression gives a URI with `rn`.

use super::{Outcome, Settings, routing_number};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};

/// Who looks it up.
pub(super) fn resolver(settings: &Settings) -> Result<TokioResolver, String> {
    crate::dns::resolver(&settings.servers, settings.timeout)
}

/// Asks for a number below a domain.
pub(super) async fn ask(resolver: &TokioResolver, domain: &str, number: &str) -> Outcome {
    match resolver.lookup(name_of(number, domain), RecordType::NAPTR).await {
        Ok(found) => {
            let rules = found.answers().iter().filter_map(|record| match &record.data {
                RData::NAPTR(rule) if is_enum(&rule.services) => Some(&rule.regexp),
                _ => None,
            });
            Ok(rules.into_iter().find_map(|rule| of_rule(rule)))
        }
        // RFC 6116 §3.1: a number without records is known not to be ported.
        Err(error) if error.is_no_records_found() => Ok(None),
        Err(_) => Err(()),
    }
}

/// RFC 6116 §3.2: the digits from the last to the first.
fn name_of(number: &str, domain: &str) -> String {
    let digits: String = number.chars().rev().flat_map(|digit| [digit, '.']).collect();
    format!("{digits}{}.", domain.trim_end_matches('.'))
}

fn is_enum(services: &[u8]) -> bool {
    services.get(..4).is_some_and(|kind| kind.eq_ignore_ascii_case(b"E2U+"))
}

/// The routing number of `!^.*$!tel:+1...;rn=+1...;npdi!`: what stands between the last two delimiters.
fn of_rule(rule: &[u8]) -> Option<String> {
    let (delimiter, rest) = rule.split_first()?;
    let uri = rest.split(|octet| octet == delimiter).nth(1)?;
    let parameters = uri.iter().position(|octet| *octet == b';').and_then(|at| uri.get(at..))?;
    // Those of a SIP URI's user part end where its host begins.
    routing_number(parameters.split(|octet| *octet == b'@').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_names_and_rules_routing_numbers() {
        assert_eq!(name_of("1212", "e164.arpa"), "2.1.2.1.e164.arpa.");
        let rn = Some("12015550000".to_owned());
        assert_eq!(of_rule(b"!^.*$!tel:+12125551234;npdi;rn=+12015550000!"), rn);
        assert_eq!(of_rule(b"/^.*$/sip:+1212;rn=+1-201-555-0000@192.0.2.1;user=phone/"), rn);
        assert_eq!([of_rule(b"!^.*$!tel:+1212!"), of_rule(b""), of_rule(b"!a")], [None, None, None]);
        assert!(is_enum(b"E2U+pstn:tel") && is_enum(b"e2u+sip") && !is_enum(b"SIP+D2U"));
    }
}
