//! JSON-RPC 2.0, one request or batch a line: text in, calls out, and replies back to text.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest request line in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Most requests in one batch.
pub const BATCH_MAX: usize = 32;

/// One call of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What the caller's answer is marked with; `None` for a notification, which gets none.
    pub id: Option<Value>,
    /// The method's name.
    pub method: String,
    /// Its arguments by name; an empty object when there are none.
    pub params: Value,
}

/// What a call came to.
pub type Outcome = Result<Value, RpcError>;

/// An error as the caller gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// The kind; see [`code`].
    pub code: i64,
    /// One line for people.
    pub message: String,
    /// What belongs to it: findings of a bad configuration, the difference that was refused.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// Kinds of errors: JSON-RPC's own, and ours from -32000 down.
pub mod code {
    /// Not JSON.
    pub const PARSE: i64 = -32_700;
    /// JSON, but no request.
    pub const INVALID_REQUEST: i64 = -32_600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i64 = -32_601;
    /// Arguments missing, unknown or of the wrong type.
    pub const INVALID_PARAMS: i64 = -32_602;
    /// Something failed that should not: a full disk, a lane that does not answer.
    pub const INTERNAL: i64 = -32_603;
    /// Understood, but not done: it would take away too much, or the state does not allow it.
    pub const REFUSED: i64 = -32_000;
    /// This user may not do that.
    pub const PERMISSION: i64 = -32_001;
    /// The configuration is bad; `data` has the findings.
    pub const BAD_CONFIGURATION: i64 = -32_002;
    /// There is nothing of that name.
    pub const NOT_FOUND: i64 = -32_003;
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError { code, message: message.into(), data: Value::Null }
    }
    /// With data.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// Answers one line: calls `serve` for each call in it and gives back the line to send, or none when
/// it held notifications alone.
pub fn answer(line: &[u8], mut serve: impl FnMut(Call) -> Outcome) -> Option<String> {
    let value: Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => {
            return Some(
                reply(&Value::Null, Err(RpcError::new(code::PARSE, format!("not JSON: {error}")))).to_string(),
            );
        }
    };
    let requests = match value {
        Value::Array(requests) if requests.is_empty() => {
            return Some(reply(&Value::Null, Err(RpcError::new(code::INVALID_REQUEST, "an empty batch"))).to_string());
        }
        Value::Array(requests) if requests.len() > BATCH_MAX => {
            let error = RpcError::new(code::INVALID_REQUEST, format!("a batch holds at most {BATCH_MAX} requests"));
            return Some(reply(&Value::Null, Err(error)).to_string());
        }
        Value::Array(requests) => requests,
        single => return answer_one(single, &mut serve).map(|reply| reply.to_string()),
    };
    let replies: Vec<Value> = requests.into_iter().filter_map(|request| answer_one(request, &mut serve)).collect();
    (!replies.is_empty()).then(|| Value::Array(replies).to_string())
}

fn answer_one(request: Value, serve: &mut impl FnMut(Call) -> Outcome) -> Option<Value> {
    match read_call(request) {
        Ok(call) => {
            let id = call.id.clone();
            let outcome = serve(call);
            id.map(|id| reply(&id, outcome))
        }
        Err(refused) => {
            let (id, error) = *refused;
            Some(reply(&id, Err(error)))
        }
    }
}

/// The call, or the id and error of the reply.
fn read_call(request: Value) -> Result<Call, Box<(Value, RpcError)>> {
    let Value::Object(mut fields) = request else {
        return Err(Box::new((Value::Null, RpcError::new(code::INVALID_REQUEST, "a request is an object"))));
    };
    let id = fields.remove("id");
    let invalid = |why: &str| Box::new((id.clone().unwrap_or(Value::Null), RpcError::new(code::INVALID_REQUEST, why)));
    if matches!(id, Some(Value::Object(_) | Value::Array(_) | Value::Bool(_))) {
        let error = RpcError::new(code::INVALID_REQUEST, "`id` is a string or a number");
        return Err(Box::new((Value::Null, error)));
    }
    if fields.get("jsonrpc") != Some(&Value::from("2.0")) {
        return Err(invalid("`jsonrpc` must be \"2.0\""));
    }
    let Some(Value::String(method)) = fields.remove("method") else {
        return Err(invalid("`method` must be a string"));
    };
    match fields.remove("params").unwrap_or_else(|| json!({})) {
        params @ Value::Object(_) => Ok(Call { id, method, params }),
        Value::Array(list) if list.is_empty() => Ok(Call { id, method, params: json!({}) }),
        _ => {
            let error = RpcError::new(code::INVALID_PARAMS, "`params` must be an object: arguments go by name");
            Err(Box::new((id.unwrap_or(Value::Null), error)))
        }
    }
}

