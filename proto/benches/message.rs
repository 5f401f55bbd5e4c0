//! Parse, check and edit of a typical INVITE: `cargo bench -p proto --bench message`.
#![allow(missing_docs, reason = "criterion's macros document nothing")]

#[allow(dead_code, reason = "its main is for instruction counts")]
#[path = "../examples/parse_invite.rs"]
mod parse_invite;

use criterion::{Criterion, criterion_group, criterion_main};
use parse_invite::{INVITE, rewrite};
use proto::message::{Arena, Message, Writer, validate_request};
use std::hint::black_box;

fn message(criterion: &mut Criterion) {
    let mut arena = Arena::new();
    let mut room = [0; 2_048];
    criterion.bench_function("parse", |bencher| {
        bencher.iter(|| black_box(Message::parse(black_box(INVITE.as_bytes()), &mut arena).is_ok()));
    });
    criterion.bench_function("parse, check", |bencher| {
        bencher.iter(|| {
            let message = Message::parse(black_box(INVITE.as_bytes()), &mut arena);
            black_box(message.is_ok_and(|message| validate_request(&message).is_ok()))
        });
    });
    criterion.bench_function("parse, rewrite, serialise", |bencher| {
        bencher.iter(|| {
            let Ok(message) = Message::parse(black_box(INVITE.as_bytes()), &mut arena) else { return None };
            let mut out = Writer::new(&mut room);
            rewrite(&message, &mut out);
            black_box(out.finish().ok())
        });
    });
    let mut arena = Arena::new();
    if let Ok(message) = Message::parse(INVITE.as_bytes(), &mut arena) {
        criterion.bench_function("edit alone", |bencher| {
            bencher.iter(|| {
                let mut out = Writer::new(&mut room);
                rewrite(black_box(&message), &mut out);
                black_box(out.finish().ok())
            });
        });
    }
}

criterion_group!(benches, message);
criterion_main!(benches);
