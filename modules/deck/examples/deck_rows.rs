//! Rows C3 to C6 of `bench/README.md` as JSON: the decision for twenty vendors, the lookup alone, the size of
//! an image, and how long and in how much memory it is built.
//!
//! ```text
//! cargo run --release -p deck --example deck_rows            10,000,000 rows, 20 decks, 1,000,000 codes
//! cargo run --release -p deck --example deck_rows 100000     fewer rows, for a first look
//! ```
//!
//! The decks are made from a seed and written as CSV into the temporary folder first, so that the build
//! reads files as `tandem deck build` does. Half the codes of the plan are in each deck, drawn anew. The image is
//! written and opened as `tandem run` opens it.
//!
//! Before each question of C3 as much memory is gone through as displaces everything from all caches: the image, the
//! tables of the decks asked, and the program's own code. That memory is on huge pages, as all that a shard works with
//! is. `cold_tlb_median_ns` is the same with small pages, which displaces the translations of addresses (and under
//! virtualisation the tables that they are made from) too. `cold_image_median_ns` has the code warm, as a shard has
//! that carries calls: another image, a small one, is asked in between. What reading the clock takes is found the same way
//! and taken off (`clock_ns`).

use deck::Code;
use deck::billing::{Increments, Rounding};
use deck::compile::{DeckSettings, DeckSource, compile};
use deck::image::{Asked, Image, Question, Quotes, RateOn, State};
use deck::money::Digits;
use deck::nanp::StateTable;
use deck::read::{DeckReader, Settings};
use engine_sys::memory::Region;
use engine_sys::resident_file::ResidentFile;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

const DECKS: usize = 20;
const ROWS: usize = 10_000_000;

/// Numbers looked up for C4, and questions asked for C3.
const LOOKUPS: usize = 2_000_000;
const QUESTIONS: usize = 400;

/// Read between two questions, so that nothing of the image is left in any cache.
const CACHES_BYTES: usize = 96 << 20;

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Codes of all countries: each longer one continues a shorter one, as breakouts of mobile networks do.
fn plan(count: usize, random: &mut Random) -> Vec<String> {
    let mut codes: BTreeSet<String> = (1..=999).map(|code| code.to_string()).collect();
    let mut all: Vec<String> = codes.iter().cloned().collect();
    while codes.len() < count {
        let from = usize::try_from(random.below(all.len() as u64)).unwrap_or(0);
        let mut code = all.get(from).cloned().unwrap_or_default();
        (0..=random.below(3)).for_each(|_| {
            let _ = write!(code, "{}", random.below(10));
        });
        if code.len() <= 11 && codes.insert(code.clone()) {
            all.push(code);
        }
    }
    codes.into_iter().collect()
}

/// Writes a deck as a vendor would: each code with a chance of one half, a fifth of them at the same price
/// as the one before, one in fifty with a price from next month on.
fn write_deck(path: &Path, plan: &[String], rows: usize, random: &mut Random) -> std::io::Result<()> {
    let mut text = String::from("Dial Code,Destination,Rate,Increments,Effective Date\n");
    let (mut left, mut price) = (rows, 1000);
    for (place, code) in plan.iter().enumerate() {
        let remaining = (plan.len() - place) as u64;
        if left == 0 || random.below(remaining) >= left as u64 {
            continue;
        }
        left -= 1;
        if random.below(5) > 0 {
            price = 100 + random.below(200_000);
        }
        let increments = if code.starts_with("52") { "60/60" } else { "1/1" };
        let date = if random.below(50) == 0 { "2026-02-01" } else { "2026-01-01" };
        let country = code.get(..code.len().min(3)).unwrap_or_default();
        let _ = writeln!(
            text,
            "{code},Destination {country},{}.{:06},{increments},{date}",
            price / 1_000_000,
            price % 1_000_000
        );
    }
    std::fs::File::create(path)?.write_all(text.as_bytes())
}

