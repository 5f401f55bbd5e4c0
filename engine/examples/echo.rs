//! Sends every frame back: the floor under every figure, on the same drivers and the same loop.
//!
//! `echo --listen 127.0.0.1:5060 --cores 0,1 --driver auto|uring|mmsg`; ends on end of input or a line.
//! With `--absorb-below BYTES` smaller frames are taken and not sent back, like the ACK of a refused call.

use engine::{App, Config, Driver, Frame, Listener, NetworkError, Now, Outbox, Pools, ShardId, Steering, XdpConfig};
use std::net::SocketAddr;
use std::process::ExitCode;

struct Echo {
    absorb_below: usize,
}

impl App for Echo {
    type Letter = ();

    fn on_frame(&mut self, _now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, ()>) {
        if frame.bytes.len() >= self.absorb_below {
            out.transmit_bytes(&frame.back(), frame.bytes);
        }
    }
    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, ()>) {}
    fn on_timer(&mut self, _: Now, _: u64, _: &mut Outbox<'_, ()>) {}
    fn on_letter(&mut self, _: Now, (): (), _: &mut Outbox<'_, ()>) {}
}

fn main() -> ExitCode {
    match echo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn echo() -> Result<(), Box<dyn std::error::Error>> {
    let mut listeners = Vec::new();
    let mut cores = Vec::new();
    let mut driver = Driver::Auto;
    let mut absorb_below = 0;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("every flag has a value")?;
        match name.as_str() {
            "--listen" => listeners.push(Listener::new(value.parse()?)),
            "--cores" => cores = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--absorb-below" => absorb_below = value.parse()?,
            "--driver" => {
                driver = match value.as_str() {
                    "auto" => Driver::Auto,
                    "uring" => Driver::Uring,
                    "mmsg" => Driver::Mmsg,
                    _ => return Err("--driver is auto, uring or mmsg".into()),
                }
            }
            _ => return Err(format!("unknown flag {name}").into()),
        }
    }
    if listeners.is_empty() {
        listeners.push(Listener::new(SocketAddr::from(([127, 0, 0, 1], 5060))));
    }
    let config = Config {
        cores,
        listeners,
        driver,
        steering: Steering::Random,
        deferred: None,
        pools: Pools::default(),
        lanes: 0,
        xdp: XdpConfig::default(),
    };
    let running = engine::launch(&config, move |_| Echo { absorb_below })?;
    println!("{:?}", running.serving());
    std::io::stdin().read_line(&mut String::new())?;
    running.stop();
    for shard in (0..running.shards()).filter_map(|index| u8::try_from(index).ok()) {
        if let Some(stats) = running.stats(ShardId(shard)) {
            let counted: Vec<_> = stats.all().filter(|(_, count)| *count > 0).collect();
            println!("shard {shard}: {counted:?}");
        }
    }
    Ok(running.join()?)
}