fn reply(id: &Value, outcome: Outcome) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

/// A request line of a client.
pub fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// What a client reads back: the outcome of its one request.
pub fn read_reply(line: &[u8]) -> Result<Outcome, serde_json::Error> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        result: Value,
        error: Option<RpcError>,
    }
    let reply: Reply = serde_json::from_slice(line)?;
    Ok(match reply.error {
        Some(error) => Err(error),
        None => Ok(reply.result),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn served(line: &str) -> Option<Value> {
        answer(line.as_bytes(), |call| match call.method.as_str() {
            "echo" => Ok(call.params),
            other => Err(RpcError::new(code::METHOD_NOT_FOUND, format!("no method {other}"))),
        })
        .map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_call_is_answered_under_its_id() {
        let reply = served(r#"{"jsonrpc":"2.0","id":"a","method":"echo","params":{"x":1}}"#).unwrap();
        assert_eq!(reply, json!({ "jsonrpc": "2.0", "id": "a", "result": { "x": 1 } }));
        let reply = served(r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#).unwrap();
        assert_eq!(reply["result"], json!({}));
    }

    #[test]
    fn a_notification_is_done_but_not_answered() {
        let mut done = 0;
        let reply = answer(br#"{"jsonrpc":"2.0","method":"x"}"#, |_| {
            done += 1;
            Ok(Value::Null)
        });
        assert_eq!((reply, done), (None, 1));
    }

    #[test]
    fn a_batch_is_answered_as_one() {
        let reply = served(
            r#"[{"jsonrpc":"2.0","id":1,"method":"echo"},{"jsonrpc":"2.0","method":"echo"},7,{"jsonrpc":"2.0","id":2,"method":"no"}]"#,
        )
        .unwrap();
        let codes: Vec<_> = reply.as_array().unwrap().iter().map(|one| one["error"]["code"].clone()).collect();
        assert_eq!(codes, [Value::Null, code::INVALID_REQUEST.into(), code::METHOD_NOT_FOUND.into()]);
    }

    #[test]
    fn bad_requests_are_named() {
        for (line, wanted) in [
            ("{", code::PARSE),
            ("[]", code::INVALID_REQUEST),
            ("7", code::INVALID_REQUEST),
            (r#"{"id":1,"method":"echo"}"#, code::INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, code::INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":{},"method":"echo"}"#, code::INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#, code::INVALID_PARAMS),
        ] {
            assert_eq!(served(line).unwrap()["error"]["code"], wanted, "{line}");
        }
        let many = format!("[{}]", vec!["1"; BATCH_MAX + 1].join(","));
        assert_eq!(served(&many).unwrap()["error"]["code"], code::INVALID_REQUEST);
    }

    #[test]
    fn a_client_reads_what_the_server_writes() {
        let line = request(3, "echo", &json!({ "a": [1, "é"] }));
        let reply = answer(line.as_bytes(), |call| Ok(call.params)).unwrap();
        assert_eq!(read_reply(reply.as_bytes()).unwrap(), Ok(json!({ "a": [1, "é"] })));
        let reply = answer(line.as_bytes(), |_| Err(RpcError::new(code::REFUSED, "no").data(json!([1])))).unwrap();
        assert_eq!(read_reply(reply.as_bytes()).unwrap(), Err(RpcError::new(code::REFUSED, "no").data(json!([1]))));
    }

    proptest! {
        #[test]
        fn any_bytes_get_one_line_of_json_or_none(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(reply) = answer(&line, |_| Ok(Value::Null)) {
                prop_assert!(!reply.contains('\n'));
                prop_assert!(serde_json::from_str::<Value>(&reply).is_ok());
            }
        }
    }
}