fn read_deck(path: &Path, index: usize) -> std::io::Result<DeckSource> {
    let settings =
        Settings { zone: TimeZone::UTC, dates: None, increments: Increments::SECOND, currency: "USD".to_owned() };
    let mut reader = DeckReader::new(settings);
    let mut file = std::fs::File::open(path)?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut chunk)?;
        match chunk.get(..length) {
            Some(octets) if length > 0 => reader.push(octets),
            _ => break,
        }
    }
    let read = reader.finish();
    let digits = Digits::new(6).unwrap_or_default();
    let settings = DeckSettings {
        name: format!("vendor-{index}"),
        currency: "USD".to_owned(),
        digits,
        rounding: Rounding::Up,
        rate_on: RateOn::Lrn,
    };
    Ok(DeckSource { settings, rows: read.rows, origins: Vec::new() })
}

/// Most memory that this process has had, in octets.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Numbers that begin with codes of the plan.
fn numbers(plan: &[String], count: usize, random: &mut Random) -> Vec<Code> {
    let one = |random: &mut Random| {
        let place = usize::try_from(random.below(plan.len() as u64)).unwrap_or(0);
        let number = format!("{}{:07}", plan.get(place).map_or("", String::as_str), random.below(10_000_000));
        Code::of_number(number.as_bytes()).unwrap_or_default()
    };
    (0..count).map(|_| one(random)).collect()
}

/// Nanoseconds for each number, looked up in batches as a shard has them.
fn lookup_ns(image: &Image<ResidentFile>, numbers: &[Code]) -> f64 {
    let mut found = [0; 64];
    let started = Instant::now();
    for batch in numbers.chunks(found.len()) {
        image.longest_of_all(batch, &mut found);
        black_box(&found);
    }
    started.elapsed().as_nanos() as f64 / numbers.len() as f64
}

/// What is done before a question is asked.
#[derive(Default)]
struct Before<'b> {
    /// Gone through, a line at a time.
    displacing: &'b mut [u8],
    /// Asked the same question.
    other: Option<&'b Image<ResidentFile>>,
}

impl Before<'_> {
    fn displace(&mut self) {
        self.displacing.iter_mut().step_by(64).for_each(|octet| *octet = octet.wrapping_add(1));
        black_box(&self.displacing);
    }
}

/// Nanoseconds that pass between two readings of the clock when nothing is done between, at the median.
fn clock_ns(before: &mut Before<'_>) -> u64 {
    let mut times: Vec<u64> = (0..QUESTIONS)
        .map(|_| {
            before.displace();
            let started = Instant::now();
            u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    times.sort_unstable();
    quantile(&times, 50)
}

/// Nanoseconds of each question to all decks, sorted, without those of the clock, and the share of decks that had a price.
fn decision_ns(image: &Image<ResidentFile>, numbers: &[Code], mut before: Before<'_>) -> (Vec<u64>, f64) {
    let asked = Asked::all(image);
    let mut quotes = Quotes::for_asked(&asked);
    let clock = clock_ns(&mut before);
    let (mut times, mut priced) = (Vec::with_capacity(numbers.len()), 0);
    for number in numbers {
        before.displace();
        let question = Question { dialled: *number, routing: *number, caller: None, at: 1_767_571_200 };
        if let Some(other) = before.other {
            other.quote(&question, &asked, &mut quotes);
            // Where the parts of an image stand, every call reads too.
            black_box(image.longest(Code::EMPTY));
        }
        let started = Instant::now();
        image.quote(black_box(&question), &asked, &mut quotes);
        black_box(&quotes);
        times.push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_sub(clock));
        priced += quotes.found.iter().filter(|found| found.state == State::Priced).count();
    }
    times.sort_unstable();
    (times, priced as f64 / (numbers.len() * DECKS) as f64)
}

fn quantile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or(0)
}

/// Writes the decks of `rows` rows together and gives the files.
fn write_decks(folder: &Path, plan: &[String], rows: usize, random: &mut Random) -> std::io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let files: Vec<PathBuf> = (0..DECKS).map(|deck| folder.join(format!("{deck}.csv"))).collect();
    for file in &files {
        write_deck(file, plan, rows / DECKS, random)?;
    }
    Ok(files)
}

/// An image on the disk, and how long it took.
struct Built {
    image: Image<ResidentFile>,
    reading_s: f64,
    seconds: f64,
    opening_s: f64,
}

