//! `hxa-load`: the load tester. It speaks only the public protocol, makes its own organisation and bots, runs the named
//! scenarios and prints for each a readable table and one JSON line. Every run checks what it measures (each
//! acknowledged message exactly once to each online member, in one order; one winner per revision; versions without
//! gaps); a failed check makes the exit code 1, a run that could not be done makes it 2.
//!
//! The way through the files: `cli` → `setup` (organisation, bots) → `scenarios` (a `Plan` each) → `runner` (executes it
//! with `socket_worker`, `rest_worker` and `listener` tasks) → `recorder` and `contention` (checks) → `outcome`, `table`, `report`.

mod chart;
mod chunks;
mod churn;
mod cli;
mod content;
mod contention;
mod context;
mod counters;
mod error;
mod event_stream;
mod failures;
mod fixtures;
mod http;
mod inbound;
mod listener;
mod monitor;
mod outcome;
mod pacer;
mod plan;
mod process;
mod question;
mod recorder;
mod report;
mod rest_worker;
mod run;
mod runner;
mod scenarios;
mod setup;
mod socket;
mod socket_worker;
mod stats;
mod table;
mod target;
mod told;
mod verify;
mod yardsticks;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Options, Scenario};
use crate::context::Context;
use crate::error::{LoadError, Result};
use crate::outcome::Outcome;
use crate::setup::Fleet;
use crate::target::Target;
use crate::yardsticks::Yardsticks;

fn main() -> ExitCode {
    let options = Options::parse();
    match runtime(&options).and_then(|runtime| runtime.block_on(run(options))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            // Nothing is left to do if stderr is closed.
            drop(writeln!(io::stderr(), "hxa-load: {why}"));
            ExitCode::from(2)
        }
    }
}

fn runtime(options: &Options) -> Result<Runtime> {
    let built = match options.threads_gen {
        0 | 1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    built.map_err(LoadError::io("start the runtime"))
}

/// Runs all scenarios; whether every check held.
async fn run(options: Options) -> Result<bool> {
    let target = Arc::new(Target::parse(&options.url).await?);
    let yardsticks = if options.yardsticks { Some(Yardsticks::measure(&options).await?) } else { None };
    if let Some(yardsticks) = &yardsticks {
        print(&format!("\n{yardsticks}\n"))?;
    }
    let fleet = Fleet::create(&options, target).await?;
    let mut context = Context { options, fleet };
    let mut outcomes = Vec::new();
    let result = run_scenarios(&mut context, yardsticks.as_ref(), &mut outcomes).await;
    finish(&context, &outcomes).await?;
    result.map(|()| outcomes.iter().all(|outcome| outcome.ok))
}

/// One scenario after the other; what was measured before one that cannot run is kept.
async fn run_scenarios(
    context: &mut Context,
    yardsticks: Option<&Yardsticks>,
    outcomes: &mut Vec<Outcome>,
) -> Result<()> {
    for scenario in Scenario::expand(&context.options.scenarios) {
        let mut outcome = scenarios::run(context, scenario).await?;
        outcome.ratios = yardsticks.map(|yardsticks| yardsticks.ratios(&outcome));
        print(&table::text(&outcome))?;
        outcomes.push(outcome);
    }
    Ok(())
}

/// The JSON lines, the page, and the organisation's end if that is wanted.
async fn finish(context: &Context, outcomes: &[Outcome]) -> Result<()> {
    print("\n")?;
    for outcome in outcomes {
        let line = serde_json::to_string(outcome).map_err(|why| LoadError::protocol(why.to_string()))?;
        print(&format!("{line}\n"))?;
    }
    if let Some(path) = &context.options.report {
        report::write(path, &context.options.url, outcomes)?;
    }
    if context.options.delete_org {
        context.fleet.remove().await?;
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).map_err(LoadError::io("print"))
}