/// Reads the decks, compiles and writes them, and opens what was written.
fn build(folder: &Path, files: &[PathBuf]) -> std::io::Result<Built> {
    let started = Instant::now();
    let sources: Result<Vec<_>, _> = files.iter().enumerate().map(|(index, file)| read_deck(file, index)).collect();
    let sources = sources?;
    let reading_s = started.elapsed().as_secs_f64();
    let path = folder.join("decks.image");
    std::fs::write(&path, compile(&sources, &StateTable::default(), &mut |_| ()).map_err(std::io::Error::other)?)?;
    let seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let image = Image::open(ResidentFile::new(&std::fs::File::open(&path)?)?).map_err(std::io::Error::other)?;
    let opening_s = started.elapsed().as_secs_f64();
    std::fs::remove_dir_all(folder)?;
    Ok(Built { image, reading_s, seconds, opening_s })
}

/// Of the small image that is asked in between.
const OTHER_ROWS: usize = 100_000;

fn main() -> std::io::Result<()> {
    let rows: usize = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let mut random = Random(2026);
    let plan = plan(rows / 10, &mut random);
    let folder = std::env::temp_dir().join(format!("tandem-deck-rows-{}", std::process::id()));
    let files = write_decks(&folder, &plan, rows, &mut random)?;
    let numbers_asked = numbers(&plan, LOOKUPS, &mut random);
    let before = peak_memory();
    let Built { image, reading_s, seconds, opening_s } = build(&folder, &files)?;
    let peak = peak_memory();
    let files = write_decks(&folder, &plan, OTHER_ROWS, &mut random)?;
    let other = build(&folder, &files)?.image;
    let count: u64 = image.decks().iter().map(|deck| deck.rows).sum();
    let lookups: Vec<f64> = (0..5).map(|_| lookup_ns(&image, &numbers_asked)).collect();
    let best = lookups.iter().copied().fold(f64::INFINITY, f64::min);
    let some = numbers_asked.get(..QUESTIONS).unwrap_or_default();
    let (mut huge, mut small) = (Region::new(CACHES_BYTES)?, vec![1_u8; CACHES_BYTES]);
    let clock = clock_ns(&mut Before { displacing: &mut huge, other: None });
    let (cold, priced) = decision_ns(&image, some, Before { displacing: &mut huge, other: None });
    let (cold_image, _) = decision_ns(&image, some, Before { displacing: &mut huge, other: Some(&other) });
    let (cold_tlb, _) = decision_ns(&image, some, Before { displacing: &mut small, other: None });
    let many = numbers_asked.get(..200_000).unwrap_or_default();
    let (warm, _) = decision_ns(&image, many, Before::default());
    println!(
        "{{\n  \"rows\": {count}, \"decks\": {DECKS}, \"codes\": {}, \"priced\": {priced:.2},\n  \
         \"C3\": {{ \"cold_median_ns\": {}, \"cold_p95_ns\": {}, \"cold_image_median_ns\": {}, \"cold_tlb_median_ns\": {}, \
         \"uncleared_median_ns\": {}, \"clock_ns\": {clock}, \"bar_ns\": 1500 }},\n  \
         \"C4\": {{ \"batched_ns\": {best:.1}, \"runs_ns\": {lookups:.1?}, \"bar_ns\": 80 }},\n  \
         \"C5\": {{ \"octets_per_row\": {:.2}, \"image_octets\": {}, \"bar\": 24 }},\n  \
         \"C6\": {{ \"seconds\": {seconds:.2}, \"reading_seconds\": {reading_s:.2}, \"opening_seconds\": {opening_s:.2}, \
         \"peak_octets\": {peak}, \"before_octets\": {before}, \"bar_seconds\": 60, \"bar_octets\": 4294967296 }}\n}}",
        plan.len(),
        quantile(&cold, 50),
        quantile(&cold, 95),
        quantile(&cold_image, 50),
        quantile(&cold_tlb, 50),
        quantile(&warm, 50),
        image.octets().len() as f64 / count as f64,
        image.octets().len(),
    );
    Ok(())
}
